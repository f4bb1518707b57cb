//! From a body to an object that may be stored.

use serde_json::Value;

use super::{FieldValidation, Part, State, WriteOptions, invalid_subject, metadata};
use crate::{
    refusal::Refusal,
    resource::{Generation, Resource, Rules},
};

/// An object on its way into the store.
pub(super) struct Admitted {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

/// Reads a body: its kind, its types; unknown fields go, defaults come.
pub(super) fn decode(
    resource: &Resource,
    mut body: Value,
    options: &WriteOptions,
) -> Result<Admitted, Refusal> {
    check_kind(resource, &body)?;
    body["apiVersion"] = resource.api_version().into();
    body["kind"] = resource.kind.clone().into();
    let mut warnings = Vec::new();
    let mut object = match &resource.rules {
        Rules::Builtin(rules) => {
            let mut object = (rules.decode)(body).map_err(|error| {
                Refusal::bad_request(format!(
                    "{kind} in version \"{version}\" cannot be handled as a {kind}: {error}",
                    kind = resource.kind,
                    version = resource.version,
                ))
            })?;
            (rules.default)(&mut object);
            object
        }
        Rules::Custom(schema) => {
            let unknown = schema.prune(&mut body);
            let texts: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
            match options.field_validation {
                FieldValidation::Strict if !texts.is_empty() => {
                    return Err(Refusal::bad_request(format!(
                        "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {texts}",
                        kind = resource.kind,
                        version = resource.version,
                        texts = texts.join(", "),
                    )));
                }
                FieldValidation::Warn => warnings = texts,
                FieldValidation::Strict | FieldValidation::Ignore => {}
            }
            schema.default(&mut body);
            body
        }
    };
    metadata::decode(&mut object)?;
    Ok(Admitted { object, warnings })
}

fn check_kind(resource: &Resource, body: &Value) -> Result<(), Refusal> {
    if !body.is_object() {
        return Err(Refusal::bad_request("the body of the request is no object"));
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let wanted = resource.api_version();
    // Built-in kinds are decoded into what the path says; custom ones must say what they are.
    let silent = api_version.is_empty() && kind.is_empty() && !resource.is_custom();
    if silent || (api_version == wanted && kind == resource.kind) {
        return Ok(());
    }
    if kind.is_empty() {
        return Err(Refusal::bad_request("Object 'Kind' is missing"));
    }
    Err(Refusal::bad_request(format!(
        "{kind} in version \"{api_version}\" cannot be handled as a {}: no kind \"{kind}\" is registered for version \"{api_version}\" at this path",
        resource.kind
    )))
}

/// Refuses what is invalid.
pub(super) fn validate(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    part: Part,
) -> Result<(), Refusal> {
    let mut faults = metadata::validate(resource, object, old);
    match &resource.rules {
        Rules::Builtin(rules) if part != Part::Status => faults.extend((rules.validate)(object, old)),
        Rules::Builtin(_) => {}
        Rules::Custom(schema) => faults.extend(schema.validate(object)),
    }
    if faults.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Refusal::invalid(invalid_subject(resource, name), &faults))
}

/// Whether a change is one of the generation.
pub(super) fn changes_generation(resource: &Resource, new: &Value, old: &Value) -> bool {
    match resource.generation {
        Generation::Absent => false,
        Generation::Spec => new["spec"] != old["spec"],
        Generation::Content => content(resource, new) != content(resource, old),
    }
}

fn content(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("metadata");
        if resource.status {
            members.remove("status");
        }
    }
    object
}

/// The object in the form that the store keeps.
pub(super) fn to_stored(resource: &Resource, mut object: Value) -> Value {
    if let Some(conversion) = resource.builtin().and_then(|rules| rules.convert.as_ref()) {
        (conversion.to_stored)(&mut object);
    }
    object
}

impl State {
    /// The namespace that a new object goes into must be there and must stay.
    pub(super) fn check_namespace(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        if !resource.namespaced {
            return Ok(());
        }
        let Some(namespaces) = self.catalog.find("", "v1", "namespaces") else { return Ok(()) };
        let found = self.stored(&namespaces, &crate::store::Key::new("", namespace))?;
        if found["metadata"]["deletionTimestamp"].is_string() {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(Refusal::forbidden(super::subject(resource, name), &why));
        }
        Ok(())
    }
}
