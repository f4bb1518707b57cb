//! Changes: replacement and the four kinds of patch, of the main part, the status, or the scale.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Part, State, WriteOptions, Written, admit, create, metadata, scale, subject};
use crate::{
    patch::{self, Lists, PatchKind},
    refusal::Refusal,
    resource::{Generation, Resource},
    schema::FieldError,
    store::Key,
};

impl State {
    /// PUT: replaces (a part of) an object.
    pub(crate) fn update(
        &mut self,
        resource: &Resource,
        key: &Key,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let given = body["metadata"]["name"].as_str().unwrap_or_default();
        if !given.is_empty() && given != key.name {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                key.name
            )));
        }
        let rules = resource.builtin();
        let live = match self.stored(resource, key) {
            Ok(live) => resource.present(live),
            Err(_) if options.part == Part::Main && rules.is_some_and(|rules| rules.create_on_update) => {
                return self.create(resource, &key.namespace, body, options);
            }
            Err(refusal) => return Err(refusal),
        };
        let versioned =
            body["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty());
        let unconditional = options.part == Part::Whole
            || options.part == Part::Scale
            || rules.is_some_and(|rules| rules.unconditional_update);
        if !versioned && !unconditional {
            let fault = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
            return Err(Refusal::invalid(subject(resource, &key.name), &[fault]));
        }
        self.write(resource, key, &live, body, options)
    }

    /// PATCH: changes (a part of) an object; applying creates what is missing.
    pub(crate) fn patch(
        &mut self,
        resource: &Resource,
        key: &Key,
        kind: PatchKind,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        if kind == PatchKind::Strategic && (resource.is_custom() && options.part != Part::Scale) {
            return Err(Refusal::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        if kind == PatchKind::Apply {
            return self.apply(resource, key, body, options);
        }
        let live = resource.present(self.stored(resource, key)?);
        let mut wanted =
            if options.part == Part::Scale { scale::or_zero(resource, &live)? } else { live.clone() };
        match kind {
            PatchKind::Json => patch::json(&mut wanted, body)?,
            PatchKind::Merge => patch::merge(&mut wanted, body),
            PatchKind::Strategic | PatchKind::Apply => patch::strategic(&mut wanted, body),
        }
        self.write(resource, key, &live, wanted, options)
    }

    fn apply(
        &mut self,
        resource: &Resource,
        key: &Key,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        if options.field_manager.is_empty() {
            let fault = FieldError::required("fieldManager", "is required for apply patch");
            let about = crate::refusal::Subject { group: "meta.k8s.io", kind: "PatchOptions", name: "" };
            return Err(Refusal::invalid(about, &[fault]));
        }
        if !body.is_object() {
            return Err(Refusal::bad_request("the body of an apply patch must be an object"));
        }
        let manager = format!("{}/{:?}", options.field_manager, options.part);
        let mut applied = body.clone();
        if let Some(members) = applied.get_mut("metadata").and_then(Value::as_object_mut) {
            for name in ["resourceVersion", "uid", "name", "namespace"] {
                members.remove(name);
            }
        }
        let written = match self.stored(resource, key) {
            Ok(live) => {
                let live = resource.present(live);
                let mut wanted =
                    if options.part == Part::Scale { scale::or_zero(resource, &live)? } else { live.clone() };
                let lists = match resource.schema() {
                    Some(schema) => Lists::Schema(schema),
                    None => Lists::Builtin,
                };
                let last = self.store.applied(&resource.stored_in, key, &manager);
                patch::apply(&mut wanted, last, &body, lists);
                self.write(resource, key, &live, wanted, options)?
            }
            Err(_) if options.part == Part::Main => {
                let mut body = body;
                body["metadata"]["name"] = json!(key.name);
                self.create(resource, &key.namespace, body, options)?
            }
            Err(refusal) => return Err(refusal),
        };
        if !options.dry_run {
            self.store.set_applied(&resource.stored_in, key, &manager, applied);
        }
        Ok(written)
    }

    /// Brings a live object to what is wanted of (a part of) it.
    fn write(
        &mut self,
        resource: &Resource,
        key: &Key,
        live: &Value,
        wanted: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        if options.part == Part::Scale {
            return self.write_scale(resource, key, live, &wanted, options);
        }
        let admit::Admitted { mut object, mut warnings } = admit::decode(resource, wanted, options)?;
        create::place(resource, &key.namespace, &mut object)?;
        check_preconditions(resource, key, &object, live)?;
        metadata::keep(&mut object, live);
        match options.part {
            Part::Status => {
                let status = object["status"].take();
                object = live.clone();
                set_status(&mut object, status);
            }
            Part::Main if resource.status => set_status(&mut object, live["status"].clone()),
            Part::Main | Part::Whole | Part::Scale => {}
        }
        if options.part != Part::Status && admit::changes_generation(resource, &object, live) {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if resource.generation == Generation::Absent
            && let Some(members) = object["metadata"].as_object_mut()
        {
            members.remove("generation");
        }
        admit::validate(resource, &object, Some(live), options.part)?;
        if object == *live {
            return Ok(Written { object, created: false, warnings });
        }
        if resource.is_custom() {
            warnings.extend(metadata::finalizer_warnings(&object, Some(live)));
        }
        self.before(resource, &mut object, options.now)?;
        if options.dry_run {
            return Ok(Written { object, created: false, warnings });
        }
        let stored = admit::to_stored(resource, object);
        let (object, gone) = self.store.put_or_finish(&resource.stored_in, stored, options.now);
        if gone {
            self.settle();
        } else {
            self.after(resource, &object)?;
        }
        Ok(Written { object: resource.present(&Arc::unwrap_or_clone(object)), created: false, warnings })
    }

    fn write_scale(
        &mut self,
        resource: &Resource,
        key: &Key,
        live: &Value,
        wanted: &Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        check_preconditions(resource, key, wanted, live)?;
        let object = scale::set(resource, live, wanted)?;
        let main = WriteOptions { part: Part::Main, ..options.clone() };
        let written = self.write(resource, key, live, object, &main)?;
        Ok(Written { object: scale::of(resource, &written.object)?, ..written })
    }
}

/// resourceVersion and uid, where the client named them.
fn check_preconditions(resource: &Resource, key: &Key, object: &Value, live: &Value) -> Result<(), Refusal> {
    let text = |object: &Value, name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    let uid = text(object, "uid");
    if !uid.is_empty() && uid != text(live, "uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            text(live, "uid")
        );
        return Err(Refusal::conflict(subject(resource, &key.name), &why));
    }
    let version = text(object, "resourceVersion");
    if !version.is_empty() && version != text(live, "resourceVersion") {
        return Err(Refusal::modified(subject(resource, &key.name)));
    }
    Ok(())
}

fn set_status(object: &mut Value, status: Value) {
    let Some(members) = object.as_object_mut() else { return };
    if status.is_null() {
        members.remove("status");
    } else {
        members.insert("status".to_owned(), status);
    }
}
