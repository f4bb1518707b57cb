//! GET of objects and collections.

use std::sync::Arc;

use http::{Response, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;
use serde_json::{Value, json};

use super::{Asked, form::Form, json as respond, query::Query, route::Target};
use crate::{
    api::{Part, subject},
    refusal::Refusal,
    resource::Resource,
    selector::{Fields, Labels},
    server::{Body, Inner},
    store::Key,
    sync::lock,
};

/// The part of an object that a subresource names.
pub(super) fn part_of(resource: &Resource, target: &Target) -> Result<Part, Refusal> {
    match target.subresource.as_str() {
        "" => Ok(Part::Main),
        "status" if resource.status => Ok(Part::Status),
        "scale" if resource.scale.is_some() => Ok(Part::Scale),
        // As the API server says it, though the object may well be there.
        _ if resource.is_custom() => Err(Refusal::not_found(subject(resource, &target.name))),
        _ => Err(Refusal::no_route()),
    }
}

pub(super) fn get(
    server: &Inner,
    asked: &Asked,
    resource: &Resource,
    target: &Target,
) -> Result<Response<Body>, Refusal> {
    let form = Form::negotiate(&asked.headers, &asked.query)?;
    let part = part_of(resource, target)?;
    let object = lock(&server.state).get(resource, &Key::new(&target.namespace, &target.name), part)?;
    Ok(respond(StatusCode::OK, &form.one(resource, object)))
}

/// Which objects of a collection a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) labels: Labels,
    pub(super) fields: Fields,
}

impl Selection {
    pub(super) fn of(asked: &Asked, resource: &Resource) -> Result<Self, Refusal> {
        let selectable = resource.builtin().map_or(&[][..], |rules| rules.selectable);
        Ok(Self {
            labels: Labels::parse(asked.query.get("labelSelector").unwrap_or_default())?,
            fields: Fields::parse(asked.query.get("fieldSelector").unwrap_or_default(), selectable)?,
        })
    }

    /// Whether the client sees an object (in the form of its version).
    pub(super) fn sees(&self, object: &Value) -> bool {
        self.labels.matches(&object["metadata"]["labels"]) && self.fields.matches(object)
    }

    fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

pub(super) fn list(
    server: &Arc<Inner>,
    asked: &Asked,
    resource: &Resource,
    target: &Target,
) -> Result<Response<Body>, Refusal> {
    let form = Form::negotiate(&asked.headers, &asked.query)?;
    let selection = Selection::of(asked, resource)?;
    let limit = asked.query.number("limit")?.filter(|limit| *limit > 0);
    let state = lock(&server.state);
    let current = state.store.revision();
    check_version(asked, current)?;
    let token = asked.query.get("continue").map(Token::parse).transpose()?;
    if let Some(token) = &token
        && state.store.reaches_back_to(&resource.stored_in, token.revision).is_err()
    {
        return Err(Refusal::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
        ));
    }
    let after = token.as_ref().map(|token| &token.after);
    let mut found = state
        .store
        .list(&resource.stored_in, &target.namespace)
        .filter(|(key, _)| after.is_none_or(|after| *key > after))
        .map(|(key, object)| (key, resource.present(object)))
        .filter(|(_, object)| selection.sees(object));
    let revision = token.as_ref().map_or(current, |token| token.revision);
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    let mut items = Vec::new();
    let mut last = None;
    while limit.is_none_or(|limit| (items.len() as u64) < limit) {
        let Some((key, object)) = found.next() else { break };
        last = Some(key.clone());
        items.push(object);
    }
    let left = found.count();
    if let Some(after) = last.filter(|_| left > 0) {
        metadata["continue"] = json!(Token { revision, after }.text());
        if selection.is_everything() {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    drop(state);
    Ok(respond(StatusCode::OK, &form.many(resource, items, &metadata)))
}

/// A list is always of the current state, so it can serve a version that is not newer, and no other exactly.
fn check_version(asked: &Asked, current: u64) -> Result<(), Refusal> {
    let Some(wanted) = version(&asked.query)? else { return Ok(()) };
    if wanted > current {
        return Err(too_new(wanted, current));
    }
    if asked.query.get("resourceVersionMatch") == Some("Exact") && wanted != current {
        return Err(Refusal::expired("The resourceVersion for the provided list is too old."));
    }
    Ok(())
}

fn too_new(wanted: u64, current: u64) -> Refusal {
    let text = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    let mut refusal = Refusal::new(504, "Timeout", text).with_retry_after(1);
    refusal.details.get_or_insert_default().causes = Some(vec![StatusCause {
        reason: Some("ResourceVersionTooLarge".to_owned()),
        message: Some("Too large resource version".to_owned()),
        ..StatusCause::default()
    }]);
    refusal
}

/// The version that a list or watch names.
pub(super) fn version(query: &Query) -> Result<Option<u64>, Refusal> {
    let Some(text) = query.get("resourceVersion") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Refusal::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// Where the next page begins. Pages show the state at their own time; a client that goes on to watch from the list's
/// version hears of everything that changed between them.
struct Token {
    revision: u64,
    after: Key,
}

impl Token {
    fn text(&self) -> String {
        let text = format!("{}/{}/{}", self.revision, self.after.namespace, self.after.name);
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let invalid = || Refusal::bad_request("continue key is not valid");
        let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
        let mut parts = decoded.splitn(3, '/');
        let mut next = || parts.next().ok_or_else(invalid);
        let revision = next()?.parse().map_err(|_| invalid())?;
        Ok(Self { revision, after: Key::new(next()?, next()?) })
    }
}
