//! One call that ends in a token, and what can go wrong with it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use keda_scaler::http::{self, Request, Response};
use keda_scaler::identity::google::Key;
use keda_scaler::identity::{Principal, Token};
use keda_scaler::{Code, Kind, Secret};
use tokio::time::Instant;

use super::assertion;
use super::broker::Google;
use super::credentials::User;
use crate::answer::{self, Refusal, granted, retry_after, skew};
use crate::broker::Issued;
use crate::problem::{Away, Class, Problem, UNKNOWN_CA, UNREACHABLE};

/// The life of a token whose issuer does not say.
pub(super) const UNSAID: Duration = Duration::from_secs(3600);

/// One call, for texts.
pub(super) struct Asked<'a> {
    /// Whom: `oauth2.googleapis.com`.
    pub(super) host: &'a str,
    /// Who, for what: `as shop@project.iam.gserviceaccount.com`.
    pub(super) who: String,
    /// What was sent and must not come back.
    pub(super) secrets: Vec<&'a Secret>,
    /// What a refusal is.
    pub(super) refused: Refused,
}

/// What a refusal means.
pub(super) struct Refused {
    pub(super) code: Code,
    pub(super) class: Class,
    pub(super) advice: String,
}

/// Host of a URL.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

impl Google {
    /// By a service account's key.
    pub(super) async fn by_key(&self, key: &Key, scope: &str) -> Result<Issued<Token>, Problem> {
        let assertion = assertion::sign(key, scope, self.clock.now())?;
        let request = Request::post_form(
            key.token_uri.as_str(),
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.expose()),
            ],
        );
        let advice = format!(
            "gcloud iam service-accounts keys list --iam-account {} shows the keys that are valid",
            key.client_email
        );
        let asked = Asked {
            host: host(&key.token_uri),
            who: format!("with key {} of {}", key.private_key_id, key.client_email),
            secrets: vec![&assertion],
            refused: Refused { code: Code::GoogleCredentialsRefused, class: Class::Wrong, advice },
        };
        self.token_from(request, &asked, key.client_email.clone()).await
    }

    /// As the user whom gcloud logged in.
    pub(super) async fn by_user(&self, user: &User) -> Result<Issued<Token>, Problem> {
        let request = Request::post_form(
            user.token_uri.as_str(),
            &[
                ("grant_type", "refresh_token"),
                ("client_id", &user.client_id),
                ("client_secret", user.client_secret.expose()),
                ("refresh_token", user.refresh_token.expose()),
            ],
        );
        let asked = Asked {
            host: host(&user.token_uri),
            who: "as the user of gcloud's application default credentials".to_owned(),
            secrets: vec![&user.client_secret, &user.refresh_token],
            refused: Refused {
                code: Code::GoogleCredentialsRefused,
                class: Class::Wrong,
                advice: "gcloud auth application-default login".to_owned(),
            },
        };
        self.token_from(request, &asked, "the user of gcloud".to_owned()).await
    }

    /// Sends a request whose good answer is OAuth's.
    pub(super) async fn token_from(
        &self,
        request: Request,
        asked: &Asked<'_>,
        principal: String,
    ) -> Result<Issued<Token>, Problem> {
        let started = Instant::now();
        let response = self.send(request, asked).await?;
        let granted = granted(&response).map_err(|why| without_token(asked.host, why))?;
        Ok(issued(granted.token, granted.lifetime.unwrap_or(UNSAID), started, principal))
    }

    /// Sends a request; only a good answer is one.
    pub(super) async fn send(&self, mut request: Request, asked: &Asked<'_>) -> Result<Response, Problem> {
        request.timeout = self.settings.timeout;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let response = self.transport.send(request).await.map_err(|error| unreachable(&error, asked.host))?;
        if response.status.is_success() { Ok(response) } else { Err(self.refused(&response, asked)) }
    }

    fn refused(&self, response: &Response, asked: &Asked<'_>) -> Problem {
        let status = response.status.as_u16();
        let Asked { host, who, secrets, refused } = asked;
        let refusal = Refusal::of(response);
        let words = refusal.shown(secrets);
        let words = match words.is_empty() {
            true => format!("{host} answered with status {status}"),
            false => format!("{host} answered with status {status}: {words}"),
        };
        if status == 429 || status >= 500 {
            let class = Class::Temporary { wait: retry_after(&response.headers) };
            let text = format!("{words}; asked {who}");
            return Problem::new(Kind::Unreachable, Code::GoogleFailing, class, text, "");
        }
        let skew = skew(response, self.clock.now());
        if refusal.words.contains("iat and exp") || skew.is_some() {
            let skew =
                skew.map_or_else(String::new, |skew| format!("; its clock and this one differ by {skew} s"));
            let advice = "check the clock of this node";
            let text = format!("{words}; asked {who}{skew}");
            return Problem::new(Kind::Auth, Code::GoogleClockSkew, Class::Local, text, advice);
        }
        let text = format!("{words}; asked {who}");
        Problem::new(Kind::Auth, refused.code, refused.class, text, refused.advice.as_str())
    }
}

/// A token as it was issued.
pub(super) fn issued(
    token: Secret,
    lifetime: Duration,
    started: Instant,
    principal: String,
) -> Issued<Token> {
    let principal = Principal { client_id: principal, ..Principal::default() };
    Issued { grant: Token::new(token, principal, started + lifetime), lifetime, refresh_in: None }
}

/// A good status with an answer that is none.
pub(super) fn without_token(host: &str, why: &str) -> Problem {
    let text = format!("{host} answered without a token: {why}");
    Problem::new(Kind::Auth, Code::GoogleCredentialsRefused, Class::Temporary { wait: None }, text, "")
}

/// The server's answer could not be had.
pub(super) fn unreachable(error: &http::Error, host: &str) -> Problem {
    const AWAY: Away = Away {
        unknown_ca: (Code::GoogleUnreachable, UNKNOWN_CA),
        slow: Code::GoogleTokenSlow,
        unreachable: (Code::GoogleUnreachable, UNREACHABLE),
    };
    AWAY.problem(error, format!("cannot reach {host}: {}", answer::quoted(&error.to_string())))
}
