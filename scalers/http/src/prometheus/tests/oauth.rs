//! The mode `oauth`: a token for client credentials.

use std::sync::Mutex;

use async_trait::async_trait;
use keda_scaler::Code;
use keda_scaler::destinations::{Bound, Destinations, Hosts, Mode};
use keda_scaler::identity::{Token, TokenRequest, Tokens};

use super::*;

/// Gives out one token for client credentials, and remembers for which.
#[derive(Default)]
struct OAuth {
    asked: Mutex<Vec<TokenRequest>>,
}

#[async_trait]
impl Tokens for OAuth {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        self.asked.lock().unwrap().push(request.clone());
        let expires = tokio::time::Instant::now() + Duration::from_secs(3600);
        Ok(Token::new("s3cret-token".into(), Default::default(), expires))
    }

    async fn renew(&self, _: &TokenRequest, _: &Token) -> Result<Option<Token>, Error> {
        Ok(None)
    }
}

const CLIENT: [(&str, &str); 5] = [
    ("oauthTokenURI", "https://login.example/token"),
    ("clientID", "shop"),
    ("clientSecret", "s3cret-client"),
    ("scopes", "read, ,metrics"),
    ("endpointParams", "audience=https%3A%2F%2Fprom&tenant=a"),
];

/// auth.md §7: a token for client credentials, asked for under the trust of the query itself.
#[tokio::test(start_paused = true)]
async fn client_credentials_become_a_bearer_token() {
    let broker = Arc::new(OAuth::default());
    let transport = Scripted::answering(|_| Ok(vector(3.0)));
    let environment = Environment { tokens: broker.clone(), ..environment(transport.clone()) };
    let mut auth = CLIENT.to_vec();
    auth.push(("ca", NOBODY.0.as_str()));
    let given = example(&[("authModes", "oauth"), ("unsafeSsl", "true")], &auth);
    let live = connect(&given, &environment).await;
    assert_eq!(sample(&live).await.unwrap().value, 3.0);
    let request = transport.requests().remove(0);
    assert_eq!(request.headers.get("authorization").unwrap(), "Bearer s3cret-token");
    let asked = broker.asked.lock().unwrap().remove(0);
    assert!(!format!("{asked:?} {live:?} {request:?}").contains("s3cret"));
    let TokenRequest::OAuth2(asked) = asked else { panic!("{asked:?}") };
    assert_eq!((asked.token_url.as_str(), asked.client_id.as_str()), (CLIENT[0].1, "shop"));
    assert_eq!(asked.client_secret.expose(), "s3cret-client");
    assert_eq!(asked.scopes, ["read", "metrics"]);
    let params: Vec<_> =
        asked.endpoint_params.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(params, [("audience", "https://prom"), ("tenant", "a")]);
    assert_eq!(asked.tls, request.tls);
    assert!(asked.tls.ca.is_some() && !asked.tls.unsafe_ssl);
}

/// 7782: the secret of a ClusterTriggerAuthentication is not sent to a token endpoint that a namespace's user chose.
#[tokio::test(start_paused = true)]
async fn a_clients_secret_goes_only_to_hosts_that_it_is_bound_to_7782() {
    let broker = Arc::new(OAuth::default());
    let transport = Scripted::answering(|_| Ok(vector(3.0)));
    let environment = Environment { tokens: broker.clone(), ..environment(transport.clone()) };
    for (hosts, asked) in [("prom", 0), ("prom, login.example", 1)] {
        let destinations = Destinations::new(Bound {
            owner: "ClusterTriggerAuthentication shared".to_owned(),
            listed: Some(Hosts::parse(hosts).unwrap()),
            cluster: Some("a parameter"),
            known: Hosts::default(),
            mode: Mode::Enforce,
        });
        let context = Context { destinations, ..Context::default() };
        let parsed = FACTORY.parse(&example(&[("authModes", "oauth")], &CLIENT), &context).unwrap();
        let result = sample(&parsed.connect(&environment).await.unwrap()).await;
        assert_eq!(result.is_ok(), asked == 1, "{result:?}");
        assert_eq!(broker.asked.lock().unwrap().len(), asked);
        if let Err(error) = result {
            assert_eq!(error.code, Some(Code::DestinationRefused));
            assert!(error.message.contains("not sent to host login.example"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_server_repeats_is_hidden() {
    let transport =
        Scripted::answering(|_| Ok(Response::new(StatusCode::UNAUTHORIZED, "no s3cret-token here")));
    let environment = Environment { tokens: Arc::new(OAuth::default()), ..environment(transport) };
    let live = connect(&example(&[("authModes", "oauth")], &CLIENT), &environment).await;
    let error = sample(&live).await.unwrap_err();
    assert_eq!(error.message, "prometheus query api returned error. status: 401 response: no <hidden> here");
}

#[test]
fn an_unusable_token_request_is_refused_by_its_parameter() {
    for (name, value, text) in [
        ("endpointParams", "scope=all", "endpointParams cannot replace scope, which scopes gives"),
        (
            "oauthTokenURI",
            "login.example",
            "oauthTokenURI must be an http or https address, like https://login.example/token",
        ),
    ] {
        let mut auth = CLIENT.to_vec();
        auth.retain(|(known, _)| *known != name);
        auth.push((name, value));
        let given = example(&[("authModes", "oauth")], &auth);
        let error = FACTORY.parse(&given, &Context::default()).unwrap_err();
        assert_eq!((error.message.as_str(), error.kind), (text, Kind::Config));
    }
}
