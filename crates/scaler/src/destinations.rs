//! Where credentials may go: what binds a trigger's credentials to hosts.
//!
//! Whoever writes a ScaledObject chooses the address that its triggers ask. What they show there may be somebody else's: the
//! parameters of a ClusterTriggerAuthentication, or the operator's own identity (upstream issue 7782). [`Destinations`] says
//! which hosts those may be sent to. The frame asks it in two places, for triggers of every type: when a trigger is parsed, about
//! every address in its metadata, so that the object's condition says it; and before each request, about where it really goes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Code, Error, Kind, Notice, Parameters};

/// The annotation of a TriggerAuthentication or ClusterTriggerAuthentication that lists hosts.
pub const ANNOTATION: &str = "keda-rs.dev/allowed-hosts";

/// Hosts of the clouds' own interfaces, where their identities belong.
const CLOUDS: &str = "*.amazonaws.com, *.amazonaws.com.cn, *.api.aws, *.googleapis.com, \
    *.prometheus.monitor.azure.com, *.prometheus.monitor.azure.us, *.prometheus.monitor.azure.cn, \
    *.windows.net, *.usgovcloudapi.net, *.chinacloudapi.cn, *.azure.net, *.azure.cn, *.azure.com, *.azure.us";

/// A list of host patterns: a name, `*.` and a name for everything below it, or `*`; each with a port where only that one is
/// meant.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Pattern>);

#[derive(Clone, PartialEq, Eq)]
struct Pattern {
    /// Lowercase; starts with `*` where it stands for many.
    host: String,
    port: Option<u16>,
}

impl Hosts {
    /// Reads a list that is separated by commas or blanks. An empty one allows nothing.
    ///
    /// # Errors
    /// The entry that is no pattern, and what is allowed.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        entries.map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a host is among them. `port` is the one that is asked.
    pub fn contains(&self, host: &str, port: Option<u16>) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|pattern| pattern.fits(&host, port))
    }

    /// Adds those of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The hosts of the clouds' interfaces.
    pub fn of_clouds() -> Self {
        Self::parse(CLOUDS).unwrap_or_default()
    }
}

impl Pattern {
    fn parse(entry: &str) -> Result<Self, String> {
        let unusable = || {
            format!(
                "{entry:?} is no host: write a name like prometheus.monitoring.svc, *.example.com for every name below it, or *, \
                 with a port (name:9090) where only that one is meant"
            )
        };
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, Some(port.parse().map_err(|_| unusable())?))
            }
            _ => (entry, None),
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let name = host.strip_prefix("*.").unwrap_or(&host);
        let bracketed = name.starts_with('[') && name.ends_with(']');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        match host == "*" || bracketed || (!name.is_empty() && name.chars().all(plain)) {
            true => Ok(Self { host, port }),
            false => Err(unusable()),
        }
    }

    fn fits(&self, host: &str, port: Option<u16>) -> bool {
        let named = match self.host.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.host,
        };
        named && self.port.is_none_or(|wanted| port == Some(wanted))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Pattern { host, port }) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            match port {
                Some(port) => write!(f, "{separator}{host}:{port}")?,
                None => write!(f, "{separator}{host}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

/// What is done about credentials of the cluster that go where a namespace's user chose (`--credential-destinations`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing, as upstream.
    Ignore,
    /// An event says so.
    #[default]
    Warn,
    /// They are not sent.
    Enforce,
}

impl Mode {
    /// Reads a flag's word.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "ignore" => Ok(Self::Ignore),
            "warn" => Ok(Self::Warn),
            "enforce" => Ok(Self::Enforce),
            other => Err(format!("{other:?} must be ignore, warn or enforce")),
        }
    }
}

/// What the operator's flags say about destinations.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What is done.
    pub mode: Mode,
    /// Hosts that credentials of the cluster may be sent to whoever chooses them (`--credential-hosts`).
    pub hosts: Hosts,
}

impl Default for Policy {
    /// A warning, except for the clouds' own hosts.
    fn default() -> Self {
        Self { mode: Mode::default(), hosts: Hosts::of_clouds() }
    }
}

/// Where one trigger's credentials may go. By default anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations(Option<Arc<Bound>>);

/// What binds credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The object that they come from, such as `ClusterTriggerAuthentication shared`.
    pub owner: String,
    /// The hosts in its annotation, where it has one: they are honoured whatever the mode.
    pub listed: Option<Hosts>,
    /// What of the cluster's is shown, in words; `None` where everything is the namespace's own.
    pub cluster: Option<&'static str>,
    /// Hosts that the cluster's may be sent to.
    pub known: Hosts,
    /// What is done where they are sent elsewhere.
    pub mode: Mode,
}

enum Verdict {
    Fine,
    Warned(String),
    Refused(Error),
}

impl Destinations {
    /// Bound ones.
    pub fn new(bound: Bound) -> Self {
        let free = bound.listed.is_none() && bound.cluster.is_none();
        Self((!free).then(|| Arc::new(bound)))
    }

    /// Before a request: whether it may go to this URL.
    ///
    /// # Errors
    /// Says which host, whose credentials, and what to do.
    pub fn allow(&self, url: &str) -> Result<(), Error> {
        let Some((host, port)) = host_of(url).filter(|_| self.0.is_some()) else { return Ok(()) };
        self.allow_host(&host, port)
    }

    /// The same for a connection that is not HTTP.
    ///
    /// # Errors
    /// As [`Destinations::allow`].
    pub fn allow_host(&self, host: &str, port: Option<u16>) -> Result<(), Error> {
        match self.judge(host, port) {
            Verdict::Fine | Verdict::Warned(_) => Ok(()),
            Verdict::Refused(error) => Err(error),
        }
    }

    /// What can be said of the addresses in a trigger's metadata before anything is sent.
    ///
    /// # Errors
    /// One that is refused, with its parameter.
    pub(crate) fn review(&self, given: &Parameters) -> Result<Vec<Notice>, Error> {
        let mut notices = BTreeMap::new();
        if self.0.is_none() {
            return Ok(Vec::new());
        }
        for (name, text) in &given.metadata {
            let text = match name.strip_suffix(crate::config::FROM_ENV) {
                Some(_) => given.env.get(text).map(String::as_str).unwrap_or_default(),
                None => text,
            };
            let Some((host, _)) = host_of(text) else { continue };
            if let Some(text) = self.review_one(name, text)? {
                notices.entry(host).or_insert_with(|| Notice::advice(text));
            }
        }
        Ok(notices.into_values().collect())
    }

    /// What can be said of one address, `name`d for people.
    ///
    /// # Errors
    /// It is refused.
    pub fn review_one(&self, name: &str, url: &str) -> Result<Option<String>, Error> {
        let Some((host, port)) = host_of(url) else { return Ok(None) };
        match self.judge(&host, port) {
            Verdict::Fine => Ok(None),
            Verdict::Warned(text) => Ok(Some(format!("{name}: {text}"))),
            Verdict::Refused(error) => Err(error.context(name)),
        }
    }

    fn judge(&self, host: &str, port: Option<u16>) -> Verdict {
        let Some(bound) = &self.0 else { return Verdict::Fine };
        let Bound { owner, listed, cluster, known, mode } = &**bound;
        let refused = |text: String, advice: &str| {
            Verdict::Refused(Error::coded(Kind::Auth, Code::DestinationRefused, text, advice))
        };
        if let Some(listed) = listed.as_ref().filter(|listed| !listed.contains(host, port)) {
            let text = format!("the credentials of {owner} are not sent to host {host}");
            let advice = format!("its annotation {ANNOTATION} allows: {listed}");
            return refused(text, &advice);
        }
        let listed_by_cluster = listed.is_some() && owner.starts_with("Cluster");
        let Some(what) = cluster.filter(|_| !listed_by_cluster && !known.contains(host, port)) else {
            return Verdict::Fine;
        };
        let advice = if owner.starts_with("Cluster") {
            format!(
                "an administrator can allow it with the annotation {ANNOTATION} of {owner}, or --credential-hosts"
            )
        } else {
            "an administrator can allow it with --credential-hosts of the operator".to_owned()
        };
        match mode {
            Mode::Ignore => Verdict::Fine,
            Mode::Warn => {
                let text = format!("{what} of {owner} is sent to host {host}, which this object chose");
                let later = "with --credential-destinations=enforce it is not";
                Verdict::Warned(
                    Error::coded(Kind::Auth, Code::DestinationRefused, text, &format!("{later}; {advice}"))
                        .message,
                )
            }
            Mode::Enforce => {
                let text = format!("{what} of {owner} is not sent to host {host}, which this object chose");
                refused(text, &advice)
            }
        }
    }
}

/// Host, lowercase, and port of a URL of any scheme; `None` for other texts.
pub fn host_of(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    if !text.contains("://") {
        return None;
    }
    let url = reqwest::Url::parse(text).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some((host.to_ascii_lowercase(), url.port_or_known_default()))
}

#[cfg(test)]
mod tests;
