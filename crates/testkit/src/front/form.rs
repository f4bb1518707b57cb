//! What the client wants to see of objects: all of them, their metadata, or a table.

use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::{query::Query, table};
use crate::{refusal::Refusal, resource::Resource};

/// A form of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Object,
    /// `PartialObjectMetadata`.
    Metadata,
    Table(table::Include),
}

/// What the client accepts, in its order.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let split = |text: &str| -> Vec<String> { text.split(',').map(|item| item.replace(' ', "")).collect() };
    texts.flat_map(split).filter(|item| !item.is_empty()).collect()
}

impl Form {
    /// The first form that the client accepts and the server knows.
    pub(super) fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Self, Refusal> {
        let accepted = accepted(headers);
        if accepted.is_empty() {
            return Ok(Self::Object);
        }
        for item in &accepted {
            let mut parts = item.split(';');
            if !matches!(parts.next(), Some("application/json" | "application/*" | "*/*")) {
                continue;
            }
            let as_kind = parts.find_map(|part| part.strip_prefix("as="));
            match as_kind {
                None => return Ok(Self::Object),
                Some("Table") => return Ok(Self::Table(table::Include::parse(query.get("includeObject")))),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => return Ok(Self::Metadata),
                Some(_) => {}
            }
        }
        let types = "application/json, application/json;as=Table, application/json;as=PartialObjectMetadata";
        Err(Refusal::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {types}"),
        ))
    }

    /// One object.
    pub(super) fn one(self, resource: &Resource, object: Value) -> Value {
        match self {
            Self::Object => object,
            Self::Metadata => metadata_of(&object),
            Self::Table(include) => table::of(resource, &[object], include, &json!({})),
        }
    }

    /// A list with its metadata.
    pub(super) fn many(self, resource: &Resource, mut objects: Vec<Value>, metadata: &Value) -> Value {
        match self {
            Self::Object => {
                if !resource.is_custom() {
                    // Items of built-in lists do not repeat what the list says.
                    for members in objects.iter_mut().filter_map(Value::as_object_mut) {
                        members.remove("apiVersion");
                        members.remove("kind");
                    }
                }
                let mut metadata = metadata.clone();
                if resource.is_custom() && metadata["continue"].is_null() {
                    // Lists of custom resources always say so when they are complete.
                    metadata["continue"] = json!("");
                }
                json!({"kind": resource.list_kind, "apiVersion": resource.api_version(),
                    "metadata": metadata, "items": objects})
            }
            Self::Metadata => {
                let items: Vec<Value> = objects.iter().map(metadata_of).collect();
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items})
            }
            Self::Table(include) => table::of(resource, &objects, include, metadata),
        }
    }
}

pub(super) fn metadata_of(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
