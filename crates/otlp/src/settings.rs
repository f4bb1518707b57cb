//! The standard `OTEL_*` variables, as the Go exporters that upstream uses read them.

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// A variable whose text cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {what}")]
pub struct Problem {
    /// Its name.
    pub variable: String,
    /// What is wrong and what is allowed; never a header's value.
    pub what: String,
}

/// How metrics travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A POST with protobuf.
    Http,
    /// gRPC.
    Grpc,
}

/// Where and how metrics are pushed.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) protocol: Protocol,
    /// With scheme, host and port; over HTTP with the path to post to.
    pub(crate) endpoint: Uri,
    /// Their values never show in Debug.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Of one attempt.
    pub(crate) timeout: Duration,
    /// From push to push.
    pub(crate) interval: Duration,
    /// Of one push with its retries.
    pub(crate) patience: Duration,
    /// Whether counters and histograms are sent as differences.
    pub(crate) delta: bool,
    pub(crate) tls: Tls,
    /// Attributes of the resource.
    pub(crate) resource: Vec<(String, String)>,
}

/// Files of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The CA to trust, instead of the system's.
    pub(crate) ca: Option<PathBuf>,
    /// Folders of further CAs.
    pub(crate) ca_dirs: Vec<PathBuf>,
    /// Certificate and key to show.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

impl Settings {
    /// From the environment. `ca_dirs`: folders of CAs that are trusted besides the system's. Texts that change nothing but convenience
    /// (compression) are returned as notices.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    pub fn read(
        env: impl Fn(&str) -> Option<String>,
        ca_dirs: Vec<PathBuf>,
    ) -> Result<(Self, Vec<String>), Problem> {
        let env = Environment(&env);
        // Only this word, and only this variable, as upstream.
        let protocol = match env.given("OTEL_EXPORTER_OTLP_PROTOCOL") {
            Some((_, word)) if word == "grpc" => Protocol::Grpc,
            _ => Protocol::Http,
        };
        let mut notices = Vec::new();
        if let Some((variable, word)) = env.exporter("COMPRESSION").filter(|(_, word)| word != "none") {
            notices.push(format!("{variable}={word:?} is not done here, metrics are pushed as they are"));
        }
        let word = env.given("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE").map(|(_, word)| word);
        let delta = match word.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "cumulative" => false,
            "delta" | "lowmemory" => true,
            other => {
                notices.push(format!(
                    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE={other:?} is neither cumulative, delta nor lowmemory: cumulative"
                ));
                false
            }
        };
        let path = |name| env.exporter(name).map(|(_, path)| PathBuf::from(path));
        let client = match (path("CLIENT_CERTIFICATE"), path("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let missing = if given.is_some() { "KEY" } else { "CERTIFICATE" };
                let variable = format!("OTEL_EXPORTER_OTLP_CLIENT_{missing}");
                return Err(Problem { variable, what: "is needed beside the other one".to_owned() });
            }
        };
        let settings = Self {
            protocol,
            endpoint: env.endpoint(protocol)?,
            headers: env.headers()?,
            timeout: env.milliseconds(env.exporter("TIMEOUT"), 10_000)?,
            interval: env.milliseconds(env.given("OTEL_METRIC_EXPORT_INTERVAL"), 60_000)?,
            patience: env.milliseconds(env.given("OTEL_METRIC_EXPORT_TIMEOUT"), 30_000)?,
            delta,
            tls: Tls { ca: path("CERTIFICATE"), ca_dirs, client },
            resource: env.resource()?,
        };
        Ok((settings, notices))
    }

    /// How metrics travel.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Scheme, host and port, for the log.
    pub fn shown_endpoint(&self) -> String {
        let host = self.endpoint.host().unwrap_or_default();
        let port = self.endpoint.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let path = if self.protocol == Protocol::Http { self.endpoint.path() } else { "" };
        format!("{}://{host}{port}{path}", self.endpoint.scheme_str().unwrap_or_default())
    }
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// A variable that is set and not empty, with its name.
    fn given(&self, name: &str) -> Option<(String, String)> {
        let text = (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())?;
        Some((name.to_owned(), text))
    }

    /// A variable of the exporter: the one for metrics goes before the one for everything.
    fn exporter(&self, name: &str) -> Option<(String, String)> {
        self.given(&format!("OTEL_EXPORTER_OTLP_METRICS_{name}"))
            .or_else(|| self.given(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn milliseconds(&self, given: Option<(String, String)>, default: u64) -> Result<Duration, Problem> {
        let Some((variable, text)) = given else { return Ok(Duration::from_millis(default)) };
        match text.parse() {
            Ok(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
            _ => Err(Problem { variable, what: format!("{text:?} is no number of milliseconds above 0") }),
        }
    }

    fn endpoint(&self, protocol: Protocol) -> Result<Uri, Problem> {
        let own = self.given("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        let is_whole = own.is_some();
        let given = own.or_else(|| self.given("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let (variable, text) = given.unwrap_or_else(|| {
            let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
            ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("localhost:{port}"))
        });
        let insecure = self.exporter("INSECURE").is_some_and(|(_, word)| word.eq_ignore_ascii_case("true"));
        let text = match text.contains("://") {
            true => text,
            false if insecure => format!("http://{text}"),
            false => format!("https://{text}"),
        };
        let unusable = |what: &str| Problem {
            variable: variable.clone(),
            what: format!("{what}, write for instance http://collector.observability:4318"),
        };
        let uri: Uri = text.parse().map_err(|_| unusable("is no address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(unusable("has a scheme that is neither http nor https"));
        }
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return Err(unusable("has no host"));
        };
        if authority.as_str().contains('@') {
            return Err(unusable("must not hold credentials, which belong into OTEL_EXPORTER_OTLP_HEADERS"));
        }
        let path = match (protocol, is_whole) {
            (Protocol::Grpc, _) => "/".to_owned(),
            (Protocol::Http, true) => uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            (Protocol::Http, false) => format!("{}/v1/metrics", uri.path().trim_end_matches('/')),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).map_err(|_| unusable("is no address"))
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
        let Some((variable, text)) = self.exporter("HEADERS") else { return Ok(Vec::new()) };
        let header = |(name, value): (String, String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name.to_ascii_lowercase()).ok()?, value))
        };
        // Not the text, which may hold a token.
        let what = "is no list of name=value, percent-encoded and split by commas";
        let pairs = pairs(&text).map(|pair| pair.and_then(header));
        pairs.collect::<Option<_>>().ok_or_else(|| Problem { variable, what: what.to_owned() })
    }

    /// The resource as Go's SDK fills it, by the same precedence.
    fn resource(&self) -> Result<Vec<(String, String)>, Problem> {
        let mut resource = vec![
            ("service.name".to_owned(), "unknown_service:keda".to_owned()),
            ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
            ("telemetry.sdk.name".to_owned(), "keda-rs".to_owned()),
            ("telemetry.sdk.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let mut set = |key: String, value: String| {
            resource.retain(|(known, _)| *known != key);
            resource.push((key, value));
        };
        if let Some((variable, text)) = self.given("OTEL_RESOURCE_ATTRIBUTES") {
            for pair in pairs(&text) {
                let Some((key, value)) = pair else {
                    let what = format!("{text:?} is no list of key=value, split by commas");
                    return Err(Problem { variable, what });
                };
                set(key, value);
            }
        }
        if let Some((_, name)) = self.given("OTEL_SERVICE_NAME") {
            set("service.name".to_owned(), name);
        }
        Ok(resource)
    }
}

/// `a=1,b=2`, with blanks around anything and values percent-encoded; `None` for what is no pair.
fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> + '_ {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value.into_owned()))
    })
}

#[cfg(test)]
mod tests;
