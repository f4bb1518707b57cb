//! Creation, and seeding (which is creation or replacement as a whole, for tests).

use serde_json::{Value, json};

use super::{Part, State, WriteOptions, Written, admit, metadata, subject};
use crate::{
    refusal::Refusal,
    resource::{Generation, Resource},
    store::Key,
};

impl State {
    /// Creates an object from a body.
    pub(crate) fn create(
        &mut self,
        resource: &Resource,
        namespace: &str,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let admit::Admitted { mut object, mut warnings } = admit::decode(resource, body, options)?;
        place(resource, namespace, &mut object)?;
        if object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        let wanted = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.check_namespace(resource, namespace, &wanted)?;
        metadata::initialize(&mut object, &mut self.store, options.now);
        if resource.generation != Generation::Absent {
            object["metadata"]["generation"] = json!(1);
        }
        if options.part != Part::Whole {
            reset_status(resource, &mut object);
        }
        admit::validate(resource, &object, None, Part::Main)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = Key::new(namespace, &name);
        if let Some(existing) = self.store.get(&resource.stored_in, &key) {
            let mut refusal = Refusal::already_exists(subject(resource, &name));
            if existing["metadata"]["deletionTimestamp"].is_string() {
                refusal.message = format!("object is being deleted: {}", refusal.message);
            }
            return Err(refusal);
        }
        if resource.is_custom() {
            warnings.extend(metadata::finalizer_warnings(&object, None));
        }
        self.before(resource, &mut object, options.now)?;
        if options.dry_run {
            return Ok(Written { object, created: true, warnings });
        }
        let stored = admit::to_stored(resource, object);
        let (object, _) = self.store.put_or_finish(&resource.stored_in, stored, options.now);
        self.after(resource, &object)?;
        Ok(Written { object: resource.present(&object), created: true, warnings })
    }

    /// Creates or replaces an object as a whole, and its namespace where it is missing.
    pub(crate) fn seed(&mut self, body: Value, now: jiff::Timestamp) -> Result<Value, Refusal> {
        let text = |path: &Value| path.as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&body["apiVersion"]), text(&body["kind"]));
        let resource = self.catalog.find_kind(&api_version, &kind).ok_or_else(|| {
            Refusal::bad_request(format!("no matches for kind \"{kind}\" in version \"{api_version}\""))
        })?;
        let mut options = WriteOptions { part: Part::Whole, ..WriteOptions::at(now) };
        let mut namespace = text(&body["metadata"]["namespace"]);
        if resource.namespaced {
            if namespace.is_empty() {
                namespace = "default".to_owned();
            }
            self.ensure_namespace(&namespace, now)?;
        }
        let key = Key::new(&namespace, &text(&body["metadata"]["name"]));
        if self.store.get(&resource.stored_in, &key).is_some() {
            options.part = Part::Whole;
            return Ok(self.update(&resource, &key, body, &options)?.object);
        }
        Ok(self.create(&resource, &namespace, body, &options)?.object)
    }

    pub(crate) fn ensure_namespace(&mut self, namespace: &str, now: jiff::Timestamp) -> Result<(), Refusal> {
        let Some(resource) = self.catalog.find("", "v1", "namespaces") else { return Ok(()) };
        if self.stored(&resource, &Key::new("", namespace)).is_err() {
            self.create(&resource, "", json!({"metadata": {"name": namespace}}), &WriteOptions::at(now))?;
        }
        Ok(())
    }
}

/// Puts an object into the namespace of its request.
pub(super) fn place(resource: &Resource, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    let Some(members) = object["metadata"].as_object_mut() else { return Ok(()) };
    if !resource.namespaced {
        members.remove("namespace");
        return Ok(());
    }
    let given = members.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !given.is_empty() && given != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    members.insert("namespace".to_owned(), json!(namespace));
    Ok(())
}

/// A new object has the status that the server gives it.
fn reset_status(resource: &Resource, object: &mut Value) {
    if !resource.status {
        return;
    }
    let initial = resource.builtin().and_then(|rules| rules.initial_status);
    let Some(members) = object.as_object_mut() else { return };
    match initial {
        Some(initial) => members.insert("status".to_owned(), initial()),
        None => members.remove("status"),
    };
}
