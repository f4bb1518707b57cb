//! What is around objects: events' strictness, discovery, tables, reviews, denials, faults, the log, aggregation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenReview},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    autoscaling::v2::HorizontalPodAutoscaler,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Event as CoreEvent, ServiceAccount},
    events::v1::Event,
};
use keda_testkit::{ApiServer, Backend, Denial, Fault, Identity, Verb};
use kube::{
    Api, Discovery, Error,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::{GroupVersionKind, Status},
    discovery::{self, ApiCapabilities},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::service_fn;

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Box<Status> {
    match result.unwrap_err() {
        Error::Api(status) => status,
        other => panic!("{other:?}"),
    }
}

fn event(change: &Value) -> Event {
    let mut event = json!({"metadata": {"name": "e", "namespace": "default"}, "type": "Normal", "reason": "Why",
        "action": "Scaled", "note": "what happened", "reportingController": "keda-operator",
        "reportingInstance": "keda-operator-1", "eventTime": "2026-01-01T00:00:00.123456Z",
        "regarding": {"kind": "ScaledObject", "namespace": "default", "name": "so"}});
    event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    from(event)
}

#[tokio::test(start_paused = true)]
async fn events_are_held_to_their_limits() {
    let server = ApiServer::new();
    let api: Api<Event> = Api::default_namespaced(server.client());
    let create = async |change: Value| {
        api.create(&PostParams { dry_run: true, ..Default::default() }, &event(&change)).await
    };
    create(json!({})).await.unwrap();
    create(json!({"action": "x".repeat(128), "note": "x".repeat(1024)})).await.unwrap();
    for (change, expected) in [
        (
            json!({"action": "x".repeat(129)}),
            "Event \"e\" is invalid: action: Invalid value: \"\": can have at most 128 characters",
        ),
        (
            json!({"note": "x".repeat(1025)}),
            "Event \"e\" is invalid: message: Invalid value: \"\": can have at most 1024 characters",
        ),
        (json!({"action": ""}), "Event \"e\" is invalid: action: Required value"),
        (json!({"reason": ""}), "Event \"e\" is invalid: reason: Required value"),
        (json!({"reportingInstance": ""}), "Event \"e\" is invalid: reportingInstance: Required value"),
        (json!({"eventTime": null}), "Event \"e\" is invalid: eventTime: Required value"),
        (json!({"type": "Odd"}), "Event \"e\" is invalid: type: Invalid value: \"\": has invalid value: Odd"),
        (
            json!({"reportingController": "a b"}),
            "Event \"e\" is invalid: reportingController: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
    ] {
        let refusal = refused(create(change).await);
        assert_eq!((refusal.code, refusal.message.as_str()), (422, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_object_in_both_apis() {
    let server = ApiServer::new();
    let new: Api<Event> = Api::default_namespaced(server.client());
    let old: Api<CoreEvent> = Api::default_namespaced(server.client());
    new.create(&PostParams::default(), &event(&json!({}))).await.unwrap();
    let shown = old.get("e").await.unwrap();
    assert_eq!(shown.message.as_deref(), Some("what happened"));
    assert_eq!(shown.involved_object.name.as_deref(), Some("so"));
    assert_eq!(shown.reporting_component.as_deref(), Some("keda-operator"));
    let by_object = ListParams::default().fields("involvedObject.name=so,involvedObject.kind=ScaledObject");
    assert_eq!(old.list(&by_object).await.unwrap().items.len(), 1);
    let by_object = ListParams::default().fields("regarding.name=other");
    assert_eq!(new.list(&by_object).await.unwrap().items.len(), 0);

    // What the recorder of kube-rs does with a repetition.
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let patched = new.patch("e", &PatchParams::default(), &Patch::Merge(series)).await.unwrap();
    assert_eq!(patched.series.unwrap().count, 2);
    assert_eq!(patched.event_time.unwrap().0.to_string(), "2026-01-01T00:00:00.123456Z");
    let note = json!({"note": "another"});
    let refusal = refused(new.patch("e", &PatchParams::default(), &Patch::Merge(note)).await);
    assert!(refusal.message.contains("message: Invalid value: \"another\": field is immutable"));
}

#[tokio::test(start_paused = true)]
async fn autoscalers_are_checked_and_defaulted() {
    let server = ApiServer::new();
    let api: Api<HorizontalPodAutoscaler> = Api::default_namespaced(server.client());
    let autoscaler = |name: &str, target: &str, min: i32, max: i32| -> HorizontalPodAutoscaler {
        from(json!({"metadata": {"name": "h"}, "spec": {"minReplicas": min, "maxReplicas": max,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
            "metrics": [{"type": "External", "external": {"metric": {"name": name},
                "target": {"type": "AverageValue", "averageValue": target}}}]}}))
    };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    for (object, expected) in [
        (
            autoscaler("a/b", "1", 1, 2),
            "spec.metrics[0].external.metric.name: Invalid value: \"a/b\": may not contain '/'",
        ),
        (
            autoscaler("s0-x", "0", 1, 2),
            "spec.metrics[0].external.target.averageValue: Invalid value: \"0\": must be positive",
        ),
        (autoscaler("s0-x", "-5", 1, 2), "must be positive"),
        (
            autoscaler("s0-x", "1", 5, 2),
            "spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`",
        ),
        (
            autoscaler("s0-x", "1", 0, 2),
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        ),
    ] {
        let refusal = refused(api.create(&dry, &object).await);
        assert!(refusal.message.contains(expected), "{}", refusal.message);
    }
    let made = api.create(&PostParams::default(), &autoscaler("s0-x", "5.000", 1, 2)).await.unwrap();
    let spec = made.spec.unwrap();
    let metric = spec.metrics.unwrap().remove(0).external.unwrap();
    assert_eq!(metric.target.average_value.unwrap().0, "5", "kept as Kubernetes keeps quantities");
    let behavior = spec.behavior.unwrap();
    assert_eq!(behavior.scale_down.unwrap().policies.unwrap().len(), 1);
    assert_eq!(behavior.scale_up.unwrap().policies.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn leases_are_created_by_put_and_locked() {
    let server = ApiServer::new();
    let api: Api<Lease> = Api::default_namespaced(server.client());
    let lease: Lease = from(json!({"metadata": {"name": "operator.keda.sh"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}}));
    let made = api.replace("operator.keda.sh", &PostParams::default(), &lease).await.unwrap();
    let refusal = refused(api.replace("operator.keda.sh", &PostParams::default(), &lease).await);
    assert!(refusal.message.contains("metadata.resourceVersion"));
    let mut renewed = made.clone();
    renewed.spec.as_mut().unwrap().holder_identity = Some("b".into());
    api.replace("operator.keda.sh", &PostParams::default(), &renewed).await.unwrap();
    assert_eq!(refused(api.replace("operator.keda.sh", &PostParams::default(), &made).await).code, 409);
}

#[tokio::test(start_paused = true)]
async fn discovery_knows_everything() {
    let server = ApiServer::new();
    server.install_crds(keda_api::crds::all()).unwrap();
    let client = server.client();
    let has = |capabilities: &ApiCapabilities, name: &str| {
        capabilities.subresources.iter().any(|(resource, _)| resource.plural.ends_with(name))
    };
    for discovery in [
        Discovery::new(client.clone()).run().await.unwrap(),
        Discovery::new(client.clone()).run_aggregated().await.unwrap(),
    ] {
        let (kind, capabilities) =
            discovery.resolve_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject")).unwrap();
        assert_eq!(kind.plural, "scaledobjects");
        assert!(has(&capabilities, "status"));
        let (_, capabilities) =
            discovery.resolve_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment")).unwrap();
        assert!(has(&capabilities, "scale"));
        assert!(discovery.resolve_gvk(&GroupVersionKind::gvk("", "v1", "Secret")).is_some());
    }
    let unknown = discovery::pinned_kind(&client, &GroupVersionKind::gvk("apps", "v1", "Thing")).await;
    assert!(unknown.is_err());
    let version = client.apiserver_version().await.unwrap();
    assert_eq!(version.minor, "35");
}

async fn fetch(server: &ApiServer, path: &str, accept: &str) -> (u16, Value) {
    let request = Request::get(path).header("accept", accept).body(Full::new(Bytes::new())).unwrap();
    let response = server.handle(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
}

#[tokio::test(start_paused = true)]
async fn tables_are_what_kubectl_shows() {
    let server = ApiServer::new();
    server.install_crds(keda_api::crds::all()).unwrap();
    server
        .seed(&json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "so"},
            "spec": {"scaleTargetRef": {"name": "web"}, "minReplicaCount": 0, "maxReplicaCount": 5,
                "triggers": [{"type": "cron", "metadata": {}}]},
            "status": {"scaleTargetKind": "apps/v1.Deployment", "triggersTypes": "cron",
                "conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, table) =
        fetch(&server, "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects?includeObject=None", accept)
            .await;
    assert_eq!(table["kind"], "Table");
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(&names[..6], ["Name", "ScaleTargetKind", "ScaleTargetName", "Min", "Max", "Ready"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(
        &cells[..7],
        [
            json!("so"),
            json!("apps/v1.Deployment"),
            json!("web"),
            json!(0),
            json!(5),
            json!("True"),
            Value::Null
        ]
    );
    let (status, refusal) = fetch(&server, "/api/v1/pods", "application/vnd.kubernetes.protobuf").await;
    assert_eq!((status, refusal["reason"].as_str()), (406, Some("NotAcceptable")));
    let (_, list) = fetch(&server, "/api/v1/namespaces", "application/json").await;
    assert_eq!((list["kind"].as_str(), list["items"][0].get("kind")), (Some("NamespaceList"), None));
}

#[tokio::test(start_paused = true)]
async fn reviews_and_denials() {
    let server = ApiServer::new();
    let hpa = Identity { user: "hpa".into(), groups: vec!["system:authenticated".into()] };
    server.add_token("secret", hpa);
    let reviews: Api<TokenReview> = Api::all(server.client());
    let ask = async |token: &str| {
        let review: TokenReview = from(json!({"metadata": {}, "spec": {"token": token}}));
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap()
    };
    let known = ask("secret").await;
    assert_eq!((known.authenticated, known.user.unwrap().username.as_deref()), (Some(true), Some("hpa")));
    let unknown = ask("wrong").await;
    assert_eq!((unknown.authenticated, unknown.error.as_deref()), (None, Some("invalid bearer token")));

    let reviews: Api<SubjectAccessReview> = Api::all(server.client());
    let may = async |user: &str, group: &str| {
        let attributes =
            ResourceAttributes { verb: Some("list".into()), group: Some(group.into()), ..Default::default() };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.into()),
            resource_attributes: Some(attributes),
            ..Default::default()
        };
        let review = SubjectAccessReview { spec, ..Default::default() };
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    };
    assert!(may("jane", "external.metrics.k8s.io").await);
    server.deny(Denial { user: "jane".into(), group: "external.metrics.k8s.io".into(), ..Denial::default() });
    assert!(!may("jane", "external.metrics.k8s.io").await);
    assert!(may("hpa", "external.metrics.k8s.io").await);

    server.deny(Denial { user: "operator".into(), resource: "secrets".into(), ..Denial::default() });
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::default_namespaced(server.client_for("operator"));
    let refusal = refused(secrets.list(&ListParams::default()).await);
    assert_eq!(
        refusal.message,
        "secrets is forbidden: User \"operator\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\""
    );
    server.allow_all();
    secrets.list(&ListParams::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn faults_and_the_log() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client_for("operator"));
    let object: ConfigMap = from(json!({"metadata": {"name": "a"}}));
    let mark = server.mark();
    server.faults().next(
        1,
        |request| request.verb == Verb::Create,
        Fault::TooManyRequests { retry_after: 7 },
    );
    server.faults().next(1, |request| request.verb == Verb::Create, Fault::Timeout(Duration::from_secs(60)));
    let refusal = refused(api.create(&PostParams::default(), &object).await);
    assert_eq!((refusal.code, refusal.details.unwrap().retry_after_seconds), (429, 7));
    let began = Instant::now();
    assert_eq!(refused(api.create(&PostParams::default(), &object).await).code, 504);
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    assert_eq!(server.faults().pending(), 0);
    server.faults().latency(Duration::from_millis(250));
    let began = Instant::now();
    api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(250));
    server.faults().clear();
    server.faults().next(1, |request| request.name == "a", Fault::Disconnect);
    assert!(!matches!(api.get("a").await.unwrap_err(), Error::Api(_)));
    server.faults().next(1, |_| true, Fault::Conflict);
    let patch = Patch::Merge(json!({"data": {"k": "v"}}));
    let refusal = refused(api.patch("a", &PatchParams::default(), &patch).await);
    assert!(refusal.message.starts_with("Operation cannot be fulfilled on configmaps \"a\""));

    let writes = server.writes_since(mark);
    let answers: Vec<(Verb, Option<u16>)> = writes.iter().map(|write| (write.verb, write.status)).collect();
    assert_eq!(
        answers,
        [
            (Verb::Create, Some(429)),
            (Verb::Create, Some(504)),
            (Verb::Create, Some(201)),
            (Verb::Patch, Some(409))
        ]
    );
    assert!(
        writes
            .iter()
            .all(|write| write.user == "operator" && write.path == "/api/v1/namespaces/default/configmaps"
                || write.name == "a")
    );
    assert_eq!(server.requests_since(mark).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn aggregated_groups_go_to_their_backend() {
    let server = ApiServer::new();
    let backend = Backend::service(service_fn(|request: Request<Full<Bytes>>| async move {
        let user = request.headers()["x-remote-user"].to_str().unwrap().to_owned();
        let groups: Vec<_> = request
            .headers()
            .get_all("x-remote-group")
            .iter()
            .map(|group| group.to_str().unwrap().to_owned())
            .collect();
        let body = match request.uri().path() {
            "/apis/external.metrics.k8s.io/v1beta1" => json!({"kind": "APIResourceList", "apiVersion": "v1",
                "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": [{"name": "externalmetrics",
                "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"]}]}),
            path => json!({"path": path, "query": request.uri().query(), "user": user, "groups": groups}),
        };
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body.to_string()))))
    }));
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/a/m";
    assert_eq!(fetch(&server, path, "*/*").await, (404, json!("404 page not found\n")));
    server.aggregate("v1beta1.external.metrics.k8s.io", backend).unwrap();

    let client = server.client_for("hpa");
    let request = Request::get("/apis/external.metrics.k8s.io/v1beta1/namespaces/a/m?labelSelector=x%3Dy")
        .body(vec![])
        .unwrap();
    let answer: Value = client.request(request).await.unwrap();
    assert_eq!(answer["path"], "/apis/external.metrics.k8s.io/v1beta1/namespaces/a/m");
    assert_eq!(answer["query"], "labelSelector=x%3Dy");
    assert_eq!((answer["user"].as_str(), &answer["groups"]), (Some("hpa"), &json!(["system:authenticated"])));
    let groups = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    let kind = GroupVersionKind::gvk("external.metrics.k8s.io", "v1beta1", "ExternalMetricValueList");
    assert!(groups.resolve_gvk(&kind).is_some());
    let logged = server.requests();
    let data = logged.iter().rfind(|request| request.resource == "m").unwrap();
    assert_eq!(data.user, "hpa");

    let trust: ConfigMap = server.read("kube-system", "extension-apiserver-authentication").unwrap();
    let data = trust.data.unwrap();
    assert!(data["requestheader-client-ca-file"].starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(data["requestheader-allowed-names"], "[\"front-proxy-client\"]");
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_token_speaks_for_it() {
    let server = ApiServer::new();
    let api: Api<ServiceAccount> = Api::default_namespaced(server.client());
    let request = |seconds: i64| -> TokenRequest {
        from(json!({"spec": {"audiences": ["api://x"], "expirationSeconds": seconds}}))
    };
    let make =
        async |seconds| api.create_token_request("web", &PostParams::default(), &request(seconds)).await;
    assert_eq!(refused(make(3600).await).code, 404);
    api.create(&PostParams::default(), &from(json!({"metadata": {"name": "web"}}))).await.unwrap();
    assert!(refused(make(599).await).message.contains("may not specify a duration less than 10 minutes"));
    let status = make(3600).await.unwrap().status.unwrap();
    assert_eq!(
        status.expiration_timestamp.0 - keda_testkit::Clock::START,
        jiff::Span::new().seconds(3600).fieldwise()
    );

    let reviews: Api<TokenReview> = Api::all(server.client());
    let review: TokenReview = from(json!({"metadata": {}, "spec": {"token": status.token}}));
    let review = reviews.create(&PostParams::default(), &review).await.unwrap();
    let user = review.status.unwrap().user.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:default:web"));
}
