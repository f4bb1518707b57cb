//! HashiCorp Vault, and OpenBao, which speaks the same (auth.md §6.1).
//!
//! ```text
//! vault.rs       what is asked, and which text of an answer becomes a parameter
//! session.rs     who we are to a Vault: one login for every object, renewed, used until it expires
//! account.rs     the ServiceAccount's token that a login shows
//! call.rs        one request, and what its refusal means
//! ```

mod account;
mod call;
mod session;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keda_api::trigger_authentication::{HashiCorpVault, VaultPkiData, VaultSecret};
use keda_scaler::http::{Method, TlsIdentity};
use keda_scaler::identity::ServiceAccount;
use keda_scaler::{Code, Error as StoreError, Kind, Secret};
use serde_json::{Map, Value, json};

use super::{Access, Ask, Values};
use crate::Error;

use call::Call;
pub(crate) use session::Sessions;

/// Where a pod finds the token of its ServiceAccount.
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What the process's environment says about Vault, by the names of Vault's own client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `VAULT_TOKEN`: used in place of every `credential.token`, as upstream.
    pub token: Option<Secret>,
    /// `VAULT_NAMESPACE`, where a TriggerAuthentication names none.
    pub namespace: Option<String>,
    /// `VAULT_CACERT`, `VAULT_CAPATH`, `VAULT_CLIENT_CERT`, `VAULT_CLIENT_KEY`, `VAULT_SKIP_VERIFY`.
    pub tls: TlsIdentity,
    /// `VAULT_CLIENT_TIMEOUT`: deadline of one request; without it the transport's own.
    pub timeout: Option<Duration>,
    /// Folders that `credential.serviceAccount` may name files of.
    pub account_folders: Vec<PathBuf>,
}

impl Default for Settings {
    /// No environment, and the folder of the pod's own token.
    fn default() -> Self {
        let own = PathBuf::from(OWN_TOKEN);
        Self {
            token: None,
            namespace: None,
            tls: TlsIdentity::default(),
            timeout: None,
            account_folders: own.parent().map(PathBuf::from).into_iter().collect(),
        }
    }
}

/// What a TriggerAuthentication asks of a Vault.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    session: session::Key,
    groups: Vec<Group>,
}

/// Secrets that one request answers.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    engine: Engine,
    path: String,
    /// Fields of the request for a certificate.
    certificate: BTreeMap<&'static str, String>,
    /// Parameter and key.
    wanted: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Engine {
    Any,
    KeyValue1,
    KeyValue2,
    Pki,
}

/// What can be said without asking: upstream's texts where it has one.
pub(super) fn prepare(
    given: &HashiCorpVault,
    sessions: &Sessions,
    ask: &Ask<'_>,
    warnings: &mut Vec<String>,
) -> Result<Query, Error> {
    let refused = |text: &str| {
        let error = StoreError::coded(Kind::Config, Code::VaultIncomplete, text, "");
        super::refused("hashiCorpVault", ask, error)
    };
    let address = given.address.trim().trim_end_matches('/');
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) || address.contains(['?', '#', '@']) {
        let text = format!(
            "address {:?} is no address of a Vault: write one like https://vault.example:8200",
            given.address
        );
        return Err(refused(&text));
    }
    let login = login(given, sessions.settings(), ask).map_err(|text| refused(&text))?;
    if let Some(what) = login.of_the_operator(sessions.settings()) {
        let judged = ask.binding.own(what).review_one("address", address);
        warnings.extend(judged.map_err(|cause| super::refused("hashiCorpVault", ask, cause))?);
    }
    let namespace = given.namespace.as_deref().map(str::trim).filter(|namespace| !namespace.is_empty());
    let namespace = namespace.map(str::to_owned).or_else(|| sessions.settings().namespace.clone());
    let mut groups: Vec<Group> = Vec::new();
    for secret in &given.secrets {
        let group = group(secret).map_err(|text| refused(&text))?;
        let same = |known: &&mut Group| {
            (known.engine, &known.path, &known.certificate) == (group.engine, &group.path, &group.certificate)
        };
        match groups.iter_mut().find(same) {
            Some(known) => known.wanted.extend(group.wanted),
            None => groups.push(group),
        }
    }
    Ok(Query { session: session::Key { address: address.to_owned(), namespace, login }, groups })
}

fn login(given: &HashiCorpVault, settings: &Settings, ask: &Ask<'_>) -> Result<session::Login, String> {
    let text = |text: Option<&String>| {
        text.map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let credential = given.credential.as_ref();
    match given.authentication.as_str() {
        "token" => {
            let own = settings.token.clone();
            let token = own.or_else(|| text(credential.and_then(|it| it.token.as_ref())).map(Secret::from));
            token.map(session::Login::Token).ok_or_else(|| {
                "could not get Vault token: credential.token is not set, nor VAULT_TOKEN in the operator"
                    .to_owned()
            })
        }
        "kubernetes" => {
            let missing = |field: &str| {
                format!(
                    "{field} is not set, authentication kubernetes needs the mount of the method and a role"
                )
            };
            let mount = text(given.mount.as_ref()).ok_or_else(|| missing("mount"))?;
            let role = text(given.role.as_ref()).ok_or_else(|| missing("role"))?;
            let account = text(credential.and_then(|it| it.service_account_name.as_ref()));
            let file = text(credential.and_then(|it| it.service_account.as_ref()));
            let shown = match (account, file) {
                (Some(name), _) => {
                    account::Shown::Account(ServiceAccount { namespace: ask.scope.namespace.clone(), name })
                }
                (None, Some(file)) => account::Shown::File(PathBuf::from(file)),
                (None, None) => account::Shown::File(PathBuf::from(OWN_TOKEN)),
            };
            Ok(session::Login::Kubernetes { mount: mount.trim_matches('/').to_owned(), role, shown })
        }
        other => Err(format!("authentication {other:?} is not known, it must be token or kubernetes")),
    }
}

fn group(secret: &VaultSecret) -> Result<Group, String> {
    let VaultSecret { parameter, path, key, .. } = secret;
    let engine = match secret.r#type.as_ref().map(|engine| engine.as_str()).unwrap_or_default() {
        "" => Engine::Any,
        "secret" => Engine::KeyValue1,
        "secretV2" => Engine::KeyValue2,
        "pki" => Engine::Pki,
        other => {
            return Err(format!(
                "parameter {parameter:?}: type {other:?} is not known, it must be secret, secretV2 or pki, or left out"
            ));
        }
    };
    let path = path.trim().trim_matches('/').to_owned();
    let plain = !path.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'));
    if path.is_empty() || !plain || path.split('/').any(|part| part == "..") {
        return Err(format!("parameter {parameter:?}: path {:?} is no path of a secret", secret.path));
    }
    let certificate = match (&secret.pki_data, engine) {
        (Some(data), Engine::Pki) => certificate(data),
        _ => BTreeMap::new(),
    };
    Ok(Group { engine, path, certificate, wanted: vec![(parameter.clone(), key.clone())] })
}

/// The fields that are given, by Vault's names.
fn certificate(data: &VaultPkiData) -> BTreeMap<&'static str, String> {
    let fields = [
        ("common_name", &data.common_name),
        ("alt_names", &data.alt_names),
        ("ip_sans", &data.ip_sans),
        ("uri_sans", &data.uri_sans),
        ("other_sans", &data.other_sans),
        ("ttl", &data.ttl),
        ("format", &data.format),
    ];
    fields
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.clone().filter(|text| !text.is_empty())?)))
        .collect()
}

/// Answers a query: one request a path, under one login.
pub(super) async fn fetch(query: &Query, access: &Access) -> Result<Values, StoreError> {
    let mut values = Values::new();
    for group in &query.groups {
        let answer = read(query, group, access).await?;
        let pool = group.pool(&answer);
        for (parameter, key) in &group.wanted {
            let value = text(pool, key).map_err(|why| group.unusable(query, parameter, key, &why))?;
            values.push((parameter.clone(), value));
        }
    }
    Ok(values)
}

/// One read under the session. A login that was made earlier and is refused now is made again, once.
async fn read(query: &Query, group: &Group, access: &Access) -> Result<Value, StoreError> {
    let parameters = group.parameters();
    let lease = session::Lease { path: group.path.clone(), certificate: group.certificate.clone() };
    let session = access.vault.session(&query.session, access).await?;
    if let Some(kept) = session.lease(&lease) {
        return Ok(kept);
    }
    let call = group.call(query, &session, access);
    let answer = match call.send(access.http.as_ref()).await {
        Err(refusal) if refusal.status == Some(403) && !session.is_new() => {
            access.vault.forget(&query.session, &session);
            let session = access.vault.session(&query.session, access).await?;
            group.call(query, &session, access).send(access.http.as_ref()).await
        }
        answer => answer,
    };
    let answer = answer.map_err(|refusal| refusal.of_read(&group.path, &parameters, query.session.who()))?;
    session.keep(lease, access.clock.now(), &answer);
    Ok(answer)
}

impl Group {
    fn call(&self, query: &Query, session: &session::Session, access: &Access) -> Call {
        let call = Call::new(&query.session, access.vault.settings(), &self.path).token(session.token());
        match self.engine {
            Engine::Pki => call.body(Method::PUT, &json!(self.certificate)),
            _ => call,
        }
    }

    /// The object that keys are looked up in. Without a type it is version 2's where the answer looks like it.
    fn pool<'a>(&self, answer: &'a Value) -> Option<&'a Map<String, Value>> {
        let data = answer.get("data")?.as_object()?;
        let inner = || data.get("data").and_then(Value::as_object);
        match self.engine {
            Engine::Any => Some(inner().unwrap_or(data)),
            Engine::KeyValue2 => inner(),
            Engine::KeyValue1 | Engine::Pki => Some(data),
        }
    }

    fn parameters(&self) -> String {
        let names: Vec<String> = self.wanted.iter().map(|(name, _)| format!("{name:?}")).collect();
        match names.as_slice() {
            [only] => format!("parameter {only}"),
            several => format!("parameters {}", several.join(", ")),
        }
    }

    fn unusable(&self, query: &Query, parameter: &str, key: &str, why: &str) -> StoreError {
        let address = &query.session.address;
        let text = format!("parameter {parameter:?}: key {key:?} of {} at {address} {why}", self.path);
        let advice = match self.engine {
            Engine::KeyValue2 => {
                "type secretV2 reads version 2 of the key-value engine, whose paths contain data/"
            }
            _ => "",
        };
        StoreError::coded(Kind::Config, Code::VaultSecretMissing, text, advice)
    }
}

/// The text under a key. Lists of texts (`ca_chain`) are joined by line breaks.
fn text(pool: Option<&Map<String, Value>>, key: &str) -> Result<Secret, String> {
    let Some(pool) = pool else { return Err("cannot be looked up: the answer holds no secret".to_owned()) };
    let list = |values: &[Value]| -> Option<String> {
        Some(values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join("\n"))
    };
    match pool.get(key) {
        Some(Value::String(text)) => Ok(Secret::from(text.clone())),
        Some(Value::Array(values)) if list(values).is_some() => {
            Ok(Secret::from(list(values).unwrap_or_default()))
        }
        Some(other) => {
            let kind = match other {
                Value::Null => "null",
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                Value::Array(_) => "a list",
                _ => "an object",
            };
            Err(format!("is {kind}, it has to be a text: store it in quotes"))
        }
        None => {
            // Names of keys are no secrets, and a misspelt one is seen at once.
            let mut keys: Vec<&str> = pool.keys().map(String::as_str).take(20).collect();
            keys.sort_unstable();
            let known = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
            Err(format!("does not exist, there are: {known}"))
        }
    }
}
