//! Managed Prometheus asked with a token of Google: which credentials are used, what is sent, and what each refusal says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keda_scaler::contract::{Scripted, environment, parameters};
use keda_scaler::http::{StatusCode, Transport};
use keda_scaler::identity::{Principal, TokenRequest, Tokens};
use keda_scaler::{Environment, Factory, Live, Parameters, PodIdentity, Reading};
use tokio::time::Instant;

use super::*;

const FACTORY: Factory = Factory::of::<super::super::Trigger>();
const SERVER: &str = "https://monitoring.googleapis.com/v1/projects/shop-1/location/global/prometheus";
const KEY: &str = r#"{"type":"service_account","client_email":"shop@shop-1","private_key":"s3cret-key","project_id":"shop-1"}"#;

/// Gives out tokens, another one for each renewal; renews once.
#[derive(Default)]
struct Broker {
    asked: Mutex<Vec<Request>>,
}

fn token(number: u32) -> Token {
    let principal = Principal { client_id: "shop@shop-1".into(), ..Principal::default() };
    let expires = Instant::now() + Duration::from_secs(3600);
    Token::new(Secret::new(format!("s3cret-token-{number}")), principal, expires)
}

#[async_trait]
impl Tokens for Broker {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        let TokenRequest::Google(request) = request else { panic!("{request:?}") };
        self.asked.lock().unwrap().push(request.clone());
        Ok(token(1))
    }

    async fn renew(&self, _: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        assert_eq!(refused.secret().expose(), "s3cret-token-1");
        Ok(Some(token(2)))
    }
}

fn world(transport: impl Transport + 'static, broker: &Arc<Broker>) -> Environment {
    Environment { tokens: broker.clone(), ..environment(transport) }
}

fn given(server: &str, extra: &[(&str, &str)], auth: &[(&str, &str)]) -> Parameters {
    let mut all = vec![("serverAddress", server), ("query", "sum(x)"), ("threshold", "100")];
    all.extend(extra);
    parameters(&all, auth)
}

fn context(provider: &str) -> Context {
    Context { pod_identity: PodIdentity::from_provider(provider), ..Context::default() }
}

async fn live(given: &Parameters, provider: &str, environment: &Environment) -> Live {
    FACTORY.parse(given, &context(provider)).unwrap().connect(environment).await.unwrap()
}

async fn sample(live: &Live) -> Result<Reading, Error> {
    live.sample().await.remove(0).result
}

fn vector(value: f64) -> Response {
    let body = format!(r#"{{"status":"success","data":{{"result":[{{"value":[1,"{value}"]}}]}}}}"#);
    Response::new(StatusCode::OK, body)
}

/// Identity, parameter, variable, file: the first that is given, in upstream's order.
#[tokio::test(start_paused = true)]
async fn the_first_credential_in_upstreams_order_is_used() {
    let other = KEY.replace("shop@", "env@");
    let both = [("credentialsFromEnv", "KEY"), ("credentialsFromEnvFile", "FILE")];
    let auth = [("GoogleApplicationCredentials", KEY)];
    let file = Credential::KeyFile("/keys/shop.json".into());
    for (provider, extra, auth, credential) in [
        ("gcp", &both[..], &auth[..], Credential::Default),
        ("", &both[..], &auth[..], Credential::Key(KEY.into())),
        // The last cloud that applies is asked, whatever the identity is for.
        ("azure-workload", &[][..], &auth[..], Credential::Key(KEY.into())),
        ("none", &both[..], &[][..], Credential::Key(other.as_str().into())),
        ("", &both[1..], &[][..], file),
    ] {
        let broker = Arc::new(Broker::default());
        let transport = Scripted::answering(|_| Ok(vector(150.5)));
        let mut given = given(SERVER, extra, auth);
        given.env.insert("KEY".into(), other.clone());
        given.env.insert("FILE".into(), "/keys/shop.json".into());
        let live = live(&given, provider, &world(transport.clone(), &broker)).await;
        assert_eq!(sample(&live).await.unwrap().value, 150.5);
        let expected = Request { credential, scope: MONITORING_READ.to_owned() };
        assert_eq!(broker.asked.lock().unwrap().as_slice(), [expected]);
        let request = transport.requests().remove(0);
        assert!(request.url.starts_with(&format!("{SERVER}/api/v1/query?query=sum%28x%29&time=")));
        let sent = request.headers.get("authorization").unwrap();
        assert!(sent == "Bearer s3cret-token-1" && sent.is_sensitive());
        assert!(!format!("{request:?} {live:?}").contains("s3cret"));
    }
}

/// What names no credentials, or is beside authModes, is asked without a token, as upstream.
#[tokio::test(start_paused = true)]
async fn without_credentials_or_with_auth_modes_no_token_is_asked_for() {
    let unset = [("credentialsFromEnv", "UNSET"), ("credentialsFromEnvFile", "UNSET")];
    let bearer = [("bearerToken", "token1"), ("GoogleApplicationCredentials", KEY)];
    for (extra, auth) in [(&unset[..], &[][..]), (&[("authModes", "bearer")][..], &bearer[..])] {
        let broker = Arc::new(Broker::default());
        let transport = Scripted::answering(|_| Ok(vector(1.0)));
        let live = live(&given(SERVER, extra, auth), "", &world(transport, &broker)).await;
        sample(&live).await.unwrap();
        assert!(broker.asked.lock().unwrap().is_empty());
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_before_the_hpa() {
    for key in ["s3cret", r#"{"type":"authorized_user","private_key":"s3cret"}"#] {
        let given = given(SERVER, &[], &[("GoogleApplicationCredentials", key)]);
        let error = FACTORY.parse(&given, &context("")).unwrap_err();
        assert_eq!((error.code, error.kind), (Some(Code::GoogleCredentials), Kind::Auth));
        assert!(!error.message.contains("s3cret"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let transport = Scripted::answering(|request| {
        let first = request.headers.get("authorization").is_some_and(|sent| sent == "Bearer s3cret-token-1");
        let refused = Response::new(StatusCode::UNAUTHORIZED, "s3cret-token-1?");
        Ok(if first { refused } else { vector(7.0) })
    });
    let environment = world(transport.clone(), &Arc::default());
    let live = live(&given(SERVER, &[], &[]), "gcp", &environment).await;
    assert_eq!(sample(&live).await.unwrap().value, 7.0);
    assert_eq!(transport.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_refusal_says_who_may_not_do_what_and_how_to_mend_it() {
    let denied = r#"{"error":{"code":403,"message":"Permission monitoring.timeSeries.list denied s3cret-token-1","status":"PERMISSION_DENIED"}}"#;
    let denied_text = "prometheus query api returned error. status: 403 response: PERMISSION_DENIED: Permission \
                       monitoring.timeSeries.list denied <hidden> [google-query-forbidden]; shop@shop-1 may not read the metrics of \
                       project shop-1: gcloud projects add-iam-policy-binding shop-1 --role roles/monitoring.viewer --member \
                       \"serviceAccount:shop@shop-1\"";
    let not_found = "prometheus query api returned error. status: 404 response: <html>Not Found</html> [google-query-not-found]; \
                     https://monitoring.googleapis.com/v1/projects/shop-1 is no query endpoint, which looks like \
                     https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus";
    let unauthorized = "prometheus query api returned error. status: 401 response: no [google-query-unauthorized]; the token of \
                        shop@shop-1 is not accepted, also after it was renewed; check serverAddress";
    let bad = "prometheus query api returned error. status: 400 response: bad_data: parse error";
    for (status, body, server, text) in [
        (403, denied, SERVER, denied_text),
        (404, "<html>Not Found</html>", "https://monitoring.googleapis.com/v1/projects/shop-1", not_found),
        (401, "no", SERVER, unauthorized),
        (400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#, SERVER, bad),
    ] {
        let answer = Response::new(StatusCode::from_u16(status).unwrap(), body.to_owned());
        let transport = Scripted::answering(move |_| Ok(answer.clone()));
        let environment = world(transport, &Arc::default());
        let error = sample(&live(&given(server, &[], &[]), "gcp", &environment).await).await.unwrap_err();
        let shown = error.message.replace("s3cret-token-2", "<hidden>").replace("s3cret-token-1", "<hidden>");
        assert_eq!(shown, text);
        assert_eq!(error.kind, Kind::Source(status));
    }
}

#[test]
fn where_the_token_goes_is_said_when_it_is_not_google() {
    let said = |server: &str, extra: &[(&str, &str)]| {
        let parsed = FACTORY.parse(&given(server, extra, &[]), &context("gcp")).unwrap();
        parsed.notices().iter().map(|notice| notice.text.clone()).collect::<Vec<_>>()
    };
    assert!(said(SERVER, &[]).is_empty());
    assert!(said("http://127.0.0.1:9090", &[]).is_empty());
    assert_eq!(
        said("http://frontend.monitoring:9090", &[]),
        [
            "serverAddress http://frontend.monitoring:9090 is not https: the identity's token crosses the network in clear text",
            "the identity's token is sent to frontend.monitoring, which is not Google's",
        ]
    );
    assert_eq!(
        said("https://monitoring.googleapis.com", &[]),
        [format!(
            "serverAddress https://monitoring.googleapis.com names no project: it looks like {ADDRESS}"
        )]
    );
    assert_eq!(
        said(SERVER, &[("unsafeSsl", "true")]),
        ["unsafeSsl is true: the identity's token is sent to whoever answers"]
    );
}
