//! Process-wide HTTP settings, read from upstream's variables and flags.
//!
//! Nothing here reads the environment: the executable passes the texts.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{DEFAULT_TIMEOUT, Egress, MAX_BODY, TlsVersion};

/// The texts of upstream's environment variables (platform.md 1.5); `None` where a variable is not set.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Variables<'a> {
    /// `KEDA_HTTP_DEFAULT_TIMEOUT`, milliseconds.
    pub default_timeout: Option<&'a str>,
    /// `KEDA_HTTP_DISABLE_KEEP_ALIVE`, a Go boolean word.
    pub disable_keep_alive: Option<&'a str>,
    /// `KEDA_HTTP_MIN_TLS_VERSION`: `TLS10`, `TLS11`, `TLS12` or `TLS13`.
    pub min_tls_version: Option<&'a str>,
    /// `KEDA_HTTP_TLS_CIPHER_LIST`: Go's cipher suite names, separated by `,` or `:`.
    pub tls_cipher_list: Option<&'a str>,
}

/// How the process speaks HTTP to sources.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Deadline of an exchange that names none.
    pub timeout: Duration,
    /// Whether connections are kept for the next request.
    pub keep_alive: bool,
    /// Idle connections kept for each endpoint (`--http-max-idle-conns-per-host`).
    pub idle_per_endpoint: usize,
    /// How long an idle connection is kept (`--http-idle-conn-timeout`).
    pub idle_timeout: Duration,
    /// Oldest TLS version spoken.
    pub min_tls: TlsVersion,
    /// Cipher suites allowed below TLS 1.3, by Go's names; empty means the library's choice.
    pub cipher_suites: Vec<String>,
    /// Folders with further root certificates (`--ca-dir`); missing folders are fine.
    pub ca_dirs: Vec<PathBuf>,
    /// What connections are made to (`--egress-policy`).
    pub egress: Egress,
    /// Bytes of the largest answer that is read (`--http-max-answer-mib`).
    pub largest_answer: usize,
}

impl Default for Settings {
    /// Upstream's defaults.
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            keep_alive: true,
            idle_per_endpoint: 1000,
            idle_timeout: Duration::from_secs(90),
            min_tls: TlsVersion::Tls12,
            cipher_suites: Vec::new(),
            ca_dirs: vec![PathBuf::from("/custom/ca")],
            egress: Egress::Open,
            largest_answer: MAX_BODY,
        }
    }
}

impl Settings {
    /// Reads the variables. Besides the settings it returns warnings for the log: what was given and cannot be honoured.
    ///
    /// # Errors
    /// A timeout that is no whole number; upstream does not start either.
    pub fn parse(variables: Variables<'_>) -> Result<(Self, Vec<String>), SettingsError> {
        let mut settings = Self::default();
        let mut warnings = Vec::new();
        if let Some(text) = variables.default_timeout.filter(|text| !text.is_empty()) {
            settings.timeout = timeout(text)?;
        }
        let disabled = variables.disable_keep_alive.and_then(crate::config::boolean);
        settings.keep_alive = disabled != Some(true);
        if let Some(text) = variables.min_tls_version.filter(|text| !text.is_empty()) {
            settings.min_tls = match text {
                "TLS12" => TlsVersion::Tls12,
                "TLS13" => TlsVersion::Tls13,
                "TLS10" | "TLS11" => {
                    warnings.push(format!("KEDA_HTTP_MIN_TLS_VERSION={text} is not available, using TLS12"));
                    TlsVersion::Tls12
                }
                other => {
                    warnings
                        .push(format!("KEDA_HTTP_MIN_TLS_VERSION={other} is not a TLS version, using TLS12"));
                    TlsVersion::Tls12
                }
            };
        }
        for name in variables.tls_cipher_list.unwrap_or_default().split([',', ':']).map(str::trim) {
            if super::tls::cipher_suite(name).is_some() {
                settings.cipher_suites.push(name.to_owned());
            } else if !name.is_empty() {
                warnings.push(format!("KEDA_HTTP_TLS_CIPHER_LIST: {name} is not available, ignored"));
            }
        }
        Ok((settings, warnings))
    }
}

/// Milliseconds; zero and less become 300 ms as upstream has it.
fn timeout(text: &str) -> Result<Duration, SettingsError> {
    let milliseconds: i64 = text.parse().map_err(|_| SettingsError {
        message: format!("KEDA_HTTP_DEFAULT_TIMEOUT={text} is not a whole number of milliseconds"),
    })?;
    Ok(match u64::try_from(milliseconds) {
        Ok(0) | Err(_) => Duration::from_millis(300),
        Ok(positive) => Duration::from_millis(positive),
    })
}

/// A variable without which the process must not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    message: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_and_empty_mean_upstreams_defaults() {
        let empty =
            Variables { default_timeout: Some(""), min_tls_version: Some(""), ..Variables::default() };
        for variables in [Variables::default(), empty] {
            assert_eq!(Settings::parse(variables).unwrap(), (Settings::default(), vec![]));
        }
    }

    #[test]
    fn timeouts_are_milliseconds_and_never_zero() {
        for (text, expected) in [("5000", 5000), ("1", 1), ("0", 300), ("-7", 300)] {
            let variables = Variables { default_timeout: Some(text), ..Variables::default() };
            assert_eq!(Settings::parse(variables).unwrap().0.timeout, Duration::from_millis(expected));
        }
        let variables = Variables { default_timeout: Some("3s"), ..Variables::default() };
        assert_eq!(
            Settings::parse(variables).unwrap_err().to_string(),
            "KEDA_HTTP_DEFAULT_TIMEOUT=3s is not a whole number of milliseconds"
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_said() {
        let variables = Variables {
            disable_keep_alive: Some("T"),
            min_tls_version: Some("TLS10"),
            tls_cipher_list: Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_128_CBC_SHA"),
            ..Variables::default()
        };
        let (settings, warnings) = Settings::parse(variables).unwrap();
        assert!(!settings.keep_alive);
        assert_eq!(settings.min_tls, TlsVersion::Tls12);
        assert_eq!(settings.cipher_suites, ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
        assert_eq!(
            warnings,
            [
                "KEDA_HTTP_MIN_TLS_VERSION=TLS10 is not available, using TLS12",
                "KEDA_HTTP_TLS_CIPHER_LIST: TLS_RSA_WITH_AES_128_CBC_SHA is not available, ignored"
            ]
        );
    }
}
