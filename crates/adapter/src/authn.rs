//! Who is it? The order and the rules of `k8s.io/apiserver`'s delegated authentication (platform.md 3.4):
//!
//! 1. a front proxy, known by its certificate, that names the user in headers;
//! 2. a client certificate: common name and organizations;
//! 3. a bearer token;
//! 4. nobody, if none of these was tried. What was tried and failed is refused, unless a later one succeeds.
//!
//! A connection's certificate is judged once and again after a minute or when a CA changes, not at each request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, header};
use keda_tls::{Peer, Roots};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use crate::{
    token::Tokens,
    trust::{Anchors, FrontProxy, Headers, Trust},
    user::User,
};

/// How long a judgement on a certificate stands: certificates end while connections live.
const STANDS: Duration = Duration::from_secs(60);

/// Nobody vouches for the client, though it claims to be somebody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A connection's certificate and what is thought of it.
pub(crate) struct Client {
    peer: Peer,
    judgement: Mutex<Option<Arc<Judgement>>>,
}

struct Judgement {
    anchors: Arc<Anchors>,
    at: Instant,
    speaks_for_others: bool,
    user: Option<Arc<User>>,
}

impl Client {
    pub(crate) fn new(peer: Peer) -> Self {
        Self { peer, judgement: Mutex::default() }
    }

    fn judge(&self, trust: &Trust) -> Arc<Judgement> {
        let anchors = trust.anchors();
        let mut kept = self.judgement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judgement) = &*kept
            && Arc::ptr_eq(&judgement.anchors, &anchors)
            && judgement.at.elapsed() < STANDS
        {
            return judgement.clone();
        }
        let now = SystemTime::now();
        let verified = |roots: &Roots| {
            roots.verify_client(&self.peer.certificates, now).map_err(|error| error.to_string())
        };
        let speaks_for_others = match &anchors.front_proxy {
            Some(proxy) => verified(&proxy.roots).is_ok() && self.may_speak(proxy),
            None => false,
        };
        let user = anchors.clients.as_ref().and_then(|roots| match verified(roots) {
            Ok(()) => self.subject().filter(|user| !user.name.is_empty()).map(|u| Arc::new(u.authenticated())),
            Err(error) => {
                if !speaks_for_others {
                    tracing::debug!(address = %self.peer.address, error, "a client certificate is not accepted");
                }
                None
            }
        });
        let judgement = Arc::new(Judgement { anchors, at: Instant::now(), speaks_for_others, user });
        *kept = Some(judgement.clone());
        judgement
    }

    fn may_speak(&self, proxy: &FrontProxy) -> bool {
        let name = self.subject().map(|user| user.name).unwrap_or_default();
        let allowed = proxy.allowed_names.is_empty() || proxy.allowed_names.contains(&name);
        if !allowed {
            tracing::warn!(name, "a certificate of the front proxy's CA has a name that is not allowed");
        }
        allowed
    }

    fn subject(&self) -> Option<User> {
        let (_, leaf) = x509_parser::parse_x509_certificate(self.peer.certificates.first()?).ok()?;
        let subject = leaf.subject();
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().ok().map(str::to_owned)
        };
        // The last of several names counts, as in Go.
        let name = subject.iter_common_name().last().and_then(text).unwrap_or_default();
        let groups = subject.iter_organization().filter_map(text).collect();
        Some(User { name, groups, ..User::default() })
    }
}

/// Puts the ways together.
pub(crate) struct Authenticator {
    pub(crate) trust: Arc<Trust>,
    pub(crate) tokens: Tokens,
}

impl Authenticator {
    /// Who sends this request.
    pub(crate) async fn user(&self, client: &Client, headers: &HeaderMap) -> Result<Arc<User>, Refused> {
        let mut refused = false;
        if !client.peer.certificates.is_empty() {
            let judgement = client.judge(&self.trust);
            if judgement.speaks_for_others
                && let Some(proxy) = &judgement.anchors.front_proxy
                && let Some(user) = spoken_for(&proxy.headers, headers)
            {
                return Ok(Arc::new(user));
            }
            if let Some(user) = &judgement.user {
                return Ok(user.clone());
            }
            refused = true;
        }
        if let Some(token) = bearer(headers) {
            match self.tokens.owner(token).await {
                Ok(Some(user)) => return Ok(user),
                Ok(None) => refused = true,
                Err(error) => {
                    tracing::warn!(error, "cannot review a token");
                    refused = true;
                }
            }
        }
        if refused { Err(Refused) } else { Ok(Arc::new(User::anonymous())) }
    }
}

/// The user that a front proxy names. `None` when it names none.
fn spoken_for(names: &Headers, headers: &HeaderMap) -> Option<User> {
    let first = |names: &[String]| {
        let values = names.iter().filter_map(|name| headers.get(name)?.to_str().ok());
        values.map(str::trim).find(|value| !value.is_empty()).map(str::to_owned)
    };
    let mut user =
        User { name: first(&names.username)?, uid: first(&names.uid).unwrap_or_default(), ..User::default() };
    for name in &names.group {
        user.groups.extend(headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).map(str::to_owned));
    }
    for (name, value) in headers {
        let Some(key) =
            names.extra_prefix.iter().find_map(|prefix| name.as_str().strip_prefix(prefix.as_str()))
        else {
            continue;
        };
        if let Ok(value) = value.to_str() {
            // Keys are escaped by the proxy: header names cannot hold every key.
            let key =
                percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), |k| k.into_owned());
            user.extra.entry(key).or_default().push(value.to_owned());
        }
    }
    Some(user.authenticated())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        map
    }

    #[test]
    fn users_in_headers() {
        let names = Headers {
            username: vec!["x-remote-user".to_owned(), "x-user".to_owned()],
            uid: vec!["x-remote-uid".to_owned()],
            group: vec!["x-remote-group".to_owned()],
            extra_prefix: vec!["x-remote-extra-".to_owned()],
        };
        let user = spoken_for(
            &names,
            &headers(&[
                ("X-User", "u"),
                ("X-Remote-Uid", "7"),
                ("X-Remote-Group", "a"),
                ("X-Remote-Group", "b"),
                ("X-Remote-Extra-Scopes", "one"),
                ("X-Remote-Extra-Scopes", "two"),
                ("X-Remote-Extra-Acme.com%2fproject", "p"),
            ]),
        )
        .unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("u", "7"));
        assert_eq!(user.groups, ["a", "b", "system:authenticated"]);
        let extra: Vec<_> = user.extra.iter().map(|(k, v)| (k.as_str(), v.join(","))).collect();
        assert_eq!(extra, [("acme.com/project", "p".to_owned()), ("scopes", "one,two".to_owned())]);
        assert_eq!(spoken_for(&names, &headers(&[("X-Remote-Group", "a")])), None);
    }

    #[test]
    fn bearer_tokens() {
        let of = |value: &str| bearer(&headers(&[("Authorization", value)])).map(str::to_owned);
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc ").as_deref(), Some("abc"));
        for none in ["Bearer", "Bearer ", "Basic abc", ""] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
