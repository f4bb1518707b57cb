//! The verbs of the API on plain values: what stands between HTTP and the store.
//!
//! A write goes: the body (or the patched live object) → [`admit`] (decode, default, validate, server-owned metadata) →
//! the store → effects (a CRD makes an API). Objects cross this layer in the form of the version that was asked for;
//! the store keeps one form a kind.

mod admit;
mod create;
mod delete;
mod effect;
mod metadata;
mod review;
mod scale;
mod token;
mod update;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    refusal::{Refusal, Subject},
    resource::{Catalog, Resource},
    store::{Key, Store},
};

pub(crate) use delete::DeleteOptions;
pub(crate) use review::answer as answer_review;
pub(crate) use token::issue as issue_token;

/// Everything that writes change, behind one lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
}

/// `fieldValidation`: what becomes of unknown fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Strict,
    #[default]
    Warn,
    Ignore,
}

/// The part of an object that a write may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status (for kinds that have a status of their own).
    #[default]
    Main,
    Status,
    Scale,
    /// Everything: only for seeding.
    Whole,
}

/// Options of a write.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) part: Part,
    pub(crate) dry_run: bool,
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    pub(crate) now: Timestamp,
}

impl WriteOptions {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            part: Part::Main,
            dry_run: false,
            field_manager: String::new(),
            field_validation: FieldValidation::Warn,
            now,
        }
    }
}

/// The result of a write, as the client sees it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Value,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

/// What errors about an object of a kind are about.
pub(crate) fn subject<'a>(resource: &'a Resource, name: &'a str) -> Subject<'a> {
    Subject { group: resource.group(), kind: resource.plural(), name }
}

/// The same for invalid objects, which are called by their kind.
pub(crate) fn invalid_subject<'a>(resource: &'a Resource, name: &'a str) -> Subject<'a> {
    // Events are stored as those of the core group, and their faults are told as theirs.
    Subject { group: &resource.stored_in.group, kind: &resource.kind, name }
}

impl State {
    /// The stored object, or 404.
    pub(crate) fn stored(&self, resource: &Resource, key: &Key) -> Result<&Arc<Value>, Refusal> {
        self.store
            .get(&resource.stored_in, key)
            .ok_or_else(|| Refusal::not_found(subject(resource, &key.name)))
    }

    /// The object as its version shows it, or its scale.
    pub(crate) fn get(&self, resource: &Resource, key: &Key, part: Part) -> Result<Value, Refusal> {
        let object = resource.present(self.stored(resource, key)?);
        if part == Part::Scale { scale::of(resource, &object) } else { Ok(object) }
    }
}
