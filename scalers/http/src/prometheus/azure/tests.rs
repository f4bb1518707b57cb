//! A workspace asked as an identity: what is sent, what is shared, and what each refusal says.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keda_scaler::contract::{Scripted, environment, parameters};
use keda_scaler::http::{self, Coalescing, ErrorKind, StatusCode, Transport};
use keda_scaler::identity::{TokenRequest, Tokens};
use keda_scaler::{Environment, Factory, Live, Parameters, PodIdentity, Reading, Secret};
use tokio::time::Instant;

use super::*;

const FACTORY: Factory = Factory::of::<super::super::Trigger>();
const WORKSPACE: &str = "https://shop.westeurope.prometheus.monitor.azure.com";

/// Gives out `token-<client>-<n>`, where n grows with each renewal.
#[derive(Default)]
struct Broker {
    renewals: AtomicU32,
    /// How often a refused token is renewed.
    renewable: u32,
    refuses: Option<Error>,
    asked: Mutex<Vec<TokenRequest>>,
}

impl Broker {
    fn current(&self, request: &TokenRequest) -> Token {
        let TokenRequest::Azure(request) = request else { panic!("{request:?}") };
        let client = request.identity.identity_id.clone().unwrap_or_else(|| "operator".to_owned());
        let text = format!("s3cret-token-{client}-{}", self.renewals.load(Ordering::SeqCst));
        let principal =
            Principal { client_id: client, tenant_id: "tenant".into(), object_id: Some("object".into()) };
        Token::new(Secret::new(text), principal, Instant::now() + Duration::from_secs(3600))
    }
}

#[async_trait]
impl Tokens for Broker {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        self.asked.lock().unwrap().push(request.clone());
        self.refuses.clone().map_or_else(|| Ok(self.current(request)), Err)
    }

    async fn renew(&self, request: &TokenRequest, _: &Token) -> Result<Option<Token>, Error> {
        if self.renewals.load(Ordering::SeqCst) >= self.renewable {
            return Ok(None);
        }
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(Some(self.current(request)))
    }
}

fn world(transport: impl Transport + 'static, broker: Arc<Broker>) -> Environment {
    Environment { tokens: broker, ..environment(transport) }
}

fn given(extra: &[(&str, &str)]) -> Parameters {
    let mut all = vec![("serverAddress", WORKSPACE), ("query", "sum(rate(x[2m]))"), ("threshold", "100.50")];
    all.extend(extra);
    parameters(&all, &[])
}

fn context(client: Option<&str>) -> Context {
    let mut identity = PodIdentity::from_provider("azure-workload");
    identity.identity_id = client.map(str::to_owned);
    Context { pod_identity: identity, ..Context::default() }
}

async fn live(given: &Parameters, client: Option<&str>, environment: &Environment) -> Live {
    FACTORY.parse(given, &context(client)).unwrap().connect(environment).await.unwrap()
}

async fn sample(live: &Live) -> Result<Reading, Error> {
    live.sample().await.remove(0).result
}

fn vector(value: f64) -> Response {
    let body =
        format!(r#"{{"status":"success","data":{{"result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#);
    Response::new(StatusCode::OK, body)
}

/// One sample of a workspace that answers so.
async fn refused(status: u16, body: &str, extra: &[(&str, &str)]) -> Error {
    let answer = Response::new(StatusCode::from_u16(status).unwrap(), body.to_owned());
    let transport = Scripted::answering(move |_| Ok(answer.clone()));
    let environment = world(transport, Arc::default());
    sample(&live(&given(extra), None, &environment).await).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn the_token_is_sent_and_shown_nowhere() {
    let transport = Scripted::answering(|_| Ok(vector(150.5)));
    let broker = Arc::new(Broker::default());
    let environment = world(transport.clone(), broker.clone());
    let headers = [("customHeaders", "X-Scope=1,Authorization=Bearer mine"), ("unsafeSsl", "true")];
    let live = live(&given(&headers), Some("client"), &environment).await;
    assert_eq!(sample(&live).await.unwrap().value, 150.5);
    let request = transport.requests().remove(0);
    let sent: Vec<_> = request.headers.get_all("authorization").iter().collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].to_str().unwrap(), "Bearer s3cret-token-client-0");
    assert!(sent[0].is_sensitive() && !request.tls.unsafe_ssl, "the server is always verified");
    assert!(request.headers.contains_key("x-scope"));
    assert!(!format!("{request:?} {live:?}").contains("s3cret"));
    assert_eq!(broker.asked.lock().unwrap()[0].scope(), "https://prometheus.monitor.azure.com/.default");
}

/// design §5: equal queries of one identity are one request; another identity never shares an answer.
#[tokio::test(start_paused = true)]
async fn one_query_serves_many_objects_of_one_identity() {
    let source = Scripted::answering(|_| Ok(vector(3.0)));
    let environment = world(Coalescing::new(source.clone()), Arc::default());
    let mut objects = Vec::new();
    for _ in 0..50 {
        objects.push(live(&given(&[]), None, &environment).await);
    }
    let readings = futures::future::join_all(objects.iter().map(sample)).await;
    assert!(readings.iter().all(|reading| reading.as_ref().is_ok_and(|reading| reading.value == 3.0)));
    assert_eq!(source.requests().len(), 1);
    sample(&live(&given(&[]), Some("other"), &environment).await).await.unwrap();
    assert_eq!(source.requests().len(), 2);
}

#[test]
fn the_cloud_decides_the_scope() {
    for (extra, scope, cloud) in [
        (&[][..], "https://prometheus.monitor.azure.com/.default", Cloud::Public),
        (&[("cloud", "azurepubliccloud")], "https://prometheus.monitor.azure.com/.default", Cloud::Public),
        (
            &[("cloud", "AzureUSGovernmentCloud")],
            "https://prometheus.monitor.azure.us/.default",
            Cloud::UsGovernment,
        ),
        (&[("cloud", "AzureChinaCloud")], "https://prometheus.monitor.azure.cn/.default", Cloud::China),
        (
            &[("cloud", "Private"), ("azureManagedPrometheusResourceURL", "https://prom.airgap/.default")],
            "https://prom.airgap/.default",
            Cloud::Private,
        ),
        (
            &[("cloud", "Private"), ("azureManagedPrometheusResourceURL", "https://prom.airgap/")],
            "https://prom.airgap/.default",
            Cloud::Private,
        ),
    ] {
        let find =
            |name: &str| extra.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let azure = Azure { cloud: find("cloud"), resource_url: find("azureManagedPrometheusResourceURL") };
        let request = azure.token_request(&context(None)).unwrap();
        assert_eq!((request.scope.as_str(), request.cloud), (scope, cloud));
    }
    for (cloud, text) in [
        ("AzureGermanCloud", "azure managed prometheus is not available in cloud AzureGermanCloud"),
        ("Private", "azureManagedPrometheusResourceURL must be provided for Private cloud type"),
        (
            "Moon",
            "invalid cloud environment Moon: it must be AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud or Private",
        ),
    ] {
        let error = FACTORY.parse(&given(&[("cloud", cloud)]), &context(None)).unwrap_err();
        assert_eq!((error.message.as_str(), error.kind), (text, Kind::Config));
        assert!(
            FACTORY.parse(&given(&[("cloud", cloud)]), &Context::default()).is_ok(),
            "only an identity needs it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_the_query_asked_again() {
    let workspace = |good: &'static str| {
        Scripted::answering(move |request: &http::Request| {
            let sent = request.headers["authorization"].to_str().unwrap();
            Ok(if sent.ends_with(good) {
                vector(1.0)
            } else {
                Response::new(StatusCode::UNAUTHORIZED, "Unauthorized")
            })
        })
    };
    let source = workspace("-1");
    let environment = world(source.clone(), Arc::new(Broker { renewable: 1, ..Broker::default() }));
    sample(&live(&given(&[]), None, &environment).await).await.unwrap();
    assert_eq!(source.requests().len(), 2);

    // A token that is not accepted at all: one renewal, then the refusal.
    let source = workspace("never");
    let environment = world(source.clone(), Arc::new(Broker { renewable: 1, ..Broker::default() }));
    let live = live(&given(&[]), None, &environment).await;
    let error = sample(&live).await.unwrap_err();
    assert_eq!(
        error.message,
        "prometheus query api returned error. status: 401 response: Unauthorized \
         [azure-workspace-unauthorized]; the token of client operator in tenant tenant \
         for https://prometheus.monitor.azure.com/.default is not accepted, also after it was renewed; check cloud, \
         azureManagedPrometheusResourceURL and the tenant"
    );
    assert_eq!(source.requests().len(), 2);
    sample(&live).await.unwrap_err();
    assert_eq!(source.requests().len(), 3, "no second renewal at once");
}

#[tokio::test(start_paused = true)]
async fn a_missing_role_says_who_what_where_and_the_line_to_run() {
    let words = "The client 'operator' with object id 'object' does not have authorization to perform action \
                 'microsoft.monitor/accounts/data/metrics/read' over scope \
                 '/subscriptions/1/resourceGroups/shop/providers/microsoft.monitor/accounts/shop' or the scope is invalid. If access \
                 was recently granted, please refresh your credentials.";
    let body =
        serde_json::json!({ "error": { "code": "AuthorizationFailed", "message": words } }).to_string();
    let error = refused(403, &body, &[]).await;
    let (start, advice) = error.message.split_once("... [azure-workspace-forbidden]; client").unwrap();
    assert!(
        start.starts_with("prometheus query api returned error. status: 403 response: AuthorizationFailed: The client 'operator'")
    );
    assert_eq!(
        advice,
        " operator (object id object) in tenant tenant may not perform microsoft.monitor/accounts/data/metrics/read on \
         /subscriptions/1/resourceGroups/shop/providers/microsoft.monitor/accounts/shop: it needs the role Monitoring Data Reader, \
         which counts some minutes after it was assigned; az role assignment create --assignee operator --role \"Monitoring Data \
         Reader\" --scope \"/subscriptions/1/resourceGroups/shop/providers/microsoft.monitor/accounts/shop\""
    );
    assert_eq!((error.kind, error.code), (Kind::Source(403), Some(Code::AzureWorkspaceForbidden)));

    // Without a resource in the answer the line finds it by the endpoint.
    let error = refused(403, "Forbidden", &[]).await;
    let line = format!(
        "--scope \"$(az monitor account list --query \"[?metrics.prometheusQueryEndpoint=='{WORKSPACE}'].id\" -o tsv)\""
    );
    assert!(error.message.contains(&line), "{error}");
    let unregistered = "Failed to authorize the request. Register the 'Microsoft.Monitor' resource provider on the subscription.";
    let error = refused(403, unregistered, &[]).await;
    assert!(error.message.contains("az provider register --namespace Microsoft.Monitor"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one_request() {
    for status in [400, 403, 404, 422, 429, 500, 503] {
        let source =
            Scripted::answering(move |_| Ok(Response::new(StatusCode::from_u16(status).unwrap(), "no")));
        let environment = world(source.clone(), Arc::new(Broker { renewable: 9, ..Broker::default() }));
        sample(&live(&given(&[]), None, &environment).await).await.unwrap_err();
        assert_eq!(source.requests().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_refusal_has_its_code() {
    let bad =
        r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error: unexpected end of input"}"#;
    for (status, body, code, text, temporary) in [
        (
            400,
            bad,
            Code::AzureWorkspaceQuery,
            "status: 400 response: bad_data: 1:3: parse error: unexpected end of input [",
            false,
        ),
        (422, "{}", Code::AzureWorkspaceQuery, "status: 422 response: {} [", false),
        (429, "slow down", Code::AzureWorkspaceThrottled, "status: 429 response: slow down [", true),
        (500, "", Code::AzureWorkspaceFailing, "status: 500 [", true),
        (
            404,
            "",
            Code::AzureWorkspaceNotFound,
            "is no query endpoint of a workspace: the query endpoint looks like",
            false,
        ),
    ] {
        let error = refused(status, body, &[]).await;
        assert!(error.message.starts_with("prometheus query api returned error. status: "), "{error}");
        assert!(error.message.contains(text) && error.message.contains(&format!("[{code}]")), "{error}");
        assert_eq!((error.code, error.temporary()), (Some(code), temporary));
    }
}

#[tokio::test(start_paused = true)]
async fn other_addresses_of_a_workspace_are_recognised() {
    for (address, what) in [
        (
            "https://shop-1a2b.westeurope-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-1/streams/x",
            "the workspace's metrics ingestion endpoint",
        ),
        (
            "https://management.azure.com/subscriptions/1/resourceGroups/shop/providers/microsoft.monitor/accounts/shop",
            "an address of the resource manager",
        ),
        ("https://portal.azure.com/#resource/shop", "an address of the portal"),
        ("https://shop.westeurope.prometheus.monitor.azure.com/api/v1/query", "a query endpoint with a path"),
    ] {
        let extra = [("serverAddress", address)];
        let error = refused(404, "", &extra).await;
        assert!(error.message.contains(what), "{error}");
        let parsed = FACTORY.parse(&given(&extra), &context(None)).unwrap();
        assert!(parsed.notices()[0].text.contains(what), "{:?}", parsed.notices());
    }
}

#[test]
fn an_address_that_should_not_get_a_token_is_said_7782() {
    let said = |extra: &[(&str, &str)]| {
        let parsed = FACTORY.parse(&given(extra), &context(None)).unwrap();
        parsed.notices().iter().map(|notice| notice.text.clone()).collect::<Vec<_>>()
    };
    assert!(said(&[]).is_empty() && said(&[("serverAddress", "http://localhost:9090")]).is_empty());
    assert!(
        said(&[("serverAddress", "https://SHOP.westeurope.prometheus.monitor.azure.com:443/")]).is_empty()
    );
    let elsewhere = said(&[("serverAddress", "https://u:p@evil.example:8443/x?token=1")]);
    assert_eq!(
        elsewhere,
        [
            "the identity's token is sent to evil.example, which is no query endpoint of an Azure Monitor workspace"
        ]
    );
    let private = [
        ("serverAddress", "http://prom.airgap"),
        ("cloud", "Private"),
        ("azureManagedPrometheusResourceURL", "https://prom.airgap"),
    ];
    assert_eq!(
        said(&private),
        [
            "serverAddress http://prom.airgap is not https: the identity's token crosses the network in clear text"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_workspace_repeats_is_hidden() {
    for status in [400, 401, 403, 500] {
        let echo = Scripted::answering(move |request: &http::Request| {
            let sent = request.headers["authorization"].to_str().unwrap().to_owned();
            Ok(Response::new(StatusCode::from_u16(status).unwrap(), sent))
        });
        let environment = world(echo, Arc::default());
        let error = sample(&live(&given(&[]), None, &environment).await).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_asked() {
    let source = Scripted::answering(|_| Ok(vector(1.0)));
    let why = Error::coded(Kind::Propagating, Code::AzureFederationMissing, "AADSTS70021: no", "");
    let environment =
        world(source.clone(), Arc::new(Broker { refuses: Some(why.clone()), ..Broker::default() }));
    let error = sample(&live(&given(&[]), None, &environment).await).await.unwrap_err();
    assert_eq!(error, why);
    assert!(error.temporary() && source.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_ca_is_told_from_a_host_that_is_away() {
    for (cause, code) in
        [("invalid peer certificate: UnknownIssuer", Some(Code::AzureUnknownCa)), ("refused", None)]
    {
        let source = Scripted::answering(move |request: &http::Request| {
            let text = format!("{}: cannot connect: {cause}", request.describe());
            Err(http::Error::new(ErrorKind::Connect, text))
        });
        let environment = world(source, Arc::default());
        let error = sample(&live(&given(&[]), None, &environment).await).await.unwrap_err();
        assert_eq!((error.code, error.kind), (code, Kind::Unreachable));
    }
}

#[test]
fn modes_of_authentication_exclude_an_identity() {
    let mut given = given(&[("authModes", "bearer")]);
    given.auth.insert("bearerToken".to_owned(), "token1".into());
    let error = FACTORY.parse(&given, &context(None)).unwrap_err();
    assert!(error.message.contains("pod identity cannot be enabled with other auth types"), "{error}");
}
