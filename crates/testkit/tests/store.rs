//! Objects through kube-rs clients: conflicts, status, finalizers, owners, namespaces, patches, selectors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Namespace, Secret},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use keda_testkit::ApiServer;
use kube::{
    Api, Error, Resource, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
    },
    core::GroupVersionKind,
};
use serde_json::{Value, json};

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    from(json!({"metadata": {"name": name}, "data": {"key": "value"}}))
}

fn deployment(name: &str) -> Deployment {
    from(json!({"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}}}))
}

/// A custom kind with all subresources.
fn widgets() -> CustomResourceDefinition {
    from(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wg"]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                    "spec": {"type": "object", "properties": {
                        "replicas": {"type": "integer", "minimum": 0},
                        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"}}},
                    "status": {"type": "object", "properties": {
                        "replicas": {"type": "integer"}, "selector": {"type": "string"}}}}}}}]}}))
}

fn widget_api(server: &ApiServer) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Widget"));
    Api::namespaced_with(server.client(), "default", &kind)
}

fn widget(value: &Value) -> DynamicObject {
    let mut object = json!({"apiVersion": "example.com/v1", "kind": "Widget"});
    object.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    from(object)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Box<kube::core::Status> {
    match result.unwrap_err() {
        Error::Api(status) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn create_get_replace_conflict() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let made = api.create(&PostParams::default(), &config_map("a")).await.unwrap();
    assert_eq!(made.metadata.creation_timestamp.as_ref().unwrap().0.to_string(), "2026-01-01T00:00:00Z");
    assert!(made.uid().is_some() && made.metadata.generation.is_none());

    let again = refused(api.create(&PostParams::default(), &config_map("a")).await);
    assert_eq!((again.code, again.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(again.message, "configmaps \"a\" already exists");

    let mut stale = made.clone();
    let mut fresh = made.clone();
    fresh.data.get_or_insert_default().insert("k".into(), "1".into());
    let fresh = api.replace("a", &PostParams::default(), &fresh).await.unwrap();
    assert_ne!(fresh.resource_version(), made.resource_version());
    stale.data.get_or_insert_default().insert("k".into(), "2".into());
    let conflict = refused(api.replace("a", &PostParams::default(), &stale).await);
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        conflict.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    // Nothing changes, so nothing is written.
    let same = api.replace("a", &PostParams::default(), &fresh).await.unwrap();
    assert_eq!(same.resource_version(), fresh.resource_version());

    let missing = refused(api.get("b").await);
    assert_eq!((missing.code, missing.message.as_str()), (404, "configmaps \"b\" not found"));
    let elsewhere: Api<ConfigMap> = Api::namespaced(server.client(), "nowhere");
    let missing = refused(elsewhere.create(&PostParams::default(), &config_map("a")).await);
    assert_eq!(missing.message, "namespaces \"nowhere\" not found");
}

#[tokio::test(start_paused = true)]
async fn generated_names_dry_run_and_invalid_objects() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let mut object = config_map("");
    object.metadata.name = None;
    object.metadata.generate_name = Some("job-".into());
    let one = api.create(&PostParams::default(), &object).await.unwrap();
    let two = api.create(&PostParams::default(), &object).await.unwrap();
    assert!(one.name_any().starts_with("job-") && one.name_any().len() == 9);
    assert_ne!(one.name_any(), two.name_any());

    let dry = PostParams { dry_run: true, ..PostParams::default() };
    assert!(api.create(&dry, &config_map("dry")).await.unwrap().uid().is_some());
    assert!(api.get_opt("dry").await.unwrap().is_none());

    let invalid = refused(api.create(&PostParams::default(), &config_map("Not_A_Name")).await);
    assert_eq!((invalid.code, invalid.reason.as_str()), (422, "Invalid"));
    assert!(invalid.message.starts_with(
        "ConfigMap \"Not_A_Name\" is invalid: metadata.name: Invalid value: \"Not_A_Name\": a lowercase RFC 1123 subdomain"
    ));
    assert_eq!(invalid.details.unwrap().causes[0].field, "metadata.name");
    let mut labelled = config_map("x");
    labelled.labels_mut().insert("app".into(), "x".repeat(64));
    assert!(
        refused(api.create(&PostParams::default(), &labelled).await)
            .message
            .contains("must be no more than 63 bytes")
    );
}

#[tokio::test(start_paused = true)]
async fn generation_follows_spec_and_status_stands_apart() {
    let server = ApiServer::new();
    server.install_crds(vec![widgets()]).unwrap();
    let api = widget_api(&server);
    let object = widget(&json!({"metadata": {"name": "w"}, "spec": {"replicas": 1, "unknown": 1},
        "status": {"replicas": 9}}));
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(made.data, json!({"spec": {"replicas": 1, "mode": "a"}}), "pruned, defaulted, no status");
    assert_eq!(made.metadata.generation, Some(1));

    let patch = json!({"spec": {"replicas": 2}, "status": {"replicas": 7}});
    let status = api.patch_status("w", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(status.data, json!({"spec": {"replicas": 1, "mode": "a"}, "status": {"replicas": 7}}));
    assert_eq!(status.metadata.generation, Some(1));
    let patch = json!({"spec": {"replicas": 2}, "status": {"replicas": 8}});
    let main = api.patch("w", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(main.data, json!({"spec": {"replicas": 2, "mode": "a"}, "status": {"replicas": 7}}));
    assert_eq!(main.metadata.generation, Some(2));
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let labelled = api.patch("w", &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();
    assert_eq!(labelled.metadata.generation, Some(2));

    let bad = json!({"spec": {"mode": "c", "replicas": "3"}});
    let invalid = refused(api.patch("w", &PatchParams::default(), &Patch::Merge(&bad)).await);
    assert_eq!(
        invalid.message,
        "Widget.example.com \"w\" is invalid: [spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\", spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"]"
    );
    let mut unversioned = main;
    unversioned.metadata.resource_version = None;
    let refusal = refused(api.replace("w", &PostParams::default(), &unversioned).await);
    assert!(
        refusal
            .message
            .contains("metadata.resourceVersion: Invalid value: 0: must be specified for an update")
    );
    let strategic = refused(api.patch("w", &PatchParams::default(), &Patch::Strategic(&labels)).await);
    assert_eq!(strategic.code, 415);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_one_goes() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let mut object = config_map("held");
    object.metadata.finalizers = Some(vec!["a.b/c".into(), "finalizer.keda.sh".into()]);
    api.create(&PostParams::default(), &object).await.unwrap();
    let deleted = api.delete("held", &DeleteParams::default()).await.unwrap();
    let waiting = deleted.left().expect("the object still waits");
    assert!(waiting.metadata.deletion_timestamp.is_some());
    let version = waiting.resource_version();
    let again = api.delete("held", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(again.resource_version(), version, "deleting twice changes nothing");

    let more = json!({"metadata": {"finalizers": ["a.b/c", "finalizer.keda.sh", "new/one"]}});
    let refusal = refused(api.patch("held", &PatchParams::default(), &Patch::Merge(&more)).await);
    assert!(refusal.message.contains("metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"new/one\"}"), "{}", refusal.message);

    let one = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "a.b/c"},
        {"op": "remove", "path": "/metadata/finalizers/0"}]);
    let one: json_patch::Patch = serde_json::from_value(one).unwrap();
    api.patch("held", &PatchParams::default(), &Patch::Json::<()>(one)).await.unwrap();
    assert!(api.get_opt("held").await.unwrap().is_some());
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("held", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    assert!(api.get_opt("held").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn dependents_go_with_their_owner() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let post = PostParams::default();
    let owner = api.create(&post, &config_map("owner")).await.unwrap();
    let other = api.create(&post, &config_map("other")).await.unwrap();
    let owned = |name: &str, owners: &[&ConfigMap]| {
        let mut object = config_map(name);
        object.metadata.owner_references =
            Some(owners.iter().map(|owner| owner.controller_owner_ref(&()).unwrap()).collect());
        object.metadata.owner_references.iter_mut().flatten().skip(1).for_each(|r| r.controller = None);
        object
    };
    let child = api.create(&post, &owned("child", &[&owner])).await.unwrap();
    api.create(&post, &owned("grandchild", &[&child])).await.unwrap();
    api.create(&post, &owned("shared", &[&owner, &other])).await.unwrap();
    api.delete("owner", &DeleteParams::background()).await.unwrap();
    let left: Vec<String> =
        api.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(left, ["other", "shared"]);
    assert_eq!(api.get("shared").await.unwrap().owner_references().len(), 1);

    // Abandoned from the start.
    api.create(&post, &owned("late", &[&owner])).await.unwrap();
    assert!(api.get_opt("late").await.unwrap().is_none());

    api.delete(
        "other",
        &DeleteParams {
            propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
            ..DeleteParams::default()
        },
    )
    .await
    .unwrap();
    assert!(api.get("shared").await.unwrap().owner_references().is_empty());
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_waits_for_blocking_dependents() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let owner = api.create(&PostParams::default(), &config_map("owner")).await.unwrap();
    let mut child = config_map("child");
    let reference = owner.controller_owner_ref(&()).unwrap();
    child.metadata.owner_references =
        Some(vec![OwnerReference { block_owner_deletion: Some(true), ..reference }]);
    child.metadata.finalizers = Some(vec!["x/y".into()]);
    api.create(&PostParams::default(), &child).await.unwrap();
    let waiting = api.delete("owner", &DeleteParams::foreground()).await.unwrap().left().unwrap();
    assert_eq!(waiting.finalizers(), ["foregroundDeletion"]);
    assert!(api.get("child").await.unwrap().metadata.deletion_timestamp.is_some());
    let none = json!({"metadata": {"finalizers": []}});
    api.patch("child", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    assert!(api.get_opt("child").await.unwrap().is_none());
    assert!(api.get_opt("owner").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn namespaces_and_crds_take_their_content_along() {
    let server = ApiServer::new();
    let spaces: Api<Namespace> = Api::all(server.client());
    spaces.create(&PostParams::default(), &from(json!({"metadata": {"name": "team"}}))).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "team");
    api.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let mut held = config_map("held");
    held.metadata.finalizers = Some(vec!["x/y".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    let waiting = spaces.delete("team", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(waiting.status.unwrap().phase.as_deref(), Some("Terminating"));
    let refusal = refused(api.create(&PostParams::default(), &config_map("late")).await);
    assert_eq!(refusal.code, 403);
    assert!(refusal.message.ends_with("because it is being terminated"));
    let none = json!({"metadata": {"finalizers": []}});
    api.patch("held", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    assert!(spaces.get_opt("team").await.unwrap().is_none());

    server.install_crds(vec![widgets()]).unwrap();
    let widgets = widget_api(&server);
    let object = widget(&json!({"metadata": {"name": "w"}, "spec": {}}));
    widgets.create(&PostParams::default(), &object).await.unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(server.client());
    let crd = crds.get("widgets.example.com").await.unwrap();
    let conditions = crd.status.unwrap().conditions.unwrap();
    assert!(
        conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
    );
    crds.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();
    let gone = refused(widgets.get("w").await);
    assert_eq!((gone.code, gone.message.trim()), (404, "404 page not found"));
}

#[tokio::test(start_paused = true)]
async fn scale_of_workloads_and_custom_resources() {
    let server = ApiServer::new();
    server.install_crds(vec![widgets()]).unwrap();
    let api: Api<Deployment> = Api::default_namespaced(server.client());
    api.create(&PostParams::default(), &deployment("web")).await.unwrap();
    let scale = api.get_scale("web").await.unwrap();
    assert_eq!(scale.spec.as_ref().unwrap().replicas, Some(1));
    assert_eq!(scale.status.as_ref().unwrap().selector.as_deref(), Some("app=web"));

    let mut zero = scale.clone();
    zero.spec.as_mut().unwrap().replicas = Some(0);
    let zero = api.replace_scale("web", &PostParams::default(), &zero).await.unwrap();
    assert_eq!(zero.spec.unwrap().replicas, None, "zero is left out");
    assert_eq!(api.get("web").await.unwrap().metadata.generation, Some(2));
    let conflict = refused(api.replace_scale("web", &PostParams::default(), &scale).await);
    assert_eq!(
        conflict.message,
        "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let patch = json!({"spec": {"replicas": 5}});
    api.patch_scale("web", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(api.get("web").await.unwrap().spec.unwrap().replicas, Some(5));
    let negative = json!({"spec": {"replicas": -1}});
    let invalid = refused(api.patch_scale("web", &PatchParams::default(), &Patch::Merge(&negative)).await);
    assert_eq!(
        invalid.message,
        "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
    assert_eq!(refused(api.get_scale("none").await).message, "deployments.apps \"none\" not found");

    let widgets = widget_api(&server);
    let object = widget(&json!({"metadata": {"name": "w"}, "spec": {"replicas": 3}}));
    widgets.create(&PostParams::default(), &object).await.unwrap();
    let status = json!({"status": {"replicas": 2, "selector": "x=y"}});
    widgets.patch_status("w", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let scale = widgets.get_scale("w").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    assert_eq!(scale.status.as_ref().unwrap().replicas, 2);
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("x=y"));

    let maps: Api<ConfigMap> = Api::default_namespaced(server.client());
    maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let none = refused(maps.get_subresource("scale", "a").await);
    assert_eq!(none.message, "the server could not find the requested resource");
}

#[tokio::test(start_paused = true)]
async fn lists_select_and_page() {
    let server = ApiServer::new();
    let api: Api<Secret> = Api::default_namespaced(server.client());
    for index in 0..7 {
        let parity = if index % 2 == 0 { "even" } else { "odd" };
        let secret: Secret =
            from(json!({"metadata": {"name": format!("s{index}"), "labels": {"parity": parity}},
            "stringData": {"k": "v"}}));
        api.create(&PostParams::default(), &secret).await.unwrap();
    }
    let names = |list: kube::core::ObjectList<Secret>| -> Vec<String> {
        list.iter().map(ResourceExt::name_any).collect()
    };
    let odd = api.list(&ListParams::default().labels("parity in (odd)")).await.unwrap();
    assert_eq!(names(odd), ["s1", "s3", "s5"]);
    let one = api.list(&ListParams::default().fields("metadata.name=s4,type=Opaque")).await.unwrap();
    assert_eq!(one.items[0].data.as_ref().unwrap()["k"].0, b"v");
    let page = api.list(&ListParams::default().limit(3)).await.unwrap();
    assert_eq!(page.metadata.remaining_item_count, Some(4));
    let token = page.metadata.continue_.clone().unwrap();
    let rest = api.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    assert_eq!(rest.metadata.resource_version, page.metadata.resource_version);
    assert_eq!([names(page), names(rest)].concat().len(), 7);
    server.expire_history();
    let gone = refused(api.list(&ListParams::default().continue_token(&token)).await);
    assert_eq!((gone.code, gone.reason.as_str()), (410, "Expired"));
    let unsupported = refused(api.list(&ListParams::default().fields("spec.x=1")).await);
    assert_eq!(unsupported.message, "field label not supported: spec.x");

    let metadata = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(metadata.items.len(), 7);
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("parity=odd"))
        .await
        .unwrap();
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn apply_creates_merges_and_forgets() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let manager = PatchParams::apply("me");
    let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}});
    api.patch("a", &manager, &Patch::Apply(&wanted)).await.unwrap();
    let other = json!({"data": {"z": "3"}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(&other)).await.unwrap();
    let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "9"}});
    let applied = api.patch("a", &manager, &Patch::Apply(&wanted)).await.unwrap();
    assert_eq!(json!(applied.data), json!({"x": "9", "z": "3"}));
    let version = applied.resource_version();
    let again = api.patch("a", &manager, &Patch::Apply(&wanted)).await.unwrap();
    assert_eq!(again.resource_version(), version);
}

#[tokio::test(start_paused = true)]
async fn preconditions_of_deletion() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    api.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let with = |preconditions| DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let wrong = with(Preconditions { uid: Some("other".into()), resource_version: None });
    let conflict = refused(api.delete("a", &wrong).await);
    assert_eq!(conflict.code, 409);
    assert!(
        conflict.message.contains("the UID in the precondition (other) does not match the UID in record")
    );
    let wrong = with(Preconditions { uid: None, resource_version: Some("1".into()) });
    assert!(
        refused(api.delete("a", &wrong).await)
            .message
            .contains("the ResourceVersion in the precondition (1)")
    );
}
