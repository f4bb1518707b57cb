//! One request to a Vault, and what its refusal means.

use keda_scaler::http::{self, ErrorKind, HeaderValue, Method, Request, Transport, header, sensitive};
use keda_scaler::{Code, Error, Kind, Secret};
use serde_json::Value;

use super::Settings;
use super::session::Key;

/// Longest quotation of Vault's words.
const QUOTED: usize = 300;

/// A request that is ready to be sent.
pub(super) struct Call {
    request: Request,
    address: String,
    /// What must not be repeated from an answer.
    hidden: Vec<Secret>,
}

/// Why there is no usable answer.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The status, where Vault answered.
    pub(super) status: Option<u16>,
    kind: Kind,
    code: Option<Code>,
    /// Vault's own words, or the transport's.
    words: String,
    address: String,
    advice: &'static str,
}

impl Call {
    /// A GET of a path below `/v1/`.
    pub(super) fn new(key: &Key, settings: &Settings, path: &str) -> Self {
        let mut request = Request::get(format!("{}/v1/{}", key.address, escaped(path)));
        request.headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = key.namespace.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            request.headers.insert("x-vault-namespace", namespace);
        }
        request.tls = settings.tls.clone();
        request.timeout = settings.timeout;
        Self { request, address: key.address.clone(), hidden: Vec::new() }
    }

    /// The same as somebody.
    pub(super) fn token(mut self, token: &Secret) -> Self {
        if let Some(value) = sensitive(token.expose()) {
            self.request.headers.insert("x-vault-token", value);
        }
        self.hidden.push(token.clone());
        self
    }

    /// The same with a body, which is not shown anywhere.
    pub(super) fn body(mut self, method: Method, body: &Value) -> Self {
        self.request.method = method;
        self.request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.request.body = body.to_string().into();
        self
    }

    /// The same, with one more text that must not be repeated from an answer.
    pub(super) fn hiding(mut self, secret: &Secret) -> Self {
        self.hidden.push(secret.clone());
        self
    }

    /// Asks once. An answer without a body is `null`.
    pub(super) async fn send(self, http: &dyn Transport) -> Result<Value, Refusal> {
        let Self { request, address, hidden } = self;
        let response = http.send(request).await.map_err(|error| unreachable(&error, &address))?;
        let status = response.status.as_u16();
        let unreadable = || Refusal {
            status: None,
            kind: Kind::Answer,
            code: Some(Code::VaultFailing),
            words: format!("the answer of {address} with status {status} is no JSON"),
            address: address.clone(),
            advice: "check that address is the one of a Vault",
        };
        if response.status.is_success() {
            return match response.body.is_empty() {
                true => Ok(Value::Null),
                // The parser's own text could quote the answer, which holds secrets.
                false => serde_json::from_slice(&response.body).map_err(|_| unreadable()),
            };
        }
        let document: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let mut words = said(&document);
        // Before anything is cut: a half is half a secret.
        for secret in &hidden {
            words = secret.hide_in(&words).unwrap_or(words);
        }
        words = match words.as_str() {
            "" => format!("status {status}"),
            words => cut(words),
        };
        let (kind, code, advice) = match status {
            503 => (Kind::Unreachable, Some(Code::VaultFailing), "a sealed Vault has to be unsealed"),
            429 | 472 | 473 | 500.. => (Kind::Source(status), Some(Code::VaultFailing), ""),
            301..=308 => {
                let advice =
                    "it is a standby that sends its clients elsewhere: address has to lead to the active one";
                (Kind::Config, Some(Code::VaultUnreachable), advice)
            }
            _ => (Kind::Auth, None, ""),
        };
        Err(Refusal { status: Some(status), kind, code, words, address, advice })
    }
}

impl Refusal {
    /// The refusal of a login.
    pub(super) fn of_login(self, what: &str, advice: &str) -> Error {
        let text = format!("{what} at {}: {}", self.address, self.words);
        self.error(Code::VaultLoginRefused, text, advice)
    }

    /// The refusal of a token.
    pub(super) fn of_token(self) -> Error {
        let text = format!("the token is not valid at {}: {}", self.address, self.words);
        let advice =
            "give credential.token a token that bao token lookup, or vault token lookup, knows there";
        self.error(Code::VaultTokenRefused, text, advice)
    }

    /// The refusal of a read by `who`.
    pub(super) fn of_read(self, path: &str, parameters: &str, who: &str) -> Error {
        let text = format!("{parameters}: cannot read {path} at {}: {}", self.address, self.words);
        match self.status {
            Some(403) => {
                let advice = format!("a policy of {who} has to allow read on {path:?} (update for pki)");
                self.error(Code::VaultForbidden, text, &advice)
            }
            Some(404) => {
                let advice = "there is no such secret; paths of version 2 of the key-value engine contain data/, like \
                              secret/data/app";
                self.error(Code::VaultSecretMissing, text, advice)
            }
            _ => self.error(Code::VaultSecretMissing, text, ""),
        }
    }

    fn error(self, code: Code, text: String, advice: &str) -> Error {
        match self.code {
            Some(own) => Error::coded(self.kind, own, text, self.advice),
            None => Error::coded(self.kind, code, text, advice),
        }
    }
}

fn unreachable(error: &http::Error, address: &str) -> Refusal {
    let words = error.to_string();
    let kind = match error.kind() {
        ErrorKind::Timeout => Kind::Timeout,
        ErrorKind::Request => Kind::Config,
        _ => Kind::Unreachable,
    };
    let advice = if words.contains("UnknownIssuer") {
        "put its CA's certificate into a folder of --ca-dir, or name it in VAULT_CACERT"
    } else {
        "check address, name resolution, egress rules and proxy for it"
    };
    let address = address.to_owned();
    Refusal { status: None, kind, code: Some(Code::VaultUnreachable), words, address, advice }
}

/// Vault's own words: its errors, else its warnings, in one line.
fn said(document: &Value) -> String {
    let list = |field: &str| -> Vec<&str> {
        let texts = document.get(field).and_then(Value::as_array);
        texts.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let texts = [list("errors"), list("warnings")].concat().join("; ");
    texts.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// A path with everything escaped that a URL does not carry as it is.
fn escaped(path: &str) -> String {
    path.split('/')
        .map(|part| keda_scaler::http::query_escape(part).replace('+', "%20"))
        .collect::<Vec<_>>()
        .join("/")
}
