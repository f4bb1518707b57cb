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
        ..Scope::default()
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
        assert_eq!(resolved.pod_identity, PodIdentity::default());
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
    for (spec, source) in [(
        json!({ "azureKeyVault": { "vaultUri": "https://vault", "secrets": [credentials.clone()] } }),
        "azureKeyVault",
    )] {
        assert_eq!(
            refusal(Memory::default(), spec).await,
            format!("{source} in TriggerAuthentication ns/auth is not supported yet")
        );
    }
}

#[tokio::test]
async fn a_google_identity_needs_nothing_else() {
    let cluster =
        Memory::default().authentication("ns/auth", json!({ "podIdentity": { "provider": "gcp" } }));
    let resolved = resolve_ta(&cluster).await.expect("resolves");
    assert_eq!(resolved.pod_identity, PodIdentity::from_provider("gcp"));
    assert_eq!(reads(&resolved), ["TriggerAuthentication ns/auth"]);
}

/// core.md 6.2: what a trigger needs to ask for a token itself; the last source wins.
#[tokio::test]
async fn oauth2_gives_the_parameters_of_a_token_request() {
    let oauth2 = json!({ "type": "clientCredentials", "clientId": "shop", "tokenUrl": "https://idp/token",
        "clientSecret": { "valueFrom": { "secretKeyRef": { "name": "client", "key": "secret" } } },
        "scopes": ["read", "metrics"], "tokenUrlParams": { "audience": "https://prom?a=b", "tenant": "a b" } });
    let spec = json!({ "oauth2": oauth2,
        "secretTargetRef": [{ "parameter": "clientID", "name": "client", "key": "secret" }] });
    let cluster =
        Memory::default().authentication("ns/auth", spec).secret("ns/client", &[("secret", b"s3cret")]);
    let resolved = resolve_ta(&cluster).await.expect("resolves");
    let shown: Vec<_> = resolved.params.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(
        shown,
        [
            ("clientID", "shop"),
            ("clientSecret", "s3cret"),
            ("endpointParams", "audience=https%3A%2F%2Fprom%3Fa%3Db&tenant=a+b"),
            ("oauthTokenURI", "https://idp/token"),
            ("scopes", "read,metrics"),
        ]
    );
    assert!(reads(&resolved).contains(&"Secret ns/client".to_owned()));

    let bare =
        json!({ "oauth2": { "type": "clientCredentials", "clientId": "id", "tokenUrl": "https://idp" } });
    let resolved = resolve_ta(&Memory::default().authentication("ns/auth", bare)).await.expect("resolves");
    assert_eq!(resolved.params.into_keys().collect::<Vec<_>>(), ["clientID", "oauthTokenURI"]);
}

#[tokio::test]
async fn a_wrong_oauth2_is_refused_by_its_field() {
    for (oauth2, text) in [
        (
            json!({ "type": "password", "clientId": "id", "tokenUrl": "https://idp" }),
            "oauth2.type must be 'clientCredentials', got 'password', in TriggerAuthentication ns/auth",
        ),
        (
            json!({ "type": "clientCredentials", "clientId": "id", "tokenUrl": "idp" }),
            "oauth2.tokenUrl must be a valid http or https URL, in TriggerAuthentication ns/auth",
        ),
        (
            json!({ "type": "clientCredentials", "clientId": "id", "tokenUrl": "https://idp",
                "clientSecret": { "valueFrom": { "secretKeyRef": { "name": "client", "key": "secret" } } } }),
            "oauth2.clientSecret is read from key \"secret\" of Secret ns/client, which does not exist",
        ),
    ] {
        assert_eq!(refusal(Memory::default(), json!({ "oauth2": oauth2 })).await, text);
    }
}

#[tokio::test]
async fn an_azure_identity_is_what_the_manifest_says() {
    let given = json!({ "podIdentity": {
        "provider": "azure-workload", "identityId": " client ", "identityTenantId": "tenant",
        "identityAuthorityHost": "https://login.airgap.example/", "identityOwner": "workload",
    } });
    let cluster = Memory::default()
        .template("ns/app", json!({ "spec": { "serviceAccountName": "shop", "containers": [] } }))
        .authentication("ns/auth", given);
    let resolved = resolve_ta(&cluster).await.expect("resolves");
    let identity = &resolved.pod_identity;
    assert_eq!(identity.provider(), Some("azure-workload"));
    assert_eq!(identity.identity_id.as_deref(), Some("client"));
    assert_eq!(identity.identity_tenant_id.as_deref(), Some("tenant"));
    assert_eq!(identity.identity_authority_host.as_deref(), Some("https://login.airgap.example/"));
    let account = identity.workload.as_ref().map(ToString::to_string);
    assert_eq!(account.as_deref(), Some("system:serviceaccount:ns:shop"));
    assert_eq!(reads(&resolved), ["Deployment ns/app", "TriggerAuthentication ns/auth"]);

    let plain = json!({ "podIdentity": { "provider": "azure-workload", "identityOwner": "keda" } });
    let resolved = resolve_ta(&Memory::default().authentication("ns/auth", plain)).await.expect("resolves");
    assert_eq!(resolved.pod_identity, PodIdentity::from_provider("azure-workload"));
}

#[tokio::test]
async fn a_wrong_azure_identity_is_refused_by_its_field() {
    let with = |fields: Value| {
        let mut identity = json!({ "provider": "azure-workload" });
        identity.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        json!({ "podIdentity": identity })
    };
    for (fields, text) in [
        (
            json!({ "identityId": "" }),
            "identityId of PodIdentity should not be empty. If it's set, identityId has to be different than \"\"",
        ),
        (
            json!({ "identityTenantId": "" }),
            "identityTenantId of PodIdentity should not be empty. If it's set, identityTenantId has to be different than \"\"",
        ),
        (
            json!({ "identityAuthorityHost": "https://login.example" }),
            "identityTenantID of PodIdentity should not be nil or empty when identityAuthorityHost of PodIdentity is set",
        ),
        (
            json!({ "identityAuthorityHost": "login.example", "identityTenantId": "t" }),
            "identityAuthorityHost of PodIdentity must be an https address, like https://login.microsoftonline.com/",
        ),
        (
            json!({ "identityOwner": "workload" }),
            "identityOwner of PodIdentity is workload, but the target has no pod template",
        ),
        (
            json!({ "identityOwner": "me" }),
            "identityOwner of PodIdentity must be keda or workload, not \"me\"",
        ),
    ] {
        let text = format!("{text}, in TriggerAuthentication ns/auth");
        assert_eq!(refusal(Memory::default(), with(fields)).await, text);
    }
}

#[tokio::test]
async fn the_retired_pod_identity_says_what_replaces_it() {
    let spec = json!({ "podIdentity": { "provider": "azure", "identityId": "client" } });
    assert_eq!(
        refusal(Memory::default(), spec).await,
        "podIdentity provider azure (AAD Pod Identity) is retired and was removed from KEDA: set the provider to azure-workload, \
         keep identityId, and give that identity a federated credential for the operator's ServiceAccount, in \
         TriggerAuthentication ns/auth [azure-pod-identity-retired]"
    );
}

#[tokio::test]
async fn a_file_replaces_every_other_source() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(root.path().join("db")).expect("a folder");
    std::fs::write(root.path().join("db/main.json"), r#"{"user":"bob","password":"hunter2"}"#)
        .expect("written");
    std::fs::write(root.path().join("wrong.json"), r#"{"password":["hunter2"]}"#).expect("written");
    std::fs::write(root.path().join("text"), "hunter2").expect("written");
    let spec = |path: &str| {
        json!({ "filePath": path, "podIdentity": { "provider": "azure-workload" },
            "secretTargetRef": [{ "parameter": "token", "name": "absent", "key": "t" }] })
    };
    let reference = reference("auth", Some("ClusterTriggerAuthentication"));
    let below = Scope { files: Files::Below(root.path().to_owned()), ..scope() };
    let run = async |path: &str, scope: &Scope| {
        let cluster = Memory::default().authentication("auth", spec(path));
        resolve(Some(&reference), scope, &cluster).await.map_err(|error| error.to_string())
    };
    let resolved = run("db/main.json", &below).await.expect("resolves");
    assert_eq!(exposed(&resolved), [("password", "hunter2"), ("user", "bob")]);
    assert!(resolved.pod_identity.is_azure(), "the identity is kept");

    let of = |path: &str, why: &str| format!("filePath {path:?} of ClusterTriggerAuthentication auth {why}");
    for (path, scope, why) in [
        ("/etc/passwd", &below, "is not allowed: it must be relative, without \"..\""),
        ("../main.json", &below, "is not allowed: it must be relative, without \"..\""),
        ("absent", &below, "cannot be read: No such file or directory (os error 2)"),
        ("db", &below, "is no regular file"),
        ("text", &below, "holds no JSON object"),
        ("wrong.json", &below, "holds no text under \"password\": every value has to be a text"),
        ("db/main.json", &scope(), "is not allowed: the operator runs without --filepath-auth-root-path"),
        (
            "db/main.json",
            &Scope { files: Files::Elsewhere, ..scope() },
            "is a file of the operator's container",
        ),
    ] {
        assert_eq!(run(path, scope).await.expect_err("it is refused"), of(path, why));
    }
    assert_eq!(
        refusal(Memory::default(), json!({ "filePath": "db/main.json" })).await,
        "filePath \"db/main.json\" of TriggerAuthentication ns/auth is not allowed: only a ClusterTriggerAuthentication may read \
         files of the operator"
    );
}

#[tokio::test]
async fn a_bound_token_is_made_for_its_service_account() {
    let spec = || json!({ "boundServiceAccountToken": [{ "parameter": "bearerToken", "serviceAccountName": "reader" }] });
    let cluster = Memory::default().account("ns/reader", &[]).authentication("ns/auth", spec());
    let resolved = resolve_ta(&cluster).await.expect("resolves");
    let account = crate::azure::service_account_of(resolved.params["bearerToken"].expose());
    assert_eq!(account.expect("a token").to_string(), "system:serviceaccount:ns:reader");
    assert_eq!(reads(&resolved), ["ServiceAccount ns/reader", "TriggerAuthentication ns/auth"]);
    assert_eq!(
        refusal(Memory::default(), spec()).await,
        "parameter \"bearerToken\" is a token of ServiceAccount ns/reader, which does not exist"
    );
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

#[tokio::test]
async fn an_env_source_reads_the_first_container_whatever_the_target_says() {
    let cluster = Memory::default()
        .template(
            "ns/app",
            json!({ "spec": { "containers": [
                { "name": "main", "env": [{ "name": "A", "value": "first" }] },
                { "name": "side", "env": [{ "name": "A", "value": "of envSourceContainerName" }] },
            ] } }),
        )
        .authentication("ns/auth", json!({ "env": [{ "parameter": "a", "name": "A" }] }));
    let scope = Scope { env_source_container: Some("side".to_owned()), ..scope() };
    let resolved = resolve(Some(&reference("auth", None)), &scope, &cluster).await.expect("resolves");
    assert_eq!(exposed(&resolved), [("a", "first")]);
}

/// Upstream issue 7783: a path may lead to any file, of any size.
#[tokio::test]
async fn regular_files_below_the_folder_and_no_other_7783() {
    let root = tempfile::tempdir().expect("a folder");
    let long = format!("{{\"password\":\"{}\"}}", "x".repeat(1024 * 1024));
    std::fs::write(root.path().join("long.json"), long).expect("written");
    let socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).expect("bound");
    let below = Scope { files: Files::Below(root.path().to_owned()), ..scope() };
    let reference = reference("auth", Some("ClusterTriggerAuthentication"));
    for (path, why) in [
        ("long.json", "is larger than 1 MiB"),
        ("socket", "is no regular file"),
        ("./../../etc/passwd", "is not allowed: it must be relative, without \"..\""),
    ] {
        let cluster = Memory::default().authentication("auth", json!({ "filePath": path }));
        let error = resolve(Some(&reference), &below, &cluster).await.expect_err("it is refused");
        assert_eq!(
            error.to_string(),
            format!("filePath {path:?} of ClusterTriggerAuthentication auth {why}")
        );
    }
    drop(socket);
}

/// auth.md 2 and 4.1: whose role it is.
#[tokio::test]
async fn an_aws_identity_names_a_role_or_the_workloads() {
    const ARN: &str = "arn:aws:iam::111122223333:role/shop";
    let template = json!({ "spec": { "serviceAccountName": "web", "containers": [{ "name": "main" }] } });
    let cluster = |annotations: &[(&str, &str)]| {
        Memory::default().template("ns/app", template.clone()).account("ns/web", annotations)
    };
    let annotated = [("eks.amazonaws.com/role-arn", ARN)];
    let identity = async |cluster: Memory, spec: Value| {
        let cluster = cluster.authentication("ns/auth", json!({ "podIdentity": spec }));
        resolve_ta(&cluster).await.map(|resolved| resolved.pod_identity)
    };
    let given = json!({ "provider": "aws", "roleArn": ARN, "externalID": "shop-1" });
    let found = identity(Memory::default(), given.clone()).await.unwrap();
    assert_eq!((found.role_arn.as_deref(), found.external_id.as_deref()), (Some(ARN), Some("shop-1")));
    assert!(found.is_aws() && !found.by_cluster);
    let found = identity(Memory::default(), json!({ "provider": "aws" })).await.unwrap();
    assert_eq!(found.role_arn, None);

    for provider in ["aws", "aws-eks"] {
        let workload = json!({ "provider": provider, "identityOwner": "workload" });
        let found = identity(cluster(&annotated), workload).await.unwrap();
        assert_eq!((found.role_arn.as_deref(), found.provider()), (Some(ARN), Some(provider)));
    }
    // The deprecated provider means the workload's role, and does without one.
    let found = identity(cluster(&annotated), json!({ "provider": "aws-eks" })).await.unwrap();
    assert_eq!(found.role_arn.as_deref(), Some(ARN));
    let found = identity(cluster(&[]), json!({ "provider": "aws-eks" })).await.unwrap();
    assert_eq!(found.role_arn, None);
    let error = identity(cluster(&[]), json!({ "provider": "aws", "identityOwner": "workload" })).await;
    let error = error.expect_err("no annotation").to_string();
    assert!(
        error.contains("ServiceAccount ns/web has no annotation eks.amazonaws.com/role-arn [aws-role]"),
        "{error}"
    );
    let both = json!({ "provider": "aws", "roleArn": ARN, "identityOwner": "workload" });
    assert!(identity(cluster(&annotated), both).await.is_err(), "as admission says");

    let cluster = Memory::default().authentication("shared", json!({ "podIdentity": given }));
    let reference = reference("shared", Some("ClusterTriggerAuthentication"));
    let resolved = resolve(Some(&reference), &scope(), &cluster).await.unwrap();
    assert!(resolved.pod_identity.by_cluster, "its administrators chose the role");
}
