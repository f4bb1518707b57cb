//! The doctor on an installation in memory: well, and with one fault after the other.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingWebhookConfiguration,
        apps::v1::Deployment,
        coordination::v1::Lease,
        core::v1::{Pod, Secret, Service},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use keda_testkit::{ApiServer, Denial};
use keda_tls::make::{Bundle, KeyKind, generate};
use serde_json::{Value, json};

use super::*;

const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
const DAY: Duration = Duration::from_secs(24 * 3600);

const PROCESSES: [(&str, &str, &str, &str); 3] = [
    ("keda-operator", "keda-operator", "/keda", "keda-operator"),
    ("keda-metrics-apiserver", "keda-metrics-apiserver", "/keda-adapter", "keda-metrics-server"),
    ("keda-admission", "keda-admission-webhooks", "/keda-admission-webhooks", "keda-webhook"),
];

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// Certificates for the Services, made so long ago.
fn bundle(age: Duration) -> Bundle {
    let names = ["keda-operator", "keda-metrics-apiserver", "keda-admission-webhooks"];
    let names: Vec<_> = names.iter().map(|service| format!("{service}.keda.svc")).collect();
    generate(&names, KeyKind::EcdsaP256, SystemTime::now() - age).expect("certificates")
}

fn data(bundle: &Bundle) -> Value {
    json!({
        "ca.crt": encoded(&bundle.ca), "tls.crt": encoded(&bundle.cert), "tls.key": encoded(&bundle.key),
        "ca.key": encoded(&bundle.ca_key),
    })
}

/// The installation of the plain manifests, in a minute when all is well.
fn installation() -> ApiServer {
    let server = ApiServer::with_clock(keda_testkit::Clock::system());
    server.install_crds(keda_api::crds::all()).expect("the CRDs are accepted");
    let seed = |object: Value| _ = server.seed(&object).expect("is accepted");
    seed(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } }));
    for (name, app, command, account) in PROCESSES {
        let labels = json!({ "app": app });
        let arguments = match command {
            "/keda" => {
                json!(["--leader-elect", "--enable-cert-rotation=true", "--enable-webhook-patching=true"])
            }
            _ => json!(["--zap-log-level=info"]),
        };
        let container = json!({ "name": "main", "image": "keda:1", "command": [command], "args": arguments });
        seed(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "keda" },
            "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "serviceAccountName": account, "containers": [container] } } },
            "status": { "replicas": 1, "readyReplicas": 1 },
        }));
        seed(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("{name}-1"), "namespace": "keda", "labels": labels },
            "spec": { "containers": [container] },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        }));
        seed(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": app, "namespace": "keda" },
            "spec": { "selector": labels, "ports": [{ "port": 443 }] },
        }));
    }
    let certificates = bundle(Duration::ZERO);
    seed(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "kedaorg-certs", "namespace": "keda" },
        "data": data(&certificates),
    }));
    seed(json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": { "name": API_SERVICE },
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": { "name": "keda-metrics-apiserver", "namespace": "keda" }, "caBundle": encoded(&certificates.ca),
        },
        "status": { "conditions": [{ "type": "Available", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
    }));
    seed(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": "keda-admission" },
        "webhooks": [{
            "name": "vscaledobject.kb.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
            "clientConfig": {
                "caBundle": encoded(&certificates.ca),
                "service": { "name": "keda-admission-webhooks", "namespace": "keda", "path": "/validate" },
            },
        }],
    }));
    let now = jiff::Timestamp::now();
    seed(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "operator.keda.sh", "namespace": "keda" },
        "spec": { "holderIdentity": "keda-operator-1_a", "leaseDurationSeconds": 15, "renewTime": format!("{now:.6}") },
    }));
    server
}

fn world(server: &ApiServer) -> World {
    let namespace = "keda".to_owned();
    World { client: server.client(), namespace, clock: Clock::system(), own: None }
}

/// The lines of what is wrong, each with its fix.
async fn faults(server: &ApiServer) -> String {
    let report = world(server).examine().await;
    let text = report.text();
    let lines: Vec<&str> = text.lines().collect();
    let wrong = lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('✗'));
    let told = wrong.flat_map(|(at, line)| {
        let more = lines[at + 1..].iter().take_while(|line| line.starts_with("    "));
        [line].into_iter().chain(more).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.is_empty(), report.is_well());
    told.join("\n")
}

/// Changes one object and tells what is wrong then.
async fn after<K>(namespace: &str, name: &str, patch: Value) -> String
where
    K: kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned,
{
    let server = installation();
    server.merge::<K>(namespace, name, &patch).expect("is accepted");
    faults(&server).await
}

#[tokio::test]
async fn everything_is_well() {
    let report = world(&installation()).examine().await;
    let text = report.text();
    assert!(report.is_well(), "{text}");
    for line in [
        "  ✓ CRD             scaledobjects.keda.sh\n",
        "  ✓ operator        Deployment keda-operator, 1 of 1 ready\n",
        "  ✓ version         all of them run keda:1\n",
        "  ✓ lease           keda-operator-1_a leads, renewed",
        "  ✓ Service         keda-metrics-apiserver, 1 ready\n",
        "  ✓ APIService      v1beta1.external.metrics.k8s.io is available\n",
        "  ✓ webhooks        keda-admission asks for 1 kinds\n",
        "  ✓ validity        the certificate of kedaorg-certs ends in 36",
        "  ✓ names           of 3 Services\n",
        "  ✓ APIService      trusts the certificate\n",
        "  ✓ webhooks        trusts the certificate\n",
        "  ✓ operator        system:serviceaccount:keda:keda-operator may do the ",
        "  ✓ HPA controller  system:serviceaccount:kube-system:horizontal-pod-autoscaler may do the 2 things",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    let json = report.json();
    assert_eq!(json["well"], true);
    let lease =
        json["findings"].as_array().unwrap().iter().find(|finding| finding["step"] == "lease").unwrap();
    assert_eq!(
        (&lease["about"], &lease["mark"], &lease["fix"]),
        (&json!("leader"), &json!("good"), &Value::Null)
    );
}

#[tokio::test]
async fn definitions_that_are_missing_or_of_another_version() {
    let server = installation();
    server.remove::<CustomResourceDefinition>("", "scaledjobs.keda.sh").expect("is gone");
    let told = faults(&server).await;
    assert!(
        told.starts_with("✗ CRD scaledjobs.keda.sh does not exist\nfix: install this version's definitions"),
        "{told}"
    );

    let mut old =
        keda_api::crds::all().into_iter().find(|crd| crd.spec.names.kind == "ScaledObject").unwrap();
    let root = old.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    let spec = root.properties.as_mut().unwrap().get_mut("spec").unwrap();
    spec.properties.as_mut().unwrap().remove("fallback").unwrap();
    let fault = fault_of(
        &keda_api::crds::all().into_iter().find(|crd| crd.spec.names.kind == "ScaledObject").unwrap(),
        &old,
    );
    assert_eq!(
        fault.as_deref(),
        Some("is of another version: it lacks 1 field of ours, such as spec.fallback")
    );
    old.spec.versions[0].served = false;
    assert_eq!(fault_of(&old.clone(), &old).as_deref(), Some("does not serve version v1alpha1"));
}

#[tokio::test]
async fn processes_that_do_not_run_or_are_of_two_versions() {
    let server = installation();
    let crash = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }], "containerStatuses": [{
        "name": "main", "ready": false, "restartCount": 7, "image": "keda:1", "imageID": "",
        "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] } });
    server.merge::<Pod>("keda", "keda-operator-1", &crash).unwrap();
    server
        .merge::<Deployment>("keda", "keda-operator", &json!({ "status": { "readyReplicas": 0 } }))
        .unwrap();
    let told = faults(&server).await;
    assert_eq!(
        told,
        "✗ operator Deployment keda-operator, 0 of 1 ready: keda-operator-1 is CrashLoopBackOff, 7 restarts\n\
         fix: kubectl logs -n keda deployment/keda-operator; kubectl describe -n keda pods"
    );
    let container = json!([{ "name": "main", "image": "keda:2", "command": ["/keda-adapter"] }]);
    let other = json!({ "spec": { "template": { "spec": { "containers": container } } } });
    let told = after::<Deployment>("keda", "keda-metrics-apiserver", other).await;
    assert!(
        told.starts_with("✗ version they run different images: ") && told.contains("metrics server keda:2"),
        "{told}"
    );

    let told = after::<Deployment>("keda", "keda-operator", json!({ "spec": { "replicas": 0 } })).await;
    assert!(told.contains("fix: kubectl scale -n keda deployment keda-operator --replicas=1"), "{told}");

    let server = installation();
    server.remove::<Deployment>("keda", "keda-metrics-apiserver").unwrap();
    let told = faults(&server).await;
    assert!(told.contains("✗ metrics server there is no Deployment of it in namespace keda"), "{told}");

    let nowhere = World { namespace: "elsewhere".to_owned(), ..world(&installation()) };
    let text = nowhere.examine().await.text();
    assert!(text.contains("✗ Deployment  there is no Deployment of KEDA in namespace elsewhere"), "{text}");
}

#[tokio::test]
async fn another_operator_on_the_same_objects() {
    let server = installation();
    let rival = |name: &str, watches: &str| {
        let container = json!({ "name": "keda-operator", "image": "ghcr.io/kedacore/keda:2.20.2", "command": ["/keda"],
            "args": ["--leader-elect"], "env": [{ "name": "WATCH_NAMESPACE", "value": watches }] });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "scaling" },
            "spec": { "replicas": 1, "selector": { "matchLabels": { "app": name } }, "template": {
                "metadata": { "labels": { "app": name } }, "spec": { "containers": [container] } } },
        })
    };
    server.seed(&rival("keda-operator", "")).unwrap();
    assert_eq!(
        faults(&server).await,
        "✗ operator Deployment scaling/keda-operator (ghcr.io/kedacore/keda:2.20.2) is an operator, too: both scale the same objects\n\
         fix: keep one: kubectl scale -n scaling deployment keda-operator --replicas=0, or give them different namespaces to watch"
    );
    // One that watches other namespaces is in nobody's way.
    let env = |watches: &str| {
        json!([{ "name": "main", "image": "keda:1", "command": ["/keda"],
        "args": ["--leader-elect", "--enable-cert-rotation=true"], "env": [{ "name": "WATCH_NAMESPACE", "value": watches }] }])
    };
    let narrow = json!({ "spec": { "template": { "spec": { "containers": env("shop") } } } });
    server.merge::<Deployment>("keda", "keda-operator", &narrow).unwrap();
    server.seed(&rival("keda-operator", "mail,chat")).unwrap();
    assert_eq!(faults(&server).await, "");
}

#[tokio::test]
async fn a_lease_that_nobody_renews() {
    let told = after::<Lease>(
        "keda",
        "operator.keda.sh",
        json!({ "spec": { "renewTime": "2026-01-01T00:00:00.000000Z" } }),
    )
    .await;
    assert!(told.contains("✗ lease keda-operator-1_a renewed Lease operator.keda.sh "), "{told}");
    assert!(told.contains("it lasts 15 s: nothing is scaled\nfix: kubectl logs"), "{told}");
    let told = after::<Lease>("keda", "operator.keda.sh", json!({ "spec": { "holderIdentity": "" } })).await;
    assert!(told.starts_with("✗ lease nobody holds Lease operator.keda.sh"), "{told}");
    let server = installation();
    server.remove::<Lease>("keda", "operator.keda.sh").unwrap();
    assert!(faults(&server).await.starts_with("✗ lease Lease operator.keda.sh does not exist"));
}

/// Upstream issue 6475: another provider takes the APIService, and scaling stops without a word.
#[tokio::test]
async fn an_api_service_of_somebody_else_is_said_6475() {
    let theirs = json!({ "spec": { "service": { "name": "adapter", "namespace": "monitoring" } } });
    let told = after::<APIService>("", API_SERVICE, theirs).await;
    assert!(
        told.starts_with(
            "✗ APIService v1beta1.external.metrics.k8s.io is served by monitoring/adapter, not by KEDA: a cluster has one provider"
        ),
        "{told}"
    );
    assert!(told.contains("fix: remove the other provider"), "{told}");
}

#[tokio::test]
async fn an_api_service_that_does_not_answer() {
    let with = |reason: &str, message: &str| {
        json!({ "status": { "conditions": [{ "type": "Available", "status": "False", "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] } })
    };
    let told =
        after::<APIService>("", API_SERVICE, with("FailedDiscoveryCheck", "context deadline exceeded")).await;
    assert!(told.contains("is not available: FailedDiscoveryCheck: context deadline exceeded"), "{told}");
    assert!(told.contains("fix: the API server cannot reach the metrics server's port"), "{told}");
    let told =
        after::<APIService>("", API_SERVICE, with("FailedDiscoveryCheck", "x509: unknown authority")).await;
    assert!(told.contains("fix: see certificates, below"), "{told}");

    let told = after::<Service>(
        "keda",
        "keda-metrics-apiserver",
        json!({ "spec": { "selector": { "app": "other" } } }),
    )
    .await;
    assert!(told.contains("✗ Service Service keda-metrics-apiserver does not select the pods"), "{told}");
    let server = installation();
    server.remove::<Service>("keda", "keda-metrics-apiserver").unwrap();
    assert!(faults(&server).await.contains("✗ Service there is no Service keda/keda-metrics-apiserver"));
    let server = installation();
    server.remove::<APIService>("", API_SERVICE).unwrap();
    assert!(faults(&server).await.contains("does not exist: HPAs cannot read any metric of KEDA"));
    let told = after::<APIService>(
        "",
        API_SERVICE,
        json!({ "spec": { "caBundle": null, "insecureSkipTLSVerify": true } }),
    )
    .await;
    assert!(told.starts_with("✗ TLS insecureSkipTLSVerify is set"), "{told}");
}

#[tokio::test]
async fn webhooks_that_nobody_answers() {
    let server = installation();
    let off = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
    server.merge::<Pod>("keda", "keda-admission-1", &off).unwrap();
    let told = faults(&server).await;
    assert!(
        told.contains("✗ webhooks nobody answers, and failurePolicy is Ignore: objects land unchecked"),
        "{told}"
    );

    let server = installation();
    server.remove::<ValidatingWebhookConfiguration>("", "keda-admission").unwrap();
    let told = faults(&server).await;
    assert!(
        told.contains("✗ webhooks ValidatingWebhookConfiguration keda-admission does not exist"),
        "{told}"
    );

    let server = installation();
    server.remove::<Deployment>("keda", "keda-admission").unwrap();
    let told = faults(&server).await;
    assert!(told.contains("fix: kubectl delete validatingwebhookconfiguration keda-admission"), "{told}");
    // Nothing of them is there: that is how somebody wants it.
    server.remove::<ValidatingWebhookConfiguration>("", "keda-admission").unwrap();
    assert_eq!(faults(&server).await, "");
}

#[tokio::test]
async fn certificates_that_end_or_that_nobody_trusts() {
    let with = |bundle: &Bundle| json!({ "data": data(bundle) });
    let told = after::<Secret>("keda", "kedaorg-certs", with(&bundle(400 * DAY))).await;
    assert!(
        told.contains("✗ validity the certificate of kedaorg-certs has expired\nfix: kubectl logs"),
        "{told}"
    );
    let told = after::<Secret>("keda", "kedaorg-certs", with(&bundle(350 * DAY))).await;
    assert!(told.contains("✗ validity the certificate of kedaorg-certs ends in 14 days"), "{told}");
    assert!(told.contains("✗ APIService caBundle is of another CA"), "{told}");
    assert!(told.contains("✗ webhooks caBundle is of another CA"), "{told}");

    let told = after::<APIService>("", API_SERVICE, json!({ "spec": { "caBundle": null } })).await;
    assert!(
        told.starts_with("✗ APIService has no caBundle: the API server trusts no certificate of KEDA"),
        "{told}"
    );

    let other = generate(&["other.keda.svc".to_owned()], KeyKind::EcdsaP256, SystemTime::now()).unwrap();
    let told = after::<Secret>("keda", "kedaorg-certs", with(&other)).await;
    assert!(
        told.contains(
            "✗ names the certificate is not for keda-admission-webhooks.keda.svc, keda-metrics-apiserver"
        ),
        "{told}"
    );

    let mine = bundle(Duration::ZERO);
    let mixed = Bundle { key: other.key.clone(), ..mine.clone() };
    let told = after::<Secret>("keda", "kedaorg-certs", with(&mixed)).await;
    assert!(told.contains("✗ Secret kedaorg-certs: tls.key does not belong to tls.crt"), "{told}");
    let told = after::<Secret>("keda", "kedaorg-certs", with(&Bundle { ca: other.ca.clone(), ..mine })).await;
    assert!(told.contains("✗ Secret kedaorg-certs: tls.crt is signed by nobody in ca.crt"), "{told}");
    let told = after::<Secret>("keda", "kedaorg-certs", json!({ "data": { "tls.key": "" } })).await;
    assert!(told.contains("✗ Secret kedaorg-certs: it has no tls.key"), "{told}");
}

#[tokio::test]
async fn permissions_that_are_missing() {
    let server = installation();
    server.deny(Denial {
        user: "system:serviceaccount:keda:keda-operator".to_owned(),
        verb: "create".to_owned(),
        group: "autoscaling".to_owned(),
        resource: "horizontalpodautoscalers".to_owned(),
        ..Denial::default()
    });
    let told = faults(&server).await;
    assert_eq!(
        told.lines().next().unwrap(),
        "✗ operator system:serviceaccount:keda:keda-operator may not create horizontalpodautoscalers.autoscaling"
    );
    assert!(told.contains("fix: restore the roles and bindings"), "{told}");
}

/// In the pod: the account may ask about itself, and reads little.
#[tokio::test]
async fn what_may_not_be_read_is_not_known_and_no_fault() {
    let server = installation();
    let user = "system:serviceaccount:keda:keda-operator";
    for resource in ["customresourcedefinitions", "services", "subjectaccessreviews"] {
        server.deny(Denial { user: user.to_owned(), resource: resource.to_owned(), ..Denial::default() });
    }
    let own = ServiceAccount { namespace: "keda".to_owned(), name: "keda-operator".to_owned() };
    let world = World { client: server.client_for(user), own: Some(own), ..world(&server) };
    let report = world.examine().await;
    let text = report.text();
    assert!(report.is_well(), "{text}");
    assert!(text.contains("  - CRD             cannot read scaledobjects.keda.sh: "), "{text}");
    assert!(text.contains(&format!("  ✓ operator        {user} may do the ")), "{text}");
    assert!(
        text.contains(
            "  - metrics server  cannot ask what system:serviceaccount:keda:keda-metrics-server may do: "
        ),
        "{text}"
    );
}

#[tokio::test]
async fn no_key_is_shown() {
    let server = installation();
    let secret: Secret = server.read("keda", "kedaorg-certs").unwrap();
    let report = world(&server).examine().await;
    let (text, json) = (report.text(), report.json().to_string());
    for name in ["tls.key", "ca.key"] {
        let key = String::from_utf8(secret.data.as_ref().unwrap()[name].0.clone()).unwrap();
        let line = key.lines().nth(1).unwrap();
        assert!(!text.contains(line) && !json.contains(line));
    }
}
