//! The one call: a federated token for an access token (auth.md §3.3).
//!
//! The token endpoint's path is known, so nothing else is asked: no discovery document, and never another host than the
//! authority, which is what air-gapped authorities need.

use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::http::{Request, Response, Transport};
use keda_scaler::identity::{Principal, Token};
use keda_scaler::{Code, Kind, Secret};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::problem;
use super::subject::Assertion;
use crate::answer::{hidden, quoted, retry_after, seconds, skew};
use crate::broker::Issued;
use crate::claims::Claims;
use crate::problem::{Away, Class, Problem, UNKNOWN_CA, UNREACHABLE};

/// Who asks whom for what.
pub(super) struct Exchange<'a> {
    /// `https://login.microsoftonline.com`, without a final slash.
    pub(super) authority: &'a str,
    pub(super) tenant: &'a str,
    pub(super) client: &'a str,
    pub(super) scope: &'a str,
    pub(super) timeout: Option<Duration>,
}

/// What was shown to whom, for texts.
pub(super) struct Presented<'a> {
    pub(super) client: &'a str,
    pub(super) tenant: &'a str,
    pub(super) host: &'a str,
    pub(super) claims: &'a Claims,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// A number; some authorities write it as a text.
    expires_in: Value,
    refresh_in: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
}

impl Exchange<'_> {
    /// Asks once.
    pub(super) async fn send(
        &self,
        assertion: &Assertion,
        transport: &dyn Transport,
        now: Timestamp,
    ) -> Result<Issued<Token>, Problem> {
        let Self { authority, tenant, client, scope, timeout } = self;
        let mut request = Request::post_form(
            format!("{authority}/{tenant}/oauth2/v2.0/token"),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", client),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.token.expose()),
                ("scope", scope),
            ],
        );
        request.timeout = *timeout;
        let host = authority.trim_start_matches("https://");
        let presented = Presented { client, tenant, host, claims: &assertion.claims };
        let asked = Instant::now();
        let response = transport
            .send(request)
            .await
            .map_err(|error| AWAY.problem(&error, format!("cannot reach the login host {host}: {error}")))?;
        if response.status.is_success() {
            self.granted(&response, asked, host)
        } else {
            Err(refused(&response, assertion, &presented, now))
        }
    }

    fn granted(&self, response: &Response, asked: Instant, host: &str) -> Result<Issued<Token>, Problem> {
        let unreadable = |why: &str| {
            let text = format!("the login host {host} answered without a token: {why}");
            Problem::new(Kind::Auth, Code::AzureLoginRefused, Class::Temporary { wait: None }, text, "")
        };
        // serde_json's own text could quote the answer, which holds a token.
        let granted: Granted =
            serde_json::from_slice(&response.body).map_err(|_| unreadable("it is not what OAuth says"))?;
        let lifetime = seconds(&granted.expires_in).filter(|lifetime| !lifetime.is_zero());
        let lifetime = lifetime.ok_or_else(|| unreadable("expires_in is no number of seconds"))?;
        if granted.access_token.is_empty() {
            return Err(unreadable("access_token is empty"));
        }
        let principal = Principal {
            client_id: self.client.to_owned(),
            tenant_id: self.tenant.to_owned(),
            object_id: Claims::of(&granted.access_token).and_then(|claims| claims.object_id),
        };
        let token = Token::new(Secret::new(granted.access_token), principal, asked + lifetime);
        Ok(Issued { grant: token, lifetime, refresh_in: granted.refresh_in.as_ref().and_then(seconds) })
    }
}

const AWAY: Away = Away {
    unknown_ca: (Code::AzureUnknownCa, UNKNOWN_CA),
    slow: Code::AzureLoginSlow,
    unreachable: (Code::AzureLoginUnreachable, UNREACHABLE),
};

fn refused(response: &Response, assertion: &Assertion, presented: &Presented<'_>, now: Timestamp) -> Problem {
    let status = response.status.as_u16();
    let document: Refused = serde_json::from_slice(&response.body).unwrap_or_default();
    // Whatever a server repeats of what it was sent; before anything is cut, as half a token would not be found.
    let secret = [&assertion.token];
    let mut words = first_sentence(&hidden(document.error_description.clone(), &secret));
    if words.is_empty() {
        words = format!("the login host answered with status {status}");
        if !document.error.is_empty() {
            words = format!("{words} {}", quoted(&hidden(document.error.clone(), &secret)));
        }
    }
    let mut numbers = document.error_codes;
    numbers.extend(number_in(&document.error_description).filter(|number| !numbers.contains(number)));
    let mut problem =
        problem::of_refusal(status, &numbers, &words, retry_after(&response.headers), presented);
    if let Some(skew) = skew(response, now) {
        problem.text = format!("{}; the login host's clock and this one differ by {skew} s", problem.text);
    }
    problem
}

/// The first sentence of a description: what follows repeats what is said here anyway, or is ids and links.
fn first_sentence(description: &str) -> String {
    let end = ["\r", "\n", ". ", " Trace ID:", " Correlation ID:"]
        .iter()
        .filter_map(|mark| description.find(mark))
        .min();
    quoted(description[..end.unwrap_or(description.len())].trim().trim_end_matches('.'))
}

/// The number in `AADSTS70021: ...`.
fn number_in(description: &str) -> Option<u64> {
    let rest = description.split_once("AADSTS")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
