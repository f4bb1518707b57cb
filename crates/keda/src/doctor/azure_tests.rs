//! The doctor on a cluster in memory, with a login host and a workspace in memory.

use std::time::Duration;

use keda_auth::azure::fake::{Azure, CLIENT, RESOURCE, TENANT};
use keda_testkit::ApiServer;
use serde_json::{Value, json};

use super::*;

const SUBJECT: &str = "system:serviceaccount:keda:keda-operator";

fn cluster() -> ApiServer {
    let server = ApiServer::new();
    server.install_crds(keda_api::crds::all()).expect("the CRDs are accepted");
    let pod = |account: &str, env: Value| {
        json!({ "metadata": { "labels": { "app": "x" } },
            "spec": { "serviceAccountName": account, "containers": [{ "name": "main", "image": "x", "env": env }] } })
    };
    let deployment = |namespace: &str, name: &str, template: Value| {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": namespace },
            "spec": { "selector": { "matchLabels": { "app": "x" } }, "template": template } })
    };
    let ids = json!([{ "name": "AZURE_CLIENT_ID", "value": CLIENT }, { "name": "AZURE_TENANT_ID", "value": TENANT }]);
    for manifest in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } }),
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "keda-operator", "namespace": "keda" } }),
        deployment("keda", "keda-operator", pod("keda-operator", ids)),
        deployment("shop", "web", pod("web", json!([]))),
        json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": { "name": "workspace", "namespace": "shop" },
            "spec": { "podIdentity": { "provider": "azure-workload" } } }),
        json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "scaleTargetRef": { "name": "web" }, "triggers": [
                { "type": "cron", "metadata": { "timezone": "UTC", "start": "0 7 * * *", "end": "0 8 * * *", "desiredReplicas": "3" } },
                { "type": "prometheus", "authenticationRef": { "name": "workspace" }, "metadata": {
                    "serverAddress": "https://shop.westeurope.prometheus.monitor.azure.com", "query": "up", "threshold": "1" } },
            ] } }),
    ] {
        server.seed(&manifest).expect("is accepted");
    }
    server
}

async fn examine(server: &ApiServer, azure: &Azure, object: Option<(&str, &str)>) -> (String, bool) {
    let world = World {
        client: server.client(),
        transport: Arc::new(azure.clone()),
        clock: Clock::system(),
        own: azure::Settings::default(),
        timeout: Duration::from_secs(3),
    };
    let report = world.examine("keda", "keda-operator", object).await;
    (report.text(), report.is_well())
}

/// The issuer of the API server in memory.
fn federate(azure: &Azure) {
    azure.federate_as(CLIENT, "https://kubernetes.default.svc", SUBJECT, "api://AzureADTokenExchange");
}

#[tokio::test]
async fn everything_is_well() {
    let azure = Azure::new();
    federate(&azure);
    azure.grant(CLIENT);
    azure.value(42.0);
    let (text, well) = examine(&cluster(), &azure, Some(("shop", "web"))).await;
    assert_eq!(
        text,
        format!(
            "operator
  ✓ settings         of Deployment keda/keda-operator, ServiceAccount keda-operator
ScaledObject shop/web
trigger 0 (cron)
  - authentication   no Azure identity, not examined
trigger 1 (prometheus)
  ✓ authentication   workspace with podIdentity azure-workload
  ✓ login host       https://login.microsoftonline.com
  ✓ identity         client {CLIENT} in tenant {TENANT}
  ✓ federated token  issuer \"https://kubernetes.default.svc\", subject \"{SUBJECT}\", audience \"api://AzureADTokenExchange\"
  ✓ access token     for https://prometheus.monitor.azure.com/.default as object 99999999-8888-7777-6666-555555555555
  ✓ role             the identity may read the workspace
  ✓ query            s1-prometheus is 42
"
        )
    );
    assert!(well);
}

#[tokio::test]
async fn the_step_that_fails_has_its_fix_and_its_page() {
    let (server, azure) = (cluster(), Azure::new());
    let (text, well) = examine(&server, &azure, Some(("shop", "web"))).await;
    assert!(
        text.contains("✗ access token     AADSTS70021: No matching federated identity record found"),
        "{text}"
    );
    assert!(
        text.contains("fix: az identity federated-credential create --name keda-keda-operator"),
        "{text}"
    );
    assert!(text.contains("see: docs/errors/azure-federation-missing.md"), "{text}");
    assert!(text.contains("- query            not tried without a token") && !well, "{text}");

    federate(&azure);
    let (text, well) = examine(&server, &azure, Some(("shop", "web"))).await;
    assert!(text.contains("✓ access token") && !well, "{text}");
    assert!(text.contains("✗ role             prometheus query api returned error. status: 403"), "{text}");
    assert!(text.contains(&format!("--role \"Monitoring Data Reader\" --scope \"{RESOURCE}\"")), "{text}");

    azure.grant(CLIENT);
    azure.workspace(Some((400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#)));
    let (text, well) = examine(&server, &azure, Some(("shop", "web"))).await;
    assert!(text.contains("✓ role             the identity may read the workspace") && !well, "{text}");
    assert!(text.contains("✗ query            prometheus query api returned error. status: 400 response: bad_data: parse error\n"), "{text}");
}

#[tokio::test]
async fn without_an_object_the_way_ends_at_a_token() {
    let azure = Azure::new();
    federate(&azure);
    let server = cluster();
    let (text, well) = examine(&server, &azure, None).await;
    assert!(well && text.ends_with("as object 99999999-8888-7777-6666-555555555555\n"), "{text}");

    let bare = ApiServer::new();
    let (text, well) = examine(&bare, &azure, None).await;
    assert!(!well && text.contains("✗ settings  there is no Deployment keda/keda-operator"), "{text}");
    assert!(text.contains("fix: say where the operator is with --namespace and --deployment"), "{text}");
}

#[tokio::test]
async fn no_token_is_shown() {
    let azure = Azure::new();
    federate(&azure);
    let (text, _) = examine(&cluster(), &azure, Some(("shop", "web"))).await;
    let assertion = azure.token_requests()[0]["client_assertion"].clone();
    assert!(assertion.split('.').all(|part| !text.contains(part)), "{text}");
}

#[tokio::test]
async fn objects_and_triggers_that_are_not_there() {
    let azure = Azure::new();
    let (text, well) = examine(&cluster(), &azure, Some(("shop", "other"))).await;
    assert!(!well && text.contains("✗ ScaledObject  it does not exist"), "{text}");
    assert!(object("web").is_err() && object("/web").is_err());
    assert_eq!(object("shop/web").unwrap(), ("shop", "web"));
}
