//! The least of OpenAPI v3 that kubectl needs: which kinds there are, and that writes take `fieldValidation` (then
//! kubectl leaves validation to the server). Custom resources have their schema, for `kubectl explain`; built-in kinds have
//! none.

use std::{collections::BTreeSet, sync::Arc};

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Asked, json as respond};
use crate::{
    api::{Part, State},
    refusal::Refusal,
    resource::Resource,
    server::{Body, Inner},
    store::Key,
    sync::lock,
};

pub(super) fn answer(server: &Inner, _asked: &Asked, path: &str) -> Result<Response<Body>, Refusal> {
    let state = lock(&server.state);
    let resources = state.catalog.all().to_vec();
    if path == "v3" {
        let paths: BTreeSet<String> = resources.iter().map(|resource| prefix(resource)).collect();
        let entry =
            |path: &String| (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}")}));
        let paths: serde_json::Map<String, Value> = paths.iter().map(entry).collect();
        return Ok(respond(StatusCode::OK, &json!({"paths": paths})));
    }
    let wanted = path.strip_prefix("v3/").ok_or_else(Refusal::no_route)?;
    let found: Vec<&Arc<Resource>> = resources.iter().filter(|resource| prefix(resource) == wanted).collect();
    if found.is_empty() {
        return Err(Refusal::no_route());
    }
    let mut paths = serde_json::Map::new();
    let mut schemas = serde_json::Map::new();
    for resource in found {
        let kind = json!({"group": resource.group(), "version": resource.version, "kind": resource.kind});
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("/{wanted}{scope}/{}", resource.plural());
        let parameters = ["dryRun", "fieldManager", "fieldValidation"].map(parameter);
        let operation = |action: &str| {
            json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "responses": {},
                "parameters": parameters})
        };
        paths.insert(collection.clone(), json!({"post": operation("post")}));
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({"patch": operation("patch"), "put": operation("put")}),
        );
        let name = format!("{}.{}", wanted.replace('/', "."), resource.kind);
        let unknown = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let mut schema = custom_schema(&state, resource).unwrap_or(unknown);
        schema["x-kubernetes-group-version-kind"] = json!([kind]);
        schemas.insert(name, schema);
    }
    Ok(respond(
        StatusCode::OK,
        &json!({"openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "keda-testkit"}, "paths": paths,
        "components": {"schemas": schemas}}),
    ))
}

/// The schema of a custom resource, from its CRD.
fn custom_schema(state: &State, resource: &Resource) -> Option<Value> {
    let crds = state.catalog.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")?;
    let key = Key::new("", &format!("{}.{}", resource.plural(), resource.group()));
    let crd = state.get(&crds, &key, Part::Main).ok()?;
    let versions = crd["spec"]["versions"].as_array()?;
    let version = versions.iter().find(|version| version["name"] == resource.version.as_str())?;
    Some(version["schema"]["openAPIV3Schema"].clone()).filter(Value::is_object)
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}

/// Where the kinds of a group version live.
fn prefix(resource: &Resource) -> String {
    if resource.group().is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}/{}", resource.group(), resource.version)
    }
}
