//! A token endpoint in memory: what is sent, how it is shared, and what each refusal says.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use keda_scaler::http::TlsIdentity;
use serde_json::json;

use super::*;

const URL: &str = "https://login.example/oauth/token";
const MINUTE: Duration = Duration::from_secs(60);

/// A server that knows the client `shop app` with the secret `s3cret:secret`.
#[derive(Default)]
struct Server {
    /// Takes id and secret in the form only.
    form_only: bool,
    /// Says nothing of a token's life.
    silent: bool,
    broken: Mutex<Option<u16>>,
    issued: AtomicU32,
    forms: Mutex<Vec<BTreeMap<String, String>>>,
}

impl Server {
    fn count(&self) -> usize {
        self.forms.lock().unwrap().len()
    }
}

#[async_trait]
impl Transport for Server {
    async fn send(&self, request: http::Request) -> Result<Response, http::Error> {
        let mut form: BTreeMap<String, String> =
            crate::azure::fake::pairs(&String::from_utf8_lossy(&request.body)).into_iter().collect();
        let basic = request.headers.get(header::AUTHORIZATION).map(|value| {
            assert!(value.is_sensitive());
            let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
        });
        let by_form = form.remove("client_id").zip(form.remove("client_secret"));
        assert!(basic.is_none() || by_form.is_none(), "one way at a time");
        self.forms.lock().unwrap().push(form.clone());
        let refusal = |status: u16, name: &str| {
            let text = "client s3cret:secret is not welcome";
            let body = json!({ "error": name, "error_description": text });
            Ok(Response::new(StatusCode::from_u16(status).unwrap(), body.to_string()))
        };
        if let Some(status) = *self.broken.lock().unwrap() {
            return refusal(status, "temporarily_unavailable");
        }
        let known = match (&basic, &by_form) {
            (Some(text), None) => !self.form_only && text == "shop+app:s3cret%3Asecret",
            (None, Some((id, secret))) => id == "shop app" && secret == "s3cret:secret",
            _ => false,
        };
        if !known {
            return refusal(401, "invalid_client");
        }
        if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
            return refusal(400, "unsupported_grant_type");
        }
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let mut body = json!({ "access_token": format!("s3cret-token-{number}"), "token_type": "Bearer" });
        if !self.silent {
            body["expires_in"] = json!(1800);
        }
        Ok(Response::new(StatusCode::OK, body.to_string()))
    }
}

fn request() -> Request {
    Request {
        token_url: URL.to_owned(),
        client_id: "shop app".to_owned(),
        client_secret: "s3cret:secret".into(),
        scopes: vec!["read".to_owned(), "metrics".to_owned()],
        endpoint_params: vec![("audience".to_owned(), "https://prom".into())],
        tls: TlsIdentity::default(),
    }
}

fn broker(server: &Arc<Server>) -> Broker {
    Broker::new(server.clone(), None)
}

#[tokio::test(start_paused = true)]
async fn one_token_serves_many_and_is_renewed_early() {
    let server = Arc::new(Server::default());
    let broker = broker(&server);
    let all = (0..200).map(|_| async { broker.token(&request()).await.unwrap() });
    let all = futures::future::join_all(all).await;
    assert!(all.iter().all(|token| token.secret().expose() == "s3cret-token-1"));
    assert_eq!(server.count(), 1, "one flight for all");
    let form = server.forms.lock().unwrap()[0].clone();
    let expected =
        [("audience", "https://prom"), ("grant_type", "client_credentials"), ("scope", "read metrics")];
    let shown: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(shown, expected);
    for _ in 0..29 {
        tokio::time::sleep(MINUTE).await;
        broker.token(&request()).await.unwrap();
    }
    assert_eq!(server.count(), 2, "renewed once, before the first expired");
}

#[tokio::test(start_paused = true)]
async fn every_part_of_a_request_makes_another_token() {
    let server = Arc::new(Server::default());
    let broker = broker(&server);
    let mut scopes = request();
    scopes.scopes.clear();
    let mut params = request();
    params.endpoint_params.clear();
    let mut url = request();
    url.token_url.push_str("/v2");
    let mut trust = request();
    trust.tls.unsafe_ssl = true;
    for request in [request(), scopes, params, url, trust, request()] {
        broker.token(&request).await.unwrap();
    }
    assert_eq!(server.count(), 5);
    assert!(!server.forms.lock().unwrap()[1].contains_key("scope"), "without scopes none are asked for");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_the_form_is_remembered() {
    let server = Arc::new(Server { form_only: true, ..Server::default() });
    let broker = broker(&server);
    let first = broker.token(&request()).await.unwrap();
    assert_eq!(server.count(), 2, "basic, then the form");
    tokio::time::advance(Duration::from_secs(600)).await;
    broker.renew(&request(), &first).await.unwrap().unwrap();
    assert_eq!(server.count(), 3, "the form at once");
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_is_told_what_to_check_and_not_asked_in_a_loop() {
    let server = Arc::new(Server::default());
    let broker = broker(&server);
    let mut wrong = request();
    wrong.client_secret = "s3cret:wrong".into();
    wrong.endpoint_params.clear();
    let error = broker.token(&wrong).await.unwrap_err();
    assert_eq!(
        error.message,
        "the token endpoint https://login.example/oauth/token answered with status 401: invalid_client: client s3cret:secret is not \
         welcome; asked as client \"shop app\" for scopes \"read metrics\" [oauth-refused]; check clientID and clientSecret"
    );
    assert_eq!((error.kind, error.temporary()), (Kind::Auth, false));
    for _ in 0..100 {
        broker.token(&wrong).await.unwrap_err();
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_repeated() {
    let server = Arc::new(Server::default());
    *server.broken.lock().unwrap() = Some(400);
    let error = broker(&server).token(&request()).await.unwrap_err();
    assert!(error.message.contains("client <hidden> is not welcome"), "{error}");
    assert!(!format!("{:?} {error}", request()).contains("s3cret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_does_not_cost_the_token_in_hand() {
    let server = Arc::new(Server::default());
    let broker = broker(&server);
    broker.token(&request()).await.unwrap();
    *server.broken.lock().unwrap() = Some(503);
    tokio::time::sleep(25 * MINUTE).await;
    broker.token(&request()).await.unwrap();
    tokio::time::sleep(6 * MINUTE).await;
    let error = broker.token(&request()).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::OAuth2Failing), Kind::Propagating), "{error}");
    *server.broken.lock().unwrap() = None;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(broker.token(&request()).await.unwrap().secret().expose(), "s3cret-token-2");
}

#[tokio::test(start_paused = true)]
async fn a_life_that_is_not_said_is_an_hour() {
    let server = Arc::new(Server { silent: true, ..Server::default() });
    let token = broker(&server).token(&request()).await.unwrap();
    assert_eq!(token.expires(), Instant::now() + 60 * MINUTE);
}
