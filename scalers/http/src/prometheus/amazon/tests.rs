//! A workspace that verifies signatures: who is let in, what is sent, and what each refusal says.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keda_auth::aws::fake::{ACCOUNT, Aws as Account, OPERATOR, REGION, SHOP, WORKSPACE};
use keda_auth::aws::{Broker, Settings};
use keda_scaler::aws::Keys;
use keda_scaler::contract::{Contract, Scripted, Source, environment, parameters};
use keda_scaler::http::{Coalescing, StatusCode};
use keda_scaler::{Clock, Environment, Factory, Kind, Live, Parameters, PodIdentity, Reading};

use super::*;

const FACTORY: Factory = Factory::of::<super::super::Trigger>();
const QUERY: &str = "aps:QueryMetrics";
const USER: &str = "arn:aws:iam::111122223333:user/shop";
const KEYS: [(&str, &str); 2] = [("awsAccessKeyID", "AKIASHOP"), ("awsSecretAccessKey", "s3cret-user-key")];

/// An account with a workspace, a user with a key, and an operator on a node with the operator's role.
struct World {
    account: Account,
    environment: Environment,
}

fn world_with(change: impl Fn(&str) -> Option<String>) -> World {
    let clock = Clock::tokio("2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap());
    let account = Account::new(clock);
    account.value(42.0);
    account.instance_profile(Some(OPERATOR));
    account.trust_role(SHOP, OPERATOR, Some("shop-1"));
    account.key(USER, &Keys { id: "AKIASHOP".into(), secret: "s3cret-user-key".into(), session_token: None });
    for arn in [USER, OPERATOR, SHOP] {
        account.allow(arn, QUERY);
    }
    let transport = Arc::new(Coalescing::new(account.clone()));
    let broker = Broker::new(Settings::read(change), transport.clone(), clock);
    let environment = Environment { tokens: Arc::new(broker), clock, ..environment(transport) };
    World { account, environment }
}

fn world() -> World {
    world_with(|_| None)
}

fn given(server: &str, extra: &[(&str, &str)], auth: &[(&str, &str)]) -> Parameters {
    let query = "sum(rate(http_requests_total{deployment=\"shop\"}[2m])) + 1";
    let mut all = vec![("serverAddress", server), ("query", query), ("threshold", "100")];
    all.extend(extra);
    parameters(&all, auth)
}

fn context(provider: &str, role: Option<(&str, &str)>) -> Context {
    let mut pod_identity = PodIdentity::from_provider(provider);
    pod_identity.role_arn = role.map(|(arn, _)| arn.to_owned());
    pod_identity.external_id = role.map(|(_, id)| id.to_owned());
    Context { namespace: "shop".into(), pod_identity, ..Context::default() }
}

async fn live(given: &Parameters, context: &Context, world: &World) -> Live {
    FACTORY.parse(given, context).unwrap().connect(&world.environment).await.unwrap()
}

async fn sample(live: &Live) -> Result<Reading, Error> {
    live.sample().await.remove(0).result
}

/// A Prometheus that takes no notice of signatures.
fn seven() -> Scripted {
    Scripted::answering(|_| Ok(Response::new(StatusCode::OK, r#"{"data":{"result":[{"value":[1,"7"]}]}}"#)))
}

/// core.md 10.5: each identity that upstream signs as, on a workspace that verifies.
#[tokio::test(start_paused = true)]
async fn every_identity_signs() {
    let keys = &KEYS[..];
    for (auth, extra, context, sts) in [
        (keys, &[][..], context("", None), 0),
        (&[], &[], context("aws", None), 0),
        (&[], &[("identityOwner", "operator")], context("", None), 0),
        (&[], &[], context("aws", Some((SHOP, "shop-1"))), 1),
        (&[], &[], context("aws-eks", Some((SHOP, "shop-1"))), 1),
        (keys, &[("awsRegion", REGION), ("namespace", "x")], context("azure-workload", None), 0),
        (keys, &[("queryParameters", "a=b c,z=%")], context("gcp", None), 0),
    ] {
        let world = world();
        let live = live(&given(WORKSPACE, extra, auth), &context, &world).await;
        assert_eq!(sample(&live).await.map(|reading| reading.value), Ok(42.0), "{context:?}");
        assert_eq!(world.account.sts_requests().len(), sts);
        assert!(world.account.signed() >= 1);
    }
}

/// Without a whole identity nothing is signed, as upstream; half a key is said.
#[tokio::test(start_paused = true)]
async fn without_an_identity_nothing_is_signed() {
    for (auth, provider, notices) in [(&KEYS[..0], "", 0), (&KEYS[..1], "", 1), (&KEYS[..0], "aws-eks", 0)] {
        let recorder = seven();
        let environment = environment(recorder.clone());
        let parsed = FACTORY
            .parse(&given("http://prom:9090", &[("identityOwner", "pod")], auth), &context(provider, None))
            .unwrap();
        assert_eq!(parsed.notices().len(), notices, "{:?}", parsed.notices());
        let live = parsed.connect(&environment).await.unwrap();
        assert_eq!(sample(&live).await.unwrap().value, 7.0);
        assert!(recorder.requests()[0].headers.get("authorization").is_none());
    }
}

/// A server that takes no notice of signatures goes on, without a region too: upstream signs for none.
#[tokio::test(start_paused = true)]
async fn a_server_of_ones_own_needs_no_region() {
    let recorder = seven();
    let environment = environment(recorder.clone());
    let parsed = FACTORY.parse(&given("http://prom:9090", &[], &KEYS), &context("", None)).unwrap();
    let text = &parsed.notices()[0].text;
    assert_eq!(text, "queries to prom, which is none of Amazon's hosts, are signed with an identity of AWS");
    sample(&parsed.connect(&environment).await.unwrap()).await.unwrap();
    let request = &recorder.requests()[0];
    assert!(request.headers["authorization"].to_str().unwrap().contains("/us-east-1/aps/aws4_request"));
    assert!(request.url.contains("%20%2B%201&time="), "{}", request.url);
}

#[tokio::test(start_paused = true)]
async fn objects_that_share_an_identity_share_queries() {
    let world = world();
    let context = context("aws", Some((SHOP, "shop-1")));
    let given = given(WORKSPACE, &[], &[]);
    let mut many = Vec::new();
    for _ in 0..50 {
        many.push(live(&given, &context, &world).await);
    }
    for round in 1..=3 {
        let readings = futures::future::join_all(many.iter().map(sample)).await;
        assert!(readings.iter().all(Result::is_ok), "{:?}", readings[0]);
        // One for the role, one a round.
        assert_eq!(world.account.signed(), round + 1);
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(world.account.sts_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_session_is_renewed_within_the_poll() {
    let world = world();
    let live = live(&given(WORKSPACE, &[], &[]), &context("aws", Some((SHOP, "shop-1"))), &world).await;
    sample(&live).await.unwrap();
    world.account.revoke();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(sample(&live).await.map(|reading| reading.value), Ok(42.0));
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_mends_them() {
    let of_user = |server: &'static str, keys: [(&'static str, &'static str); 2]| async move {
        let world = world();
        let live = live(&given(server, &[("awsRegion", REGION)], &keys), &context("", None), &world).await;
        sample(&live).await.unwrap_err()
    };
    let wrong = [KEYS[0], ("awsSecretAccessKey", "s3cret-mistyped")];
    let unknown = [("awsAccessKeyID", "AKIANOBODY"), KEYS[1]];
    let elsewhere = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1234/api/v1/query";
    for (error, code, parts) in [
        (
            of_user(WORKSPACE, wrong).await,
            Code::AwsKeysRefused,
            ["status: 403: SignatureDoesNotMatch", "access key <hidden> is not accepted"],
        ),
        (
            of_user(WORKSPACE, unknown).await,
            Code::AwsKeysRefused,
            ["UnrecognizedClientException", "access key <hidden>"],
        ),
        (
            of_user(elsewhere, KEYS).await,
            Code::AwsWorkspaceNotFound,
            ["status: 404: Not Found", "https://aps-workspaces.REGION.amazonaws.com/workspaces/ID"],
        ),
    ] {
        assert_eq!(error.code, Some(code), "{error}");
        assert!(error.message.starts_with("prometheus query api returned error. status: "), "{error}");
        assert!(parts.iter().all(|part| error.message.contains(part)), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
    }
    let world = world();
    world.account.trust_role("arn:aws:iam::111122223333:role/other", OPERATOR, None);
    let context = context("aws", Some(("arn:aws:iam::111122223333:role/other", "x")));
    let live = live(&given(WORKSPACE, &[], &[]), &context, &world).await;
    let error = sample(&live).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::AwsForbidden), Kind::Source(403)));
    let statement = format!("arn:aws:aps:{REGION}:*:workspace/ws-1234\"}} to it",);
    assert!(error.message.ends_with(&statement) && error.message.contains(ACCOUNT), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_assume_the_role_hears_why() {
    let world = world();
    let live = live(&given(WORKSPACE, &[], &[]), &context("aws", Some((SHOP, "shop-2"))), &world).await;
    let error = sample(&live).await.unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Auth, Some(Code::AwsAssumeRoleDenied)), "{error}");
    assert!(error.message.contains("\"sts:ExternalId\":\"shop-2\""), "{error}");
}

/// Addresses that people mix up with a workspace's.
#[test]
fn the_author_is_told_where_signed_queries_go() {
    for (server, part) in [
        ("http://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1", "is not https"),
        ("https://monitoring.eu-west-1.amazonaws.com", "is no workspace"),
        ("https://prom.example", "none of Amazon's hosts"),
        ("https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/query", "a path too many"),
    ] {
        let notices = notices(server, false);
        assert!(notices.len() == 1 && notices[0].text.contains(part), "{notices:?}");
    }
    assert!(notices(WORKSPACE, false).is_empty());
    assert_eq!(notices(WORKSPACE, true)[0].text.split(" in ").next(), Some("unsafeSsl has no effect"));
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds_for_signed_queries() {
    let answer = |value: f64| {
        Response::new(StatusCode::OK, format!(r#"{{"data":{{"result":[{{"value":[1,"{value}"]}}]}}}}"#))
    };
    let parameters = given(WORKSPACE, &[("activationThreshold", "5")], &KEYS);
    let source = Source::Http { answer, activation: 5.0 };
    Contract { factory: FACTORY, parameters, source }.check().await;
}
