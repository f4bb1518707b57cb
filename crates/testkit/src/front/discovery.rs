//! Discovery: which groups, versions and kinds there are, in the old documents (one a group version) and the new one
//! (everything at once, apidiscovery.k8s.io/v2).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Asked, NO_PAGE, form, json as respond, plain, route::Route, with_type};
use crate::{
    refusal::Refusal,
    resource::Resource,
    server::{Body, Inner},
    sync::lock,
};

/// The minor version of Kubernetes that the built-in kinds are of.
const MINOR: u32 = 35;

pub(super) fn server_version() -> Value {
    json!({"major": "1", "minor": MINOR.to_string(), "gitVersion": format!("v1.{MINOR}.0+keda-testkit"),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none",
        "compiler": "rustc", "platform": "linux/amd64"})
}

pub(super) async fn answer(
    server: &Arc<Inner>,
    asked: &Asked,
    route: &Route,
) -> Result<Response<Body>, Refusal> {
    let resources = lock(&server.state).catalog.all().to_vec();
    let aggregated = matches!(route, Route::Core | Route::Groups)
        && form::accepted(&asked.headers).iter().any(|item| {
            item.contains("as=APIGroupDiscoveryList") && item.contains("v=v2") && !item.contains("v=v2beta1")
        });
    let document = match route {
        Route::Core | Route::Groups if aggregated => {
            let mut items = everything(&resources, matches!(route, Route::Core));
            if matches!(route, Route::Groups) {
                for (group, version) in server.aggregated_groups() {
                    items.push(of_backend(server, asked, &group, &version).await);
                }
            }
            let document = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {}, "items": items});
            let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
            return Ok(with_type(StatusCode::OK, kind, document.to_string()));
        }
        Route::Core => json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]}),
        Route::Groups => {
            let groups: Vec<Value> = groups(server, &resources)
                .iter()
                .map(|(group, versions)| group_document(group, versions))
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Route::Group { group } => {
            let groups = groups(server, &resources);
            let Some((name, versions)) = groups.iter().find(|(name, _)| name == group) else {
                return Ok(plain(StatusCode::NOT_FOUND, NO_PAGE));
            };
            let mut document = group_document(name, versions);
            document["kind"] = json!("APIGroup");
            document["apiVersion"] = json!("v1");
            document
        }
        Route::Version { group, version } => {
            let found: Vec<&Resource> = resources
                .iter()
                .map(|resource| &**resource)
                .filter(|resource| resource.group() == group && resource.version == *version)
                .collect();
            let Some(first) = found.first() else {
                let known = groups(server, &resources).iter().any(|(name, _)| name == group);
                return if known {
                    Err(Refusal::no_route())
                } else {
                    Ok(plain(StatusCode::NOT_FOUND, NO_PAGE))
                };
            };
            let listed: Vec<Value> = found.iter().flat_map(|resource| listed(resource)).collect();
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(),
                "resources": listed})
        }
        _ => return Err(Refusal::no_route()),
    };
    Ok(respond(StatusCode::OK, &document))
}

/// Named groups and their versions, in the order of the catalog.
fn groups(server: &Inner, resources: &[Arc<Resource>]) -> Vec<(String, Vec<String>)> {
    let of_resources =
        resources.iter().map(|resource| (resource.group().to_owned(), resource.version.clone()));
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (group, version) in of_resources.chain(server.aggregated_groups()) {
        if group.is_empty() {
            continue;
        }
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, versions)) if versions.contains(&version) => {}
            Some((_, versions)) => versions.push(version),
            None => groups.push((group, vec![version])),
        }
    }
    groups
}

fn group_document(group: &str, versions: &[String]) -> Value {
    let entry = |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(entry).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// A kind and its subresources, in the old form.
fn listed(resource: &Resource) -> Vec<Value> {
    let mut main = json!({"name": resource.plural(), "singularName": resource.singular,
        "namespaced": resource.namespaced, "kind": resource.kind, "verbs": resource.verbs()});
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let sub = |name: &str| format!("{}/{name}", resource.plural());
    let verbs = ["get", "patch", "update"];
    let mut entries = vec![main];
    if resource.status {
        entries.push(json!({"name": sub("status"), "singularName": "", "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs}));
    }
    if resource.scale.is_some() {
        entries.push(json!({"name": sub("scale"), "singularName": "", "namespaced": resource.namespaced,
            "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": verbs}));
    }
    entries
}

/// The groups in the new form: the core group, or all others.
fn everything(resources: &[Arc<Resource>], core: bool) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for resource in resources.iter().filter(|resource| resource.group().is_empty() == core) {
        let item = items.iter().position(|item| item["metadata"]["name"] == resource.group());
        let index = item.unwrap_or_else(|| {
            items.push(json!({"metadata": {"name": resource.group()}, "versions": []}));
            items.len() - 1
        });
        let Some(versions) = items[index]["versions"].as_array_mut() else { continue };
        let version = versions.iter().position(|version| version["version"] == resource.version.as_str());
        let version = version.unwrap_or_else(|| {
            versions.push(json!({"version": resource.version, "freshness": "Current", "resources": []}));
            versions.len() - 1
        });
        if let Some(entries) = versions[version]["resources"].as_array_mut() {
            entries.push(described(resource));
        }
    }
    items
}

fn described(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group(), "version": resource.version, "kind": resource.kind});
    let verbs = ["get", "patch", "update"];
    let mut subresources = Vec::new();
    if resource.status {
        subresources.push(json!({"subresource": "status", "responseKind": kind, "verbs": verbs}));
    }
    if resource.scale.is_some() {
        let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        subresources.push(json!({"subresource": "scale", "responseKind": scale, "verbs": verbs}));
    }
    let mut document = json!({"resource": resource.plural(), "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs()});
    if !resource.short_names.is_empty() {
        document["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        document["categories"] = json!(resource.categories);
    }
    if !subresources.is_empty() {
        document["subresources"] = json!(subresources);
    }
    document
}

/// What a backend says of its group version; stale and empty if it says nothing.
async fn of_backend(server: &Arc<Inner>, asked: &Asked, group: &str, version: &str) -> Value {
    let listed = match server.backend(group, version) {
        Some(backend) => crate::aggregate::discover(&backend, &asked.identity, group, version).await,
        None => None,
    };
    let entry = match listed {
        None => json!({"version": version, "freshness": "Stale", "resources": []}),
        Some(list) => {
            let resources = list["resources"].as_array().into_iter().flatten();
            let resources: Vec<Value> = resources
                .filter(|resource| resource["name"].as_str().is_some_and(|name| !name.contains('/')))
                .map(|resource| {
                    json!({"resource": resource["name"], "singularResource": resource["singularName"],
                        "responseKind": {"group": group, "version": version, "kind": resource["kind"]},
                        "scope": if resource["namespaced"] == true { "Namespaced" } else { "Cluster" },
                        "verbs": resource["verbs"]})
                })
                .collect();
            json!({"version": version, "freshness": "Current", "resources": resources})
        }
    };
    json!({"metadata": {"name": group}, "versions": [entry]})
}
