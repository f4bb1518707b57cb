//! What follows from writes of some kinds: a CRD makes an API, and takes it away again.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{State, invalid_subject};
use crate::{
    jsonpath::JsonPath,
    refusal::Refusal,
    resource::{Cell, Column, Effect, Generation, Resource, Rules, ScalePaths},
    schema::{FieldError, Schema},
};

impl State {
    /// Completes an object before it is stored: a CRD is established at once.
    pub(super) fn before(
        &self,
        resource: &Resource,
        object: &mut Value,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if resource.effect != Effect::CustomResourceDefinition {
            return Ok(());
        }
        kinds_of(object).map_err(|detail| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let fault = FieldError::invalid("spec.versions", name, detail);
            Refusal::invalid(invalid_subject(resource, name), &[fault])
        })?;
        if object["status"]["conditions"].is_array() {
            return Ok(());
        }
        let condition = |kind: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": "True", "reason": reason, "message": message,
                "lastTransitionTime": format!("{now:.0}")})
        };
        let versions = object["spec"]["versions"].as_array().into_iter().flatten();
        let stored: Vec<&Value> =
            versions.filter(|version| version["storage"] == true).map(|version| &version["name"]).collect();
        object["status"] = json!({
            "acceptedNames": object["spec"]["names"], "storedVersions": stored,
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
        });
        Ok(())
    }

    /// Follows up on a stored object.
    pub(super) fn after(&mut self, resource: &Resource, object: &Value) -> Result<(), Refusal> {
        if resource.effect == Effect::CustomResourceDefinition {
            let kinds = kinds_of(object).map_err(|detail| Refusal::internal(&detail))?;
            for kind in kinds {
                self.catalog.add(kind);
            }
        }
        self.settle();
        Ok(())
    }

    /// Takes away the APIs of CRDs that are gone.
    pub(super) fn settle(&mut self) {
        for (kind, key) in self.store.take_departed() {
            if kind.plural == "customresourcedefinitions"
                && let Some((plural, group)) = key.name.split_once('.')
            {
                self.catalog.remove(&crate::resource::GroupResource::new(group, plural));
            }
        }
    }
}

/// The kinds that a CRD defines, one a served version.
fn kinds_of(crd: &Value) -> Result<Vec<Resource>, String> {
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten();
    versions.filter(|version| version["served"] == true).map(|version| kind_of(crd, version)).collect()
}

fn kind_of(crd: &Value, version: &Value) -> Result<Resource, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (spec, names) = (&crd["spec"], &crd["spec"]["names"]);
    let schema = Schema::parse(&version["schema"]["openAPIV3Schema"]).map_err(|error| error.to_string())?;
    let mut resource = Resource::new(
        &text(&spec["group"]),
        &text(&version["name"]),
        &text(&names["kind"]),
        &text(&names["plural"]),
        Rules::Custom(Arc::new(schema)),
    );
    resource.list_kind = text(&names["listKind"]);
    resource.singular = text(&names["singular"]);
    resource.short_names = texts(&names["shortNames"]);
    resource.categories = texts(&names["categories"]);
    resource.namespaced = spec["scope"] == "Namespaced";
    resource.generation = Generation::Content;
    resource.status = version["subresources"]["status"].is_object();
    let scale = &version["subresources"]["scale"];
    if scale.is_object() {
        let path = |name: &str| -> Vec<String> {
            text(&scale[name]).split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        resource.scale = Some(ScalePaths {
            spec_replicas: path("specReplicasPath"),
            status_replicas: path("statusReplicasPath"),
            selector: scale["labelSelectorPath"].is_string().then(|| path("labelSelectorPath")),
        });
    }
    let columns = version["additionalPrinterColumns"].as_array();
    resource.columns = columns.into_iter().flatten().map(column).collect::<Result<_, _>>()?;
    if columns.is_none() {
        resource.columns.extend(column(&json!({
            "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
        })));
    }
    Ok(resource)
}

fn column(column: &Value) -> Result<Column, String> {
    let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
    let path = text("jsonPath");
    let parsed = JsonPath::parse(&path).ok_or_else(|| format!("jsonPath {path:?} is not understood"))?;
    let kind = text("type");
    let cell = if kind == "date" { Cell::Age(parsed) } else { Cell::Path(parsed) };
    Ok(Column {
        name: text("name"),
        kind,
        format: text("format"),
        description: text("description"),
        priority: column["priority"].as_i64().unwrap_or(0),
        cell,
    })
}
