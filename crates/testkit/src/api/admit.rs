//! From a body to an object that may be stored.

use serde_json::Value;

use super::{FieldValidation, Part, State, WriteOptions, invalid_subject, metadata};
use crate::{
    refusal::{Refusal, Subject},
    resource::{Generation, Resource, Rules},
    schema::FieldError,
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
    let (mut object, unknown) = match &resource.rules {
        Rules::Builtin(rules) => {
            let given = body.clone();
            let mut object = (rules.decode)(body).map_err(|error| {
                Refusal::bad_request(format!(
                    "{kind} in version \"{version}\" cannot be handled as a {kind}: {error}",
                    kind = resource.kind,
                    version = resource.version,
                ))
            })?;
            let mut unknown = Vec::new();
            dropped("", &given, &object, &mut unknown);
            (rules.default)(&mut object);
            (object, unknown)
        }
        Rules::Custom(schema) => {
            let unknown = schema.prune(&mut body);
            schema.default(&mut body);
            (body, unknown)
        }
    };
    let texts: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    let mut warnings = Vec::new();
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
    metadata::decode(&mut object)?;
    Ok(Admitted { object, warnings })
}

/// Members of a body that decoding left out.
fn dropped(path: &str, given: &Value, kept: &Value, found: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match kept.get(name) {
                    Some(kept) => dropped(&path, value, kept, found),
                    None => found.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            for (index, (given, kept)) in given.iter().zip(kept).enumerate() {
                dropped(&format!("{path}[{index}]"), given, kept, found);
            }
        }
        _ => {}
    }
}

fn check_kind(resource: &Resource, body: &Value) -> Result<(), Refusal> {
    if !body.is_object() {
        return Err(Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: no object",
            resource.kind
        )));
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
        return Err(Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{body}'",
            resource.kind
        )));
    }
    if kind == resource.kind {
        return Err(Refusal::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted})"
        )));
    }
    if resource.is_custom() {
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let fault = FieldError::invalid("kind", kind, format!("must be {}", resource.kind));
        return Err(Refusal::invalid(Subject { kind, ..invalid_subject(resource, name) }, &[fault]));
    }
    Err(Refusal::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {}: unknown conversion",
        api_version.rsplit('/').next().unwrap_or_default(),
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
        Rules::Custom(schema) => {
            faults.extend(schema.validate(object));
            faults.extend(scale_fault(resource, object));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Refusal::invalid(invalid_subject(resource, name), &faults))
}

/// The replicas that a custom resource shows to its `scale` must be a count.
fn scale_fault(resource: &Resource, object: &Value) -> Option<FieldError> {
    let path = &resource.scale.as_ref()?.spec_replicas;
    let replicas = path.iter().fold(object, |value, name| &value[name]).as_i64()?;
    let detail = if replicas < 0 {
        "should be a non-negative integer".to_owned()
    } else if replicas > i32::MAX.into() {
        format!("should be less than or equal to {}", i32::MAX)
    } else {
        return None;
    };
    Some(FieldError::invalid(format!(".{}", path.join(".")), replicas, detail))
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
