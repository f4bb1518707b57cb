//! The broker against the login host in memory, hours in seconds; and once over TLS with a CA of its own. Federations for the
//! wrong subject are upstream issues 4219, 4597, 5491.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::identity::{Owner, ServiceAccount, Token, Tokens, azure, azure::Cloud};
use keda_scaler::{Clock, Code, Error, Kind, PodIdentity};

use super::fake::{Answer, Azure, CLIENT, ISSUER, TENANT, federated_token};
use super::*;
use crate::memory::Memory;

const SCOPE: &str = "https://prometheus.monitor.azure.com/.default";
const SUBJECT: &str = "system:serviceaccount:keda:keda-operator";
const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn account(namespace: &str, name: &str) -> ServiceAccount {
    ServiceAccount { namespace: namespace.into(), name: name.into() }
}

/// As in a pod that Azure's webhook left alone: the ServiceAccount is known, and what its annotations say.
fn by_annotations() -> Settings {
    Settings { service_account: Some(account("keda", "keda-operator")), ..Settings::default() }
}

fn cluster() -> Memory {
    let ids = [("azure.workload.identity/client-id", CLIENT), ("azure.workload.identity/tenant-id", TENANT)];
    Memory::default().account("keda/keda-operator", &ids)
}

fn broker_of(azure: &Azure, settings: Settings, cluster: Memory) -> Broker {
    Broker::new(settings, Arc::new(azure.clone()), Arc::new(cluster), Clock::tokio(start()))
}

fn broker(azure: &Azure) -> Broker {
    broker_of(azure, by_annotations(), cluster())
}

/// A login host that knows the operator.
fn federated() -> Azure {
    let azure = Azure::new();
    azure.federate(CLIENT, SUBJECT);
    azure
}

fn request() -> azure::Request {
    azure::Request {
        identity: PodIdentity::from_provider("azure-workload"),
        scope: SCOPE.to_owned(),
        cloud: Cloud::Public,
    }
}

async fn token(broker: &Broker) -> Result<Token, Error> {
    broker.token(&request().into()).await
}

async fn failure(broker: &Broker) -> Error {
    token(broker).await.expect_err("there is no token")
}

#[tokio::test(start_paused = true)]
async fn a_thousand_triggers_cost_one_token_an_hour_4262_8152() {
    let azure = federated();
    let broker = broker(&azure);
    for _ in 0..(4 * 60) {
        let asking = (0..1000).map(|_| token(&broker));
        let tokens = futures::future::join_all(asking).await;
        assert!(tokens.iter().all(Result::is_ok));
        tokio::time::sleep(MINUTE).await;
    }
    let asked = azure.token_requests().len();
    assert!((4..=6).contains(&asked), "{asked} requests in four hours");
    assert_eq!(broker.counters().given, 240_000);
    let form = &azure.token_requests()[0];
    let names: Vec<&str> = form.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_assertion", "client_assertion_type", "client_id", "grant_type", "scope"]);
    assert_eq!((form["client_id"].as_str(), form["scope"].as_str()), (CLIENT, SCOPE));
    assert_eq!(azure.hosts(), ["login.microsoftonline.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_federation_that_comes_later_is_propagating_then_works_4219() {
    let azure = Azure::new();
    let broker = broker(&azure);
    for minute in 0..9 {
        let error = failure(&broker).await;
        assert_eq!((error.kind, error.code), (Kind::Propagating, Some(Code::AzureFederationMissing)));
        let expected = format!(
            "; may still be propagating, tried for {minute}m of 10m [azure-federation-missing]; az identity federated-credential"
        );
        assert!(error.message.contains(&expected), "{error}");
        tokio::time::sleep(MINUTE).await;
    }
    let asked = azure.token_requests().len();
    assert!((9..=10).contains(&asked), "{asked}");
    azure.federate(CLIENT, SUBJECT);
    token(&broker).await.expect("it works without a restart");
}

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_it_is_wrong_and_still_tried() {
    let azure = Azure::new();
    let broker = broker(&azure);
    for _ in 0..25 {
        failure(&broker).await;
        tokio::time::sleep(MINUTE / 2).await;
    }
    let error = failure(&broker).await;
    assert_eq!(error.kind, Kind::Auth);
    assert!(
        error.message.contains("tried for more than 10m, so it is not a matter of propagation"),
        "{error}"
    );
    azure.federate(CLIENT, SUBJECT);
    tokio::time::sleep(2 * MINUTE).await;
    token(&broker).await.expect("it is tried for ever");
}

#[tokio::test(start_paused = true)]
async fn impatience_does_not_ask_more_often() {
    let azure = Azure::new();
    let broker = broker(&azure);
    for _ in 0..600 {
        failure(&broker).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let asked = azure.token_requests().len();
    assert!((3..=6).contains(&asked), "{asked} requests in a minute");
}

#[tokio::test(start_paused = true)]
async fn the_whole_text_of_a_missing_federation() {
    let azure = Azure::new();
    let error = failure(&broker(&azure)).await;
    assert_eq!(
        error.message,
        format!(
            "AADSTS70021: No matching federated identity record found for presented assertion: presented issuer \"{ISSUER}\", \
             subject \"{SUBJECT}\", audience \"api://AzureADTokenExchange\" to client {CLIENT} in tenant {TENANT} at \
             login.microsoftonline.com: no credential of the identity has all three (compared byte by byte); may still be \
             propagating, tried for 0m of 10m [azure-federation-missing]; az identity federated-credential create --name \
             keda-keda-operator $(az identity list --query \"[?clientId=='{CLIENT}'].['-g',resourceGroup,'--identity-name',name][]\" \
             -o tsv) --issuer \"{ISSUER}\" --subject \"{SUBJECT}\" --audiences \"api://AzureADTokenExchange\""
        )
    );
}

#[tokio::test(start_paused = true)]
async fn it_says_which_of_the_three_cannot_match() {
    for (issuer, subject, audience, words) in [
        ("https://oidc.example/cluster", SUBJECT, "api://AzureADTokenExchange", "has this issuer"),
        (
            ISSUER,
            "system:serviceaccount:keda:Keda-operator",
            "api://AzureADTokenExchange",
            "has this subject",
        ),
        (ISSUER, SUBJECT, "api://azureadtokenexchange", "has this audience"),
    ] {
        let azure = Azure::new();
        azure.federate_as(CLIENT, issuer, subject, audience);
        let error = failure(&broker(&azure)).await;
        assert!(error.message.contains(&format!("no credential of the identity {words}")), "{error}");
        assert_eq!(error.kind, Kind::Propagating);
    }
}

/// Every kind of refusal, what it is called, and whether it may pass by itself.
#[tokio::test(start_paused = true)]
async fn refusals_have_codes() {
    for (status, number, code, kind, words) in [
        (400, Some(700_016), Code::AzureWrongClient, Kind::Auth, "check identityId"),
        (400, Some(90_002), Code::AzureWrongTenant, Kind::Auth, "check identityTenantId"),
        (400, Some(50_034), Code::AzureWrongTenant, Kind::Auth, "check identityTenantId"),
        (400, Some(500_011), Code::AzureWrongScope, Kind::Auth, "azureManagedPrometheusResourceURL"),
        (401, Some(700_024), Code::AzureClockSkew, Kind::Auth, "check the clocks"),
        (
            401,
            Some(700_027),
            Code::AzureAssertionRefused,
            Kind::Propagating,
            ".well-known/openid-configuration",
        ),
        (
            401,
            Some(70_025),
            Code::AzureFederationMissing,
            Kind::Propagating,
            "has no federated identity credential",
        ),
        (401, Some(53_003), Code::AzureLoginRefused, Kind::Auth, "AADSTS53003"),
        (404, None, Code::AzureAuthority, Kind::Auth, "is no login host"),
        (503, None, Code::AzureLoginFailing, Kind::Propagating, "may pass by itself, tried for 0m of 10m"),
        (500, Some(90_033), Code::AzureLoginFailing, Kind::Propagating, "AADSTS90033"),
    ] {
        let azure = federated();
        azure.always(Some(Answer::Refuses(status, number)));
        let error = failure(&broker(&azure)).await;
        assert_eq!((error.code, error.kind), (Some(code), kind), "{error}");
        assert!(error.message.contains(words) && error.message.contains(&format!("[{code}]")), "{error}");
        azure.always(None);
        tokio::time::sleep(2 * MINUTE).await;
        token(&broker(&azure)).await.expect("it works again");
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_the_federated_token() {
    for number in [70_021, 700_213, 700_016, 90_002, 700_024, 53_003, 1] {
        let azure = federated();
        azure.always(Some(Answer::Refuses(401, Some(number))));
        let broker = broker(&azure);
        let error = failure(&broker).await;
        let assertion = &azure.token_requests()[0]["client_assertion"];
        let printed = format!("{error} {error:?} {broker:?}");
        assert!(assertion.split('.').all(|part| !printed.contains(part)), "{printed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_host_that_cannot_be_reached() {
    for (why, code, kind) in [
        ("dns error: failed to lookup address", Code::AzureLoginUnreachable, Kind::Propagating),
        ("invalid peer certificate: UnknownIssuer", Code::AzureUnknownCa, Kind::Unreachable),
    ] {
        let azure = federated();
        azure.always(Some(Answer::Unreachable(why.to_owned())));
        let broker = broker(&azure);
        let error = failure(&broker).await;
        assert_eq!((error.code, error.kind), (Some(code), kind));
        assert!(
            error.message.starts_with("cannot reach the login host login.microsoftonline.com: "),
            "{error}"
        );
        for _ in 0..25 {
            tokio::time::sleep(MINUTE / 2).await;
            failure(&broker).await;
        }
        assert_eq!(failure(&broker).await.kind, Kind::Unreachable, "it has lasted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_host_that_asks_to_wait_is_left_alone() {
    let azure = federated();
    azure.then([Answer::Throttles(120)]);
    let broker = broker(&azure);
    assert_eq!(failure(&broker).await.code, Some(Code::AzureThrottled));
    for _ in 0..11 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        failure(&broker).await;
    }
    assert_eq!(azure.token_requests().len(), 1);
    tokio::time::sleep(MINUTE).await;
    token(&broker).await.expect("the time is over");
}

#[tokio::test(start_paused = true)]
async fn trouble_that_is_over_at_once_is_not_seen() {
    let azure = federated();
    azure.then(vec![Answer::Refuses(503, None); 3]);
    token(&broker(&azure)).await.expect("the fourth try of the same call");
}

/// A token in hand is used until it expires, whatever happens to its renewal.
#[tokio::test(start_paused = true)]
async fn a_valid_token_outlives_every_failure() {
    let azure = federated();
    let broker = broker(&azure);
    let first = token(&broker).await.expect("a token");
    for answer in [Answer::Refuses(503, None), Answer::Refuses(401, Some(70_021)), Answer::Throttles(5)] {
        azure.always(Some(answer));
        for _ in 0..19 {
            tokio::time::sleep(MINUTE).await;
            assert_eq!(token(&broker).await.expect("valid").secret(), first.secret());
        }
    }
    let tried = azure.token_requests().len();
    assert!(tried > 3, "its renewal was tried {tried} times");
    tokio::time::sleep(4 * MINUTE).await;
    assert_eq!(failure(&broker).await.code, Some(Code::AzureThrottled), "now it has expired");
    azure.always(None);
    tokio::time::sleep(MINUTE).await;
    assert_ne!(token(&broker).await.expect("a new one").secret(), first.secret());
}

#[tokio::test(start_paused = true)]
async fn half_of_the_answers_failing_loses_nothing() {
    let azure = federated();
    azure.lifetime(2 * MINUTE);
    let broker = broker(&azure);
    azure.every_other_fails(true);
    for _ in 0..600 {
        token(&broker).await.expect("no decision is lost");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(azure.token_requests().len() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_silent_login_host_holds_nobody_for_ever() {
    let azure = federated();
    azure.always(Some(Answer::Silent));
    let broker = broker(&azure);
    let patience = tokio::time::timeout(Duration::from_secs(3), token(&broker)).await;
    assert!(patience.is_err(), "the caller bounds its wait");
    azure.always(None);
    // The flight goes on; in production the transport's own deadline ends it.
    assert_eq!(azure.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let azure = federated();
    let broker = broker(&azure);
    let first = token(&broker).await.expect("a token");
    let asking = (0..100).map(|_| async { broker.renew(&request().into(), &first).await });
    let renewed = futures::future::join_all(asking).await;
    let second = renewed[0].clone().expect("works").expect("a newer one");
    assert!(renewed.iter().all(|token| token.as_ref().is_ok_and(|token| token.is_some())));
    assert_ne!(second.secret(), first.secret());
    assert_eq!(azure.token_requests().len(), 2, "a hundred refusals are one renewal");
    assert!(broker.renew(&request().into(), &second).await.expect("works").is_none(), "not again at once");
    tokio::time::sleep(5 * MINUTE).await;
    assert!(broker.renew(&request().into(), &second).await.expect("works").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_token_in_hand() {
    let azure = federated();
    let broker = broker(&azure);
    let first = token(&broker).await.expect("a token");
    azure.always(Some(Answer::Refuses(401, Some(70_021))));
    assert!(broker.renew(&request().into(), &first).await.expect("no error of its own").is_none());
    assert_eq!(token(&broker).await.expect("never discarded").secret(), first.secret());
}

mod over_tls;
mod whom;
