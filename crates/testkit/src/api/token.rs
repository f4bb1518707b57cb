//! TokenRequest: tokens of ServiceAccounts, in the API server's form and unsigned.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::{
    refusal::{Refusal, Subject},
    schema::FieldError,
    server::Identity,
};

/// The issuer of every token here.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// As the API server: no token may live less than ten minutes.
const SHORTEST: i64 = 600;

/// A token and whom it speaks for.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) identity: Identity,
    /// The request with its status.
    pub(crate) answer: Value,
}

/// Makes the token that `body`, a TokenRequest, asks for.
pub(crate) fn issue(namespace: &str, name: &str, body: &Value, now: Timestamp) -> Result<Issued, Refusal> {
    let spec = &body["spec"];
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(3600);
    if seconds < SHORTEST {
        let about = Subject { group: "authentication.k8s.io", kind: "TokenRequest", name: "" };
        let fault = FieldError::invalid(
            "spec.expirationSeconds",
            json!(seconds),
            "may not specify a duration less than 10 minutes",
        );
        return Err(Refusal::invalid(about, &[fault]));
    }
    let audiences = match spec["audiences"].as_array() {
        Some(given) if !given.is_empty() => Value::Array(given.clone()),
        _ => json!([ISSUER]),
    };
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let expires = now.saturating_add(seconds.seconds()).unwrap_or(Timestamp::MAX);
    let claims = json!({
        "iss": ISSUER, "sub": user, "aud": audiences, "iat": now.as_second(), "nbf": now.as_second(),
        "exp": expires.as_second(),
    });
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), part("unsigned"));
    let groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    let expiry = Timestamp::from_second(expires.as_second()).unwrap_or(expires).to_string();
    let answer = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "audiences": audiences, "expirationSeconds": seconds },
        "status": { "token": token, "expirationTimestamp": expiry },
    });
    Ok(Issued { token, identity: Identity { user, groups }, answer })
}
