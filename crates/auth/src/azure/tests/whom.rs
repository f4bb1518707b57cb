//! Whose token it is: what comes from the manifest, the process and the annotations, and which login host is asked.

use super::*;

/// Identities, scopes, tenants and authorities never share a token; equal ones always do.
#[tokio::test(start_paused = true)]
async fn tokens_are_told_apart() {
    let azure = federated();
    azure.federate("second-client", SUBJECT);
    let broker = broker(&azure);
    let mut other = request();
    other.identity.identity_id = Some("second-client".into());
    let mut scope = request();
    scope.scope = "https://other/.default".into();
    for request in [request(), other.clone(), scope, request(), other] {
        broker.token(&request.clone().into()).await.expect("a token");
    }
    assert_eq!(azure.token_requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn ids_come_from_the_manifest_then_the_process_then_the_annotations() {
    let azure = federated();
    for client in ["from-manifest", "from-process"] {
        azure.federate(client, SUBJECT);
    }
    let process = Settings {
        client_id: Some("from-process".into()),
        tenant_id: Some(TENANT.into()),
        ..by_annotations()
    };
    let mut named = request();
    named.identity.identity_id = Some("from-manifest".into());
    for (settings, request, client) in [
        (by_annotations(), request(), CLIENT),
        (process.clone(), request(), "from-process"),
        (process, named, "from-manifest"),
    ] {
        broker_of(&azure, settings, cluster()).token(&request.clone().into()).await.expect("a token");
        assert_eq!(azure.token_requests().last().expect("asked")["client_id"], client);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_5203_5006_5628() {
    let azure = federated();
    let bare = Memory::default().account("keda/keda-operator", &[]);
    let error = failure(&broker_of(&azure, by_annotations(), bare)).await;
    assert_eq!(
        error.message,
        "azure workload identity is not complete: no client id is given [azure-identity-incomplete]; set identityId in \
         the TriggerAuthentication, or annotate ServiceAccount keda/keda-operator with azure.workload.identity/client-id (Azure's webhook makes \
         AZURE_CLIENT_ID of it)"
    );
    let tenantless =
        Memory::default().account("keda/keda-operator", &[("azure.workload.identity/client-id", CLIENT)]);
    let error = failure(&broker_of(&azure, by_annotations(), tenantless)).await;
    assert!(
        error.message.contains("no tenant id is given [azure-identity-incomplete]; set identityTenantId"),
        "{error}"
    );

    let nobody =
        Settings { client_id: Some(CLIENT.into()), tenant_id: Some(TENANT.into()), ..Settings::default() };
    let error = failure(&broker_of(&azure, nobody, Memory::default())).await;
    assert!(
        error.message.contains("AZURE_FEDERATED_TOKEN_FILE is not set, and the operator does not run"),
        "{error}"
    );

    let error = failure(&broker_of(&azure, by_annotations(), Memory::default())).await;
    assert!(error.message.contains("ServiceAccount keda/keda-operator: it does not exist"), "{error}");
    assert!(azure.token_requests().is_empty(), "nothing incomplete is sent");
}

#[tokio::test(start_paused = true)]
async fn ids_that_are_no_ids_are_not_sent() {
    let azure = federated();
    let broker = broker(&azure);
    for (client, tenant, code) in
        [("a b", TENANT, Code::AzureWrongClient), (CLIENT, "../common", Code::AzureWrongTenant)]
    {
        let mut request = request();
        request.identity.identity_id = Some(client.into());
        request.identity.identity_tenant_id = Some(tenant.into());
        assert_eq!(broker.token(&request.clone().into()).await.expect_err("refused").code, Some(code));
    }
    assert!(azure.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_workloads_own_account_is_the_subject_where_it_is_asked_for() {
    let azure = Azure::new();
    azure.federate("tenant-client", "system:serviceaccount:shop:web");
    let cluster = Memory::default()
        .account("shop/web", &[("azure.workload.identity/client-id", "tenant-client")])
        .account("shop/bare", &[]);
    let process =
        Settings { client_id: Some(CLIENT.into()), tenant_id: Some(TENANT.into()), ..by_annotations() };
    let broker = broker_of(&azure, process, cluster);
    let mut request = request();
    request.identity.identity_owner = Owner::Workload;
    request.identity.workload = Some(account("shop", "web"));
    let token = broker.token(&request.clone().into()).await.expect("a token");
    assert_eq!(token.principal().client_id, "tenant-client");
    request.identity.workload = Some(account("shop", "bare"));
    let error =
        broker.token(&request.clone().into()).await.expect_err("it never borrows the operator's identity");
    assert!(error.message.contains("annotate ServiceAccount shop/bare"), "{error}");
}

/// The login host: the manifest's, the process's, the cloud's. Nothing else is ever asked.
#[tokio::test(start_paused = true)]
async fn the_login_host_is_honoured_and_no_other_is_asked() {
    let process =
        Settings { authority_host: Some("https://login.process.example/".into()), ..by_annotations() };
    let named = |host: Option<&str>, cloud| {
        let mut request = request();
        request.identity.identity_authority_host = host.map(str::to_owned);
        request.identity.identity_tenant_id = host.map(|_| TENANT.to_owned());
        request.cloud = cloud;
        request
    };
    for (settings, request, host, audience) in [
        (
            by_annotations(),
            named(None, Cloud::Public),
            "login.microsoftonline.com",
            "api://AzureADTokenExchange",
        ),
        (
            by_annotations(),
            named(None, Cloud::UsGovernment),
            "login.microsoftonline.us",
            "api://AzureADTokenExchangeUSGov",
        ),
        (
            by_annotations(),
            named(None, Cloud::China),
            "login.chinacloudapi.cn",
            "api://AzureADTokenExchangeChina",
        ),
        (process.clone(), named(None, Cloud::Private), "login.process.example", "api://AzureADTokenExchange"),
        (
            process,
            named(Some("https://login.airgap.example"), Cloud::Private),
            "login.airgap.example",
            "api://AzureADTokenExchange",
        ),
    ] {
        let azure = Azure::new();
        azure.federate_as(CLIENT, ISSUER, SUBJECT, audience);
        broker_of(&azure, settings, cluster()).token(&request.clone().into()).await.expect("a token");
        assert_eq!(azure.hosts(), [host]);
    }
    let azure = federated();
    let error = broker(&azure).token(&named(None, Cloud::Private).into()).await.expect_err("unknown");
    assert!(
        error.message.starts_with("cloud Private has no login host of its own: set identityAuthorityHost"),
        "{error}"
    );
    for host in ["http://login.example", "login.example", "https://", "https://a@b"] {
        let error =
            broker(&azure).token(&named(Some(host), Cloud::Public).into()).await.expect_err("unusable");
        assert_eq!(error.code, Some(Code::AzureAuthority), "{error}");
    }
    assert!(azure.hosts().is_empty());
}

/// The kubelet writes the file anew; the newest token is presented each time.
#[tokio::test(start_paused = true)]
async fn the_mounted_token_is_read_for_every_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    let azure = federated();
    let settings = Settings {
        client_id: Some(CLIENT.into()),
        tenant_id: Some(TENANT.into()),
        token_file: Some(file.clone()),
        ..Settings::default()
    };
    let broker = broker_of(&azure, settings, Memory::default());

    let error = failure(&broker).await;
    assert_eq!(error.code, Some(Code::AzureTokenFile));
    assert!(error.message.contains("No such file or directory"), "{error}");
    for (text, why) in [("", "it is empty"), ("hunter2hunter2", "it holds no JSON web token")] {
        std::fs::write(&file, text).unwrap();
        tokio::time::sleep(MINUTE / 2).await;
        let error = failure(&broker).await;
        assert!(error.message.contains(why) && !error.message.contains("hunter2"), "{error}");
    }
    let begins = start().as_second();
    let tokens: Vec<String> = (0_i64..3)
        .map(|hour| federated_token(SUBJECT, "api://AzureADTokenExchange", Some(begins + 3600 * (hour + 1))))
        .collect();
    for (hour, text) in tokens.iter().enumerate() {
        std::fs::write(&file, format!("{text}\n")).unwrap();
        tokio::time::sleep(MINUTE / 2).await;
        token(&broker).await.expect("a token");
        tokio::time::sleep(50 * MINUTE).await;
        token(&broker).await.expect("a token");
        tokio::time::sleep(MINUTE).await;
        let presented: Vec<String> =
            azure.token_requests().into_iter().map(|form| form["client_assertion"].clone()).collect();
        assert!(presented.contains(text), "the token of hour {hour} was not presented");
    }
    // Nobody renews the file any more: the token in hand is used to its end, then it is said.
    tokio::time::sleep(2 * 60 * MINUTE).await;
    let error = failure(&broker).await;
    assert_eq!(error.code, Some(Code::AzureTokenStale));
    assert!(
        error.message.starts_with("the federated token expired at 2026-11-24T13:00:00Z, it is "),
        "{error}"
    );
}

#[test]
fn settings_are_read_from_the_webhooks_variables() {
    let given = |name: &str| match name {
        "AZURE_CLIENT_ID" => Some(" client ".to_owned()),
        "AZURE_TENANT_ID" => Some(String::new()),
        "AZURE_FEDERATED_TOKEN_FILE" => Some("/var/run/token".to_owned()),
        _ => None,
    };
    let settings = Settings::read(given, None);
    assert_eq!(settings.client_id.as_deref(), Some("client"));
    assert_eq!((settings.tenant_id, settings.authority_host), (None, None));
    assert_eq!(settings.token_file, Some("/var/run/token".into()));
}
