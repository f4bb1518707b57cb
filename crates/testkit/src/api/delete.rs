//! Deletion by clients: preconditions and propagation.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{State, invalid_subject, subject};
use crate::{
    refusal::Refusal,
    resource::Resource,
    store::{
        Key,
        delete::{Deleted, Propagation},
    },
};

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Propagation,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// Reads the body of a DELETE (null when there is none).
    pub(crate) fn parse(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let propagation = match body["propagationPolicy"].as_str() {
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            Some(_) => Propagation::Background,
            None if body["orphanDependents"] == true => Propagation::Orphan,
            None => Propagation::Background,
        };
        Self {
            propagation,
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: body["dryRun"].as_array().is_some_and(|values| !values.is_empty()),
        }
    }
}

impl State {
    /// Deletes an object. Answers what the client sees: a `Status`, or the object if it still waits for something.
    pub(crate) fn delete(
        &mut self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let live = self.stored(resource, key)?;
        let text = |name: &str| live["metadata"][name].as_str().unwrap_or_default().to_owned();
        let (uid, version) = (text("uid"), text("resourceVersion"));
        if let Some(wanted) = options.uid.as_ref().filter(|wanted| **wanted != uid) {
            let why = format!(
                "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
            );
            return Err(Refusal::conflict(invalid_subject(resource, &key.name), &why));
        }
        if let Some(wanted) = options.resource_version.as_ref().filter(|wanted| **wanted != version) {
            let why = format!(
                "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object might have been modified"
            );
            return Err(Refusal::conflict(invalid_subject(resource, &key.name), &why));
        }
        let mut success = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": key.name, "kind": resource.plural(), "uid": uid},
        });
        if !resource.group().is_empty() {
            success["details"]["group"] = json!(resource.group());
        }
        if options.dry_run {
            return Ok(success);
        }
        let deleted = self.store.delete(&resource.stored_in, key, options.propagation, now);
        self.settle();
        match deleted {
            Some(Deleted::Waiting(object)) => Ok(resource.present(&object)),
            Some(Deleted::Gone) => Ok(success),
            None => Err(Refusal::not_found(subject(resource, &key.name))),
        }
    }
}
