//! A Vault in memory, as a transport: what the tests read from. It judges as a real one does (answers and words were compared
//! with OpenBao 2.7): tokens with a life, roles bound to ServiceAccounts, engines of both versions, certificates, leases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keda_scaler::http::{self, ErrorKind, Request, Response, StatusCode, Transport};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::claims::Claims;

/// Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Vault {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// By token: when it ends, and whether it can be renewed.
    tokens: BTreeMap<String, (Option<Instant>, bool)>,
    /// By mount and role: the subject that it is bound to.
    roles: BTreeMap<(String, String), String>,
    life: Option<Duration>,
    renewable: bool,
    /// By namespace and path: the `data` of an answer.
    secrets: BTreeMap<(String, String), Value>,
    denied: BTreeSet<String>,
    down: bool,
    sealed: bool,
    made: u64,
    asked: Vec<String>,
}

impl Vault {
    /// A token that is valid for a time or for ever.
    pub(super) fn token(&self, token: &str, life: Option<Duration>, renewable: bool) {
        let expires = life.map(|life| Instant::now() + life);
        self.lock().tokens.insert(token.to_owned(), (expires, renewable));
    }

    pub(super) fn revoke_all(&self) {
        self.lock().tokens.clear();
    }

    pub(super) fn role(&self, mount: &str, role: &str, subject: &str) {
        self.lock().roles.insert((mount.to_owned(), role.to_owned()), subject.to_owned());
    }

    /// How long logins last from now on.
    pub(super) fn logins_last(&self, life: Duration, renewable: bool) {
        let mut inner = self.lock();
        (inner.life, inner.renewable) = (Some(life), renewable);
    }

    pub(super) fn version1(&self, path: &str, data: Value) {
        self.secret("", path, data);
    }

    pub(super) fn version2(&self, path: &str, data: impl Into<Value>) {
        self.secret("", path, json!({ "data": data.into(), "metadata": { "version": 1 } }));
    }

    pub(super) fn secret(&self, namespace: &str, path: &str, data: Value) {
        self.lock().secrets.insert((namespace.to_owned(), path.to_owned()), data);
    }

    pub(super) fn deny(&self, path: &str) {
        self.lock().denied.insert(path.to_owned());
    }

    pub(super) fn down(&self, down: bool) {
        self.lock().down = down;
    }

    pub(super) fn sealed(&self, sealed: bool) {
        self.lock().sealed = sealed;
    }

    /// Method and path of every request so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// How many requests had this path.
    pub(super) fn times(&self, path: &str) -> usize {
        self.lock().asked.iter().filter(|asked| asked.ends_with(&format!(" {path}"))).count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Vault {
    async fn send(&self, request: Request) -> Result<Response, http::Error> {
        let mut inner = self.lock();
        if inner.down {
            let text = format!("{}: cannot connect: connection refused", request.describe());
            return Err(http::Error::new(ErrorKind::Connect, text));
        }
        let path = request.url.split_once("/v1/").map(|(_, path)| path.to_owned()).unwrap_or_default();
        inner.asked.push(format!("{} {path}", request.method));
        Ok(inner.answer(&request, &path))
    }
}

fn refused(status: u16, words: &[&str]) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    Response::new(status, json!({ "errors": words }).to_string())
}

fn ok(body: &Value) -> Response {
    Response::new(StatusCode::OK, body.to_string())
}

impl Inner {
    fn answer(&mut self, request: &Request, path: &str) -> Response {
        if self.sealed {
            return refused(503, &["Vault is sealed"]);
        }
        let header = |name: &str| {
            request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        assert_eq!(header("x-vault-request"), "true");
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Some(mount) = path.strip_prefix("auth/").and_then(|rest| rest.strip_suffix("/login")) {
            return self.login(mount, &body);
        }
        let token = header("x-vault-token");
        let valid = self.tokens.get(&token).filter(|(end, _)| end.is_none_or(|end| Instant::now() < end));
        let Some((end, renewable)) = valid.copied() else {
            // As a careless server would, with the token.
            return refused(403, &["permission denied", &format!("invalid token {token}")]);
        };
        match path {
            "auth/token/lookup-self" => {
                let ttl = end.map_or(0, |end| end.duration_since(Instant::now()).as_secs());
                ok(&json!({ "data": { "ttl": ttl, "renewable": renewable } }))
            }
            "auth/token/renew-self" => {
                if !renewable {
                    return refused(400, &["lease is not renewable"]);
                }
                let life = self.life.unwrap_or(Duration::from_secs(3600));
                self.tokens.insert(token.clone(), (Some(Instant::now() + life), true));
                ok(
                    &json!({ "auth": { "client_token": token, "lease_duration": life.as_secs(), "renewable": true } }),
                )
            }
            _ if self.denied.contains(path) => {
                refused(403, &["1 error occurred:\n\t* permission denied\n\n"])
            }
            _ if path.starts_with("pki/issue/") => self.certificate(&body),
            _ if path.starts_with("database/creds/") => {
                self.made += 1;
                ok(&json!({
                    "lease_id": format!("{path}/{}", self.made), "lease_duration": 60,
                    "data": { "username": format!("v-{}", self.made), "password": "s3cret-password" },
                }))
            }
            _ => match self.secrets.get(&(header("x-vault-namespace"), path.to_owned())) {
                Some(data) => ok(&json!({ "lease_id": "", "lease_duration": 2_764_800, "data": data })),
                None => refused(404, &[]),
            },
        }
    }

    fn login(&mut self, mount: &str, body: &Value) -> Response {
        let role = body["role"].as_str().unwrap_or_default();
        let Some(subject) = self.roles.get(&(mount.to_owned(), role.to_owned())) else {
            return refused(400, &[&format!("invalid role name \"{role}\"")]);
        };
        let jwt = body["jwt"].as_str().unwrap_or_default();
        if Claims::of(jwt).map(|claims| claims.subject) != Some(subject.clone()) {
            return refused(403, &["service account name not authorized", jwt]);
        }
        self.made += 1;
        let token = format!("hvs.s3cret-{}", self.made);
        let life = self.life.unwrap_or(Duration::from_secs(3600));
        self.tokens.insert(token.clone(), (Some(Instant::now() + life), self.renewable));
        ok(&json!({ "auth": {
            "client_token": token, "lease_duration": life.as_secs(), "renewable": self.renewable,
        } }))
    }

    fn certificate(&mut self, body: &Value) -> Response {
        let Some(name) = body["common_name"].as_str() else {
            return refused(400, &["the common_name field is required, or must be provided in a CSR"]);
        };
        self.made += 1;
        ok(&json!({ "lease_id": "", "lease_duration": 0, "data": {
            "certificate": format!("certificate {} of {name}", self.made), "private_key": "key",
            "ca_chain": ["first", "second"], "expiration": super::tests::START + 600,
        } }))
    }
}
