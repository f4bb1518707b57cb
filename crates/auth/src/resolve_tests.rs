//! Every source, every way it can be missing, and what is never said.

use keda_api::AuthenticationRef;
use keda_scaler::kube::ReadError;
use serde_json::{Value, json};

use super::*;
use crate::memory::Memory;

fn scope() -> Scope {
    let deployment = GroupVersionKindResource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        resource: "deployments".to_owned(),
    };
    Scope {
        namespace: "ns".to_owned(),
        cluster_object_namespace: Some("keda".to_owned()),
        target: Some((deployment, "app".to_owned())),
        env_source_container: None,
    }
}

fn reference(name: &str, kind: Option<&str>) -> AuthenticationRef {
    AuthenticationRef { name: name.to_owned(), kind: kind.map(str::to_owned) }
}

async fn resolve_ta(cluster: &Memory) -> Result<Resolved, Error> {
    resolve(Some(&reference("auth", None)), &scope(), cluster).await
}

/// The text of the error that a TriggerAuthentication with this spec leads to.
async fn refusal(cluster: Memory, spec: Value) -> String {
    let cluster = cluster.authentication("ns/auth", spec);
    match resolve_ta(&cluster).await {
        Ok(_) => panic!("should not resolve"),
        Err(error) => error.to_string(),
    }
}

fn exposed(resolved: &Resolved) -> Vec<(&str, &str)> {
    resolved.params.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()
}

fn reads(resolved: &Resolved) -> Vec<String> {
    resolved.reads.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn no_reference_is_no_parameters() {
    let cluster = Memory::default();
    for reference in [None, Some(reference("", None))] {
        let resolved = resolve(reference.as_ref(), &scope(), &cluster).await.expect("resolves");
        assert!(resolved.params.is_empty() && resolved.reads.is_empty());
        assert_eq!(resolved.pod_identity, PodIdentity::None);
    }
}

#[tokio::test]
async fn sources_overwrite_each_other_in_upstreams_order() {
    let cluster = Memory::default()
        .template(
            "ns/app",
            json!({ "spec": { "containers": [
                { "name": "main", "env": [{ "name": "A", "value": "env" }, { "name": "E", "value": "" }] },
                { "name": "side", "env": [{ "name": "A", "value": "side" }] },
            ] } }),
        )
        .config_map("ns/settings", &[("b", "config")])
        .secret("ns/credentials", &[("c", b"secret")])
        .authentication(
            "ns/auth",
            json!({
                "podIdentity": { "provider": "none" },
                "env": [
                    { "parameter": "one", "name": "A" },
                    { "parameter": "two", "name": "A" },
                    { "parameter": "three", "name": "A" },
                    { "parameter": "side", "name": "A", "containerName": "side" },
                    { "parameter": "empty", "name": "E" },
                ],
                "configMapTargetRef": [
                    { "parameter": "two", "name": "settings", "key": "b" },
                    { "parameter": "three", "name": "settings", "key": "b" },
                ],
                "secretTargetRef": [{ "parameter": "three", "name": "credentials", "key": "c" }],
            }),
        );
    let resolved = resolve_ta(&cluster).await.expect("resolves");
    assert_eq!(
        exposed(&resolved),
        [("empty", ""), ("one", "env"), ("side", "side"), ("three", "secret"), ("two", "config")]
    );
    assert_eq!(
        reads(&resolved),
        [
            "ConfigMap ns/settings",
            "Deployment ns/app",
            "Secret ns/credentials",
            "TriggerAuthentication ns/auth"
        ]
    );
}

#[tokio::test]
async fn a_cluster_authentication_reads_from_the_cluster_object_namespace() {
    let spec = json!({ "secretTargetRef": [{ "parameter": "token", "name": "shared", "key": "t" }] });
    let cluster = Memory::default()
        .secret("ns/shared", &[("t", b"from the workload's namespace")])
        .secret("keda/shared", &[("t", b"from keda's")])
        .authentication("auth", spec);
    let reference = reference("auth", Some("ClusterTriggerAuthentication"));
    let resolved = resolve(Some(&reference), &scope(), &cluster).await.expect("resolves");
    assert_eq!(exposed(&resolved), [("token", "from keda's")]);
    assert_eq!(reads(&resolved), ["ClusterTriggerAuthentication auth", "Secret keda/shared"]);

    let nowhere = Scope { cluster_object_namespace: None, ..scope() };
    let error =
        resolve(Some(&reference), &nowhere, &cluster).await.expect_err("it is not known where to look");
    assert_eq!(
        error.to_string(),
        "ClusterTriggerAuthentication auth reads from the cluster object namespace, which is not known: set \
         KEDA_CLUSTER_OBJECT_NAMESPACE"
    );
}

#[tokio::test]
async fn a_missing_reference_is_an_error_with_its_name() {
    let cluster =
        Memory::default().authentication("other/auth", json!({})).authentication("elsewhere", json!({}));
    for (kind, text) in [
        (None, "TriggerAuthentication ns/auth not found"),
        (Some(""), "TriggerAuthentication ns/auth not found"),
        (Some("TriggerAuthentication"), "TriggerAuthentication ns/auth not found"),
        (Some("ClusterTriggerAuthentication"), "ClusterTriggerAuthentication auth not found"),
        (
            Some("Secret"),
            "authenticationRef kind \"Secret\" is not known, it must be TriggerAuthentication or \
             ClusterTriggerAuthentication",
        ),
    ] {
        let result = resolve(Some(&reference("auth", kind)), &scope(), &cluster).await;
        assert_eq!(result.expect_err("it is missing").to_string(), text);
    }
}

#[tokio::test]
async fn a_missing_object_or_key_is_named_with_its_parameter() {
    let secret = || json!({ "secretTargetRef": [{ "parameter": "password", "name": "db", "key": "pw" }] });
    let config = || json!({ "configMapTargetRef": [{ "parameter": "user", "name": "db", "key": "u" }] });
    let empty =
        || Memory::default().secret("ns/db", &[("other", b"x")]).config_map("ns/db", &[("other", "x")]);
    assert_eq!(
        refusal(Memory::default(), secret()).await,
        "parameter \"password\" is read from key \"pw\" of Secret ns/db, which does not exist"
    );
    assert_eq!(
        refusal(empty(), secret()).await,
        "parameter \"password\" is read from key \"pw\" of Secret ns/db, which has no such key"
    );
    assert_eq!(
        refusal(Memory::default(), config()).await,
        "parameter \"user\" is read from key \"u\" of ConfigMap ns/db, which does not exist"
    );
    assert_eq!(
        refusal(empty(), config()).await,
        "parameter \"user\" is read from key \"u\" of ConfigMap ns/db, which has no such key"
    );
}

#[tokio::test]
async fn a_missing_variable_is_named_with_its_container() {
    let spec = || json!({ "env": [{ "parameter": "password", "name": "PASSWORD" }] });
    assert_eq!(
        refusal(Memory::default(), spec()).await,
        "parameter \"password\" is read from environment variable \"PASSWORD\", but the target has no pod template"
    );
    let target = Memory::default().template(
        "ns/app",
        json!({ "spec": { "containers": [{ "name": "main", "env": [
            { "name": "PASSWORD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } } ] }] } }),
    );
    assert_eq!(
        refusal(target, spec()).await,
        "parameter \"password\" is read from environment variable \"PASSWORD\", which container \"main\" does not set"
    );
}

#[tokio::test]
async fn other_sources_are_refused_by_name() {
    let credentials = json!({ "parameter": "p", "name": "n" });
    for (spec, source) in [
        (json!({ "podIdentity": { "provider": "aws" } }), "podIdentity provider aws"),
        (json!({ "podIdentity": { "provider": "azure-workload" } }), "podIdentity provider azure-workload"),
        (json!({ "filePath": "db.json" }), "filePath"),
        (
            json!({ "hashiCorpVault": { "address": "https://vault", "authentication": "token",
                "secrets": [{ "parameter": "p", "path": "a", "key": "k" }] } }),
            "hashiCorpVault",
        ),
        (
            json!({ "azureKeyVault": { "vaultUri": "https://vault", "secrets": [credentials.clone()] } }),
            "azureKeyVault",
        ),
        (json!({ "gcpSecretManager": { "secrets": [{ "parameter": "p", "id": "i" }] } }), "gcpSecretManager"),
        (json!({ "awsSecretManager": { "secrets": [credentials.clone()] } }), "awsSecretManager"),
        (
            json!({ "boundServiceAccountToken": [{ "parameter": "p", "serviceAccountName": "s" }] }),
            "boundServiceAccountToken",
        ),
        (
            json!({ "oauth2": { "type": "clientCredentials", "clientId": "id", "tokenUrl": "https://idp" } }),
            "oauth2",
        ),
    ] {
        assert_eq!(
            refusal(Memory::default(), spec).await,
            format!("{source} in TriggerAuthentication ns/auth is not supported yet")
        );
    }
}

#[tokio::test]
async fn a_failed_read_names_the_object_and_the_cause() {
    let mut cluster = Memory::default();
    cluster.secrets_fail = Some(ReadError::permanent("secrets \"db\" is forbidden"));
    let spec = json!({ "secretTargetRef": [{ "parameter": "password", "name": "db", "key": "pw" }] });
    assert_eq!(refusal(cluster, spec).await, "cannot read Secret ns/db: secrets \"db\" is forbidden");
}

#[tokio::test]
async fn values_are_never_shown() {
    let spec = json!({ "secretTargetRef": [{ "parameter": "password", "name": "db", "key": "pw" }] });
    let binary = Memory::default().secret("ns/db", &[("pw", b"s3cret\xff")]);
    let text = refusal(binary, spec).await;
    assert_eq!(text, "key \"pw\" of Secret ns/db is not valid UTF-8");
}

#[tokio::test]
async fn reads_are_kept_by_the_callers_own_tracker_when_resolving_fails() {
    let cluster = Memory::default().authentication(
        "ns/auth",
        json!({ "secretTargetRef": [{ "parameter": "password", "name": "db", "key": "pw" }] }),
    );
    let tracked = Tracked::new(&cluster);
    assert!(resolve(Some(&reference("auth", None)), &scope(), &tracked).await.is_err());
    let reads: Vec<_> = tracked.reads().iter().map(ToString::to_string).collect();
    assert_eq!(reads, ["Secret ns/db", "TriggerAuthentication ns/auth"]);
}
