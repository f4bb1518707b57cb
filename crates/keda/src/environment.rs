//! Environment variables, upstream's names and rules (platform.md §1.5).
//!
//! The only place that reads them: everything below takes plain values.

use std::{env, time::Duration};

use anyhow::{Context, Result, bail};
use keda_auth::{aws, azure, gcp};
use keda_scaler::{Secret, http, identity::ServiceAccount};

/// The text of a variable; an empty one counts as set.
pub(crate) fn text(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// The text of a variable that is set and not empty.
pub(crate) fn given(name: &str) -> Option<String> {
    text(name).filter(|text| !text.is_empty())
}

/// `WATCH_NAMESPACE`: must be present; empty (or two quotes, as some manifests write it) means every namespace.
pub(crate) fn watch_namespaces() -> Result<Vec<String>> {
    let Some(namespaces) = text("WATCH_NAMESPACE") else {
        bail!(
            "the environment variable WATCH_NAMESPACE must be set: a comma-separated list of namespaces, or empty for all"
        );
    };
    Ok(split_namespaces(&namespaces))
}

fn split_namespaces(text: &str) -> Vec<String> {
    match text {
        "" | "\"\"" => Vec::new(),
        // Upstream does not trim, and then watches a namespace that cannot exist.
        list => list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
    }
}

/// `POD_NAMESPACE`, else `keda`.
pub(crate) fn pod_namespace() -> String {
    given("POD_NAMESPACE").unwrap_or_else(|| "keda".to_owned())
}

/// `KEDA_CLUSTER_OBJECT_NAMESPACE`, else the pod's own namespace, else `POD_NAMESPACE`.
pub(crate) fn cluster_object_namespace() -> String {
    const OWN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    given("KEDA_CLUSTER_OBJECT_NAMESPACE")
        .or_else(|| {
            std::fs::read_to_string(OWN)
                .ok()
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        })
        .unwrap_or_else(pod_namespace)
}

/// `KEDA_RESTRICT_SECRET_ACCESS`: the word `true`, in any case; nothing else counts, as upstream.
pub(crate) fn restricted_secrets() -> bool {
    given("KEDA_RESTRICT_SECRET_ACCESS").is_some_and(|word| word.eq_ignore_ascii_case("true"))
}

/// A Go duration, or the default where the variable is not set.
pub(crate) fn duration(name: &str, default: Duration) -> Result<Duration> {
    let Some(text) = given(name) else { return Ok(default) };
    let duration: keda_api::GoDuration =
        text.parse().with_context(|| format!("{name}={text:?} is not a duration, write for instance 15s"))?;
    duration.to_std().with_context(|| format!("{name}={text:?} must not be negative"))
}

/// A number, or nothing where the variable is not set.
pub(crate) fn number<N: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
) -> Result<Option<N>> {
    given(name)
        .map(|text| text.parse().with_context(|| format!("{name}={text:?} is not a number")))
        .transpose()
}

/// `KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY`: from one hour, which is the default, to six.
pub(crate) fn bound_token_lifetime() -> Result<Duration> {
    const NAME: &str = "KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY";
    let lifetime = duration(NAME, keda_auth::BOUND_TOKEN_LIFETIME)?;
    let hour = Duration::from_secs(3600);
    if !(hour..=6 * hour).contains(&lifetime) {
        bail!("{NAME}={lifetime:?} must be between 1h and 6h");
    }
    Ok(lifetime)
}

/// What is known about the process's own Azure identity: what Azure's webhook injected, and the ServiceAccount that the
/// mounted token speaks for.
pub(crate) fn azure_identity() -> azure::Settings {
    azure::Settings::read(text, own_account())
}

/// What is known about the process's own identities. One call to an issuer of tokens may take as long as one of a trigger.
pub(crate) fn identities(timeout: Duration) -> keda_auth::Settings {
    let (mut azure, mut google) = (azure_identity(), gcp::Settings::read(text, own_account()));
    let mut aws = aws::Settings::read(text);
    (aws.timeout, azure.timeout, google.timeout) = (Some(timeout), Some(timeout), Some(timeout));
    keda_auth::Settings { aws, azure, google }
}

/// The ServiceAccount that the mounted token speaks for.
fn own_account() -> Option<ServiceAccount> {
    const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    std::fs::read_to_string(TOKEN).ok().and_then(|token| azure::service_account_of(&token))
}

/// What Vault's own client reads (`VAULT_*`), and the folders that `credential.serviceAccount` may name files of besides the
/// pod's own. What cannot be honoured is logged.
pub(crate) fn vault(folders: &[std::path::PathBuf]) -> Result<keda_auth::VaultSettings> {
    let mut settings = keda_auth::VaultSettings::default();
    settings.token = given("VAULT_TOKEN").map(|token| Secret::new(token.trim()));
    settings.namespace = given("VAULT_NAMESPACE");
    settings.account_folders.extend(folders.iter().cloned());
    if let Some(text) = given("VAULT_CLIENT_TIMEOUT") {
        let duration = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => duration("VAULT_CLIENT_TIMEOUT", Duration::ZERO)?,
        };
        settings.timeout = Some(duration).filter(|it| !it.is_zero());
    }
    let read = |name: &str, path: &std::path::Path| {
        std::fs::read_to_string(path).with_context(|| format!("{name}={}", path.display()))
    };
    let file = |name: &str| given(name).map(|path| read(name, path.as_ref())).transpose();
    settings.tls.ca = match (file("VAULT_CACERT")?, given("VAULT_CAPATH")) {
        (Some(ca), _) => Some(ca.into()),
        (None, Some(folder)) => {
            let entries = std::fs::read_dir(&folder).with_context(|| format!("VAULT_CAPATH={folder}"))?;
            let files = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file());
            let texts: Vec<String> = files.map(|path| read("VAULT_CAPATH", &path)).collect::<Result<_>>()?;
            Some(texts.join("\n").into())
        }
        (None, None) => None,
    };
    settings.tls.certificate = match (file("VAULT_CLIENT_CERT")?, file("VAULT_CLIENT_KEY")?) {
        (Some(chain), Some(key)) => {
            Some(std::sync::Arc::new(http::ClientCertificate { chain: chain.into(), key: Secret::new(key) }))
        }
        (None, None) => None,
        _ => bail!("VAULT_CLIENT_CERT and VAULT_CLIENT_KEY have to be set together"),
    };
    settings.tls.unsafe_ssl = given("VAULT_SKIP_VERIFY")
        .is_some_and(|word| matches!(word.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    settings.tls.check().context("VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY")?;
    for name in ["VAULT_TLS_SERVER_NAME", "VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY", "VAULT_AGENT_ADDR"] {
        if given(name).is_some() {
            tracing::warn!(
                logger = "setup",
                variable = name,
                "this variable of Vault's client has no effect"
            );
        }
    }
    Ok(settings)
}

/// How triggers speak HTTP (`KEDA_HTTP_*`); what was asked for and cannot be honoured is logged.
pub(crate) fn http_settings() -> Result<http::Settings> {
    let names = [
        "KEDA_HTTP_DEFAULT_TIMEOUT",
        "KEDA_HTTP_DISABLE_KEEP_ALIVE",
        "KEDA_HTTP_MIN_TLS_VERSION",
        "KEDA_HTTP_TLS_CIPHER_LIST",
    ];
    let [timeout, keep_alive, version, ciphers] = names.map(text);
    let mut variables = http::Variables::default();
    variables.default_timeout = timeout.as_deref();
    variables.disable_keep_alive = keep_alive.as_deref();
    variables.min_tls_version = version.as_deref();
    variables.tls_cipher_list = ciphers.as_deref();
    let (settings, warnings) = http::Settings::parse(variables)?;
    for warning in warnings {
        tracing::warn!(logger = "setup", "{warning}");
    }
    Ok(settings)
}

/// A number above 0 from the command line.
pub(crate) fn positive(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "must be a number above 0".to_owned())
}

/// A path from the command line. Go's flags take an empty one, which manifests spell out; clap alone would refuse it.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a parser of values")]
pub(crate) fn path(text: &str) -> Result<std::path::PathBuf, std::convert::Infallible> {
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::split_namespaces;

    #[test]
    fn namespaces_are_a_list_or_all() {
        assert!(split_namespaces("").is_empty());
        assert!(split_namespaces("\"\"").is_empty());
        assert_eq!(split_namespaces("a, b"), ["a", "b"]);
    }
}
