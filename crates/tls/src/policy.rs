//! Minimum TLS version and cipher suites, from texts.
//!
//! Rules of the environment variables: upstream's `pkg/util/tls_config.go` and `pkg/metricsservice/utils/tls.go`. Two differences that
//! rustls makes: TLS 1.0 and 1.1 do not exist (the minimum becomes 1.2, with a warning), nor do CBC and RSA key exchange suites (named
//! in a warning and left out). As in Go, the list chooses among the suites of TLS 1.2; those of TLS 1.3 are always offered.

use std::sync::Arc;

use rustls::{
    CipherSuite, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};

static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];

/// A minimum version and a list of suites. The default is TLS 1.2 and every suite of the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    only_13: bool,
    /// Suites of TLS 1.2 to offer; `None`: all.
    suites: Option<Vec<CipherSuite>>,
}

/// A text that names no version or suite we have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a version.
    #[error("unknown tls version {0:?} (allowed: VersionTLS10, VersionTLS11, VersionTLS12, VersionTLS13)")]
    Version(String),
    /// Not a suite of this provider.
    #[error("cipher suite {0:?} is unknown or not offered")]
    Suite(String),
}

impl Policy {
    /// For connections between KEDA's own processes and for the webhooks: `KEDA_SERVICE_MIN_TLS_VERSION` and
    /// `KEDA_SERVICE_TLS_CIPHER_LIST`. Each one, when unset, takes the value of its `KEDA_HTTP_*` counterpart; a minimum version that is
    /// set but empty or wrong is TLS 1.3. What is not as asked is logged.
    pub fn service(env: impl Fn(&str) -> Option<String>) -> Self {
        let (policy, notices) = Self::service_with_notices(env);
        tell(&notices);
        policy
    }

    /// For connections to sources of metrics: `KEDA_HTTP_MIN_TLS_VERSION` (TLS12 when unset or wrong) and `KEDA_HTTP_TLS_CIPHER_LIST`.
    /// What is not as asked is logged.
    pub fn http(env: impl Fn(&str) -> Option<String>) -> Self {
        let (policy, notices) = Self::http_with_notices(env);
        tell(&notices);
        policy
    }

    /// For `--tls-min-version` and `--tls-cipher-suites` of the API server libraries: wrong words are refused.
    ///
    /// # Errors
    /// The first word that is not known.
    pub fn strict(min_version: &str, suites: &[String]) -> Result<Self, Error> {
        let only_13 = match min_version {
            "" | "VersionTLS12" => false,
            "VersionTLS13" => true,
            "VersionTLS10" | "VersionTLS11" => {
                tell(&[format!("{min_version} is not offered, the minimum is TLS 1.2")]);
                false
            }
            other => return Err(Error::Version(other.to_owned())),
        };
        let suites = suites
            .iter()
            .map(|name| suite(name).ok_or_else(|| Error::Suite(name.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { only_13, suites: (!suites.is_empty()).then_some(suites) })
    }

    /// Only TLS 1.3?
    pub fn only_13(&self) -> bool {
        self.only_13
    }

    pub(crate) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        if self.only_13 { &ONLY_13 } else { &FROM_12 }
    }

    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(wanted) = &self.suites {
            let tls13 = |s: &SupportedCipherSuite| s.tls13().is_some();
            provider.cipher_suites.retain(|s| tls13(s) || wanted.contains(&s.suite()));
            // Only suites of 1.3 are wanted: an empty 1.2 cannot be configured, so 1.2 keeps what it has, as in Go.
            if !provider.cipher_suites.iter().any(|s| !tls13(s)) {
                provider.cipher_suites = aws_lc_rs::default_provider().cipher_suites;
            }
        }
        Arc::new(provider)
    }

    fn http_with_notices(env: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let mut notices = Vec::new();
        let only_13 = match env("KEDA_HTTP_MIN_TLS_VERSION").as_deref() {
            None | Some("") => false,
            Some(word) => version("KEDA_HTTP_MIN_TLS_VERSION", word, false, &mut notices),
        };
        let suites = list("KEDA_HTTP_TLS_CIPHER_LIST", env("KEDA_HTTP_TLS_CIPHER_LIST"), &mut notices);
        (Self { only_13, suites }, notices)
    }

    fn service_with_notices(env: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let (http, http_notices) = Self::http_with_notices(&env);
        let mut notices = Vec::new();
        let min = env("KEDA_SERVICE_MIN_TLS_VERSION");
        let ciphers = env("KEDA_SERVICE_TLS_CIPHER_LIST");
        if min.is_none() || ciphers.is_none() {
            notices.extend(http_notices);
        }
        let only_13 = match min.as_deref() {
            None => http.only_13,
            Some(word) => version("KEDA_SERVICE_MIN_TLS_VERSION", word, true, &mut notices),
        };
        let suites = match ciphers {
            None => http.suites,
            Some(words) => list("KEDA_SERVICE_TLS_CIPHER_LIST", Some(words), &mut notices),
        };
        (Self { only_13, suites }, notices)
    }
}

/// Whether the minimum is 1.3; `otherwise` for words that are none of the four.
fn version(variable: &str, word: &str, otherwise: bool, notices: &mut Vec<String>) -> bool {
    match word {
        "TLS12" => false,
        "TLS13" => true,
        "TLS10" | "TLS11" => {
            notices.push(format!("{variable}: {word} is not offered, the minimum is TLS12"));
            false
        }
        _ => {
            let used = if otherwise { "TLS13" } else { "TLS12" };
            notices
                .push(format!("{variable}: {word:?} is not one of TLS10, TLS11, TLS12, TLS13: using {used}"));
            otherwise
        }
    }
}

/// Names split by `,` or `:`. `None` when no name is known.
fn list(variable: &str, words: Option<String>, notices: &mut Vec<String>) -> Option<Vec<CipherSuite>> {
    let words = words?;
    let mut found = Vec::new();
    for name in words.split([',', ':']).map(str::trim).filter(|name| !name.is_empty()) {
        match suite(name) {
            Some(suite) => found.push(suite),
            None => notices.push(format!("{variable}: cipher suite {name} is unknown or not offered")),
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Go's spelling is IANA's; rustls names the suites of TLS 1.3 `TLS13_…`. Two old spellings of Go lack the hash.
fn suite(name: &str) -> Option<CipherSuite> {
    let name = match name {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        other => other,
    };
    aws_lc_rs::ALL_CIPHER_SUITES.iter().map(SupportedCipherSuite::suite).find(|suite| {
        suite.as_str().is_some_and(|known| {
            known == name
                || known.strip_prefix("TLS13_").is_some_and(|rest| name.strip_prefix("TLS_") == Some(rest))
        })
    })
}

fn tell(notices: &[String]) {
    for notice in notices {
        tracing::warn!("{notice}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(vars: &[(&str, &str)]) -> (Policy, Vec<String>) {
        Policy::service_with_notices(|name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn minimum_of_the_service() {
        for (vars, only_13, notices) in [
            (&[][..], false, 0),
            (&[("KEDA_HTTP_MIN_TLS_VERSION", "TLS13")][..], true, 0),
            (&[("KEDA_HTTP_MIN_TLS_VERSION", "nonsense")], false, 1),
            (&[("KEDA_SERVICE_MIN_TLS_VERSION", "")], true, 1),
            (&[("KEDA_SERVICE_MIN_TLS_VERSION", "1.2")], true, 1),
            (&[("KEDA_SERVICE_MIN_TLS_VERSION", "TLS11")], false, 1),
            (&[("KEDA_SERVICE_MIN_TLS_VERSION", "TLS12"), ("KEDA_HTTP_MIN_TLS_VERSION", "TLS13")], false, 0),
        ] {
            let (policy, told) = service(vars);
            assert_eq!((policy.only_13, told.len()), (only_13, notices), "{vars:?}: {told:?}");
        }
    }

    #[test]
    fn cipher_lists() {
        let gcm = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        let (policy, told) = service(&[("KEDA_HTTP_TLS_CIPHER_LIST", gcm)]);
        assert_eq!(policy.suites.as_deref(), Some(&[CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256][..]));
        assert!(told.is_empty());
        let offered: Vec<_> = policy.provider().cipher_suites.iter().map(|s| s.suite()).collect();
        assert_eq!(offered.len(), 4, "three of TLS 1.3 and the one: {offered:?}");

        // Set to nothing: the provider's own list, not the HTTP one.
        let own = service(&[("KEDA_HTTP_TLS_CIPHER_LIST", gcm), ("KEDA_SERVICE_TLS_CIPHER_LIST", "")]);
        assert_eq!(own, (Policy::default(), vec![]));

        let (policy, told) = service(&[(
            "KEDA_SERVICE_TLS_CIPHER_LIST",
            "TLS_RSA_WITH_AES_128_CBC_SHA:TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,TLS_AES_128_GCM_SHA256",
        )]);
        assert_eq!(policy.suites.map(|s| s.len()), Some(2));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn strict_words() {
        assert_eq!(Policy::strict("", &[]), Ok(Policy::default()));
        assert!(Policy::strict("VersionTLS13", &[]).unwrap().only_13());
        assert!(matches!(Policy::strict("TLS12", &[]), Err(Error::Version(_))));
        assert!(matches!(Policy::strict("", &["RC4".to_owned()]), Err(Error::Suite(_))));
    }
}
