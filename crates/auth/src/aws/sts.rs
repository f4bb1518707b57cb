//! The two calls to STS: `AssumeRole` with the operator's credentials, `AssumeRoleWithWebIdentity` with its token.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::aws::{Credentials, Signing, refusal, tag};
use keda_scaler::http::{self, Request, Transport};
use keda_scaler::{Clock, Code, Kind, Secret};
use tokio::time::Instant;

use super::broker::World;
use super::problem;
use crate::broker::Issued;
use crate::claims::{self, Claims};
use crate::problem::{Away, Class, Problem, UNKNOWN_CA};

/// An hour: every role allows it, and one that is assumed from another allows no more.
const LIFETIME: Duration = Duration::from_secs(3600);

/// STS in one region.
pub(super) struct Sts<'a> {
    region: &'a str,
    endpoint: String,
    timeout: Option<Duration>,
    transport: &'a dyn Transport,
    clock: Clock,
    asked: &'a AtomicU64,
}

/// As whom a role is asked for.
pub(super) enum Presented<'a> {
    /// The operator's own credentials.
    Credentials { own: &'a Credentials, external_id: Option<&'a str> },
    /// The token of its ServiceAccount.
    WebIdentity { token: &'a Secret, claims: &'a Claims },
}

impl World {
    /// STS of a region.
    pub(super) fn sts<'a>(&'a self, region: Option<&'a str>) -> Result<Sts<'a>, Problem> {
        let region = region.ok_or_else(|| {
            let text = "no AWS region is given for sts";
            let advice = "set awsRegion in the trigger's metadata, or AWS_REGION for the operator";
            Problem::new(Kind::Config, Code::AwsRegion, Class::Local, text, advice)
        })?;
        Ok(Sts {
            region,
            endpoint: self.settings.defaults.endpoints.url("sts", region),
            timeout: self.settings.timeout,
            transport: self.transport.as_ref(),
            clock: self.clock,
            asked: &self.asked,
        })
    }

    /// A role with the token of the operator's ServiceAccount.
    pub(super) async fn web_identity(
        &self,
        sts: &Sts<'_>,
        arn: &str,
        session: &str,
    ) -> Result<Issued<Credentials>, Problem> {
        let Some(file) = &self.settings.token_file else {
            return Err(problem::no_identity("AWS_WEB_IDENTITY_TOKEN_FILE is not set"));
        };
        let unusable = |why: String| {
            let text =
                format!("cannot read the token in AWS_WEB_IDENTITY_TOKEN_FILE {}: {why}", file.display());
            let advice = "EKS's pod identity webhook mounts it when the pod is created";
            Problem::new(Kind::Auth, Code::AwsTokenFile, Class::Local, text, advice)
        };
        let (token, claims) = claims::from_file(file).map_err(unusable)?;
        if let Some(expired) = claims.expires.filter(|expires| *expires <= self.clock.now()) {
            return Err(unusable(format!("it expired at {expired} and was not renewed")));
        }
        sts.assume(arn, session, &Presented::WebIdentity { token: &token, claims: &claims }).await
    }
}

impl Sts<'_> {
    /// Asks once.
    pub(super) async fn assume(
        &self,
        arn: &str,
        session: &str,
        presented: &Presented<'_>,
    ) -> Result<Issued<Credentials>, Problem> {
        let lifetime = LIFETIME.as_secs().to_string();
        let mut fields = vec![
            ("Version", "2011-06-15"),
            ("RoleArn", arn),
            ("RoleSessionName", session),
            ("DurationSeconds", &lifetime),
        ];
        match presented {
            Presented::Credentials { external_id, .. } => {
                fields.push(("Action", "AssumeRole"));
                fields.extend(external_id.map(|id| ("ExternalId", id)));
            }
            Presented::WebIdentity { token, .. } => {
                fields.push(("Action", "AssumeRoleWithWebIdentity"));
                fields.push(("WebIdentityToken", token.expose()));
            }
        }
        let mut request = Request::post_form(format!("{}/", self.endpoint), &fields);
        request.timeout = self.timeout;
        if let Presented::Credentials { own, .. } = presented {
            let signing = Signing { service: "sts", region: self.region };
            signing.sign(&mut request, own, self.clock.now()).map_err(|error| Problem::relayed(&error))?;
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let response = self.transport.send(request).await;
        let response = response.map_err(|error| unreachable(&error, &self.endpoint))?;
        if let Some(refusal) = refusal(&response) {
            return Err(problem::of_refusal(&refusal, arn, presented, self.region));
        }
        let body = String::from_utf8_lossy(&response.body);
        issued(
            &Texts {
                id: tag(&body, "AccessKeyId"),
                secret: tag(&body, "SecretAccessKey"),
                token: tag(&body, "SessionToken"),
                expires: tag(&body, "Expiration"),
            },
            &format!("role {arn}"),
            asked,
            self.clock.now(),
        )
        .map_err(|why| {
            let text = format!("STS answered without credentials: {why}");
            Problem::new(Kind::Auth, Code::AwsStsRefused, Class::Temporary { wait: None }, text, "")
        })
    }
}

/// Credentials as an issuer writes them.
pub(super) struct Texts {
    pub(super) id: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) token: Option<String>,
    pub(super) expires: Option<String>,
}

/// Credentials of an answer that was asked for at `asked`.
pub(super) fn issued(
    texts: &Texts,
    principal: &str,
    asked: Instant,
    now: Timestamp,
) -> Result<Issued<Credentials>, &'static str> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let id = given(&texts.id).ok_or("it has no access key id")?;
    let secret = given(&texts.secret).ok_or("it has no secret access key")?;
    let lifetime = match given(&texts.expires) {
        None => LIFETIME,
        Some(text) => {
            let expires: Timestamp = text.parse().map_err(|_| "its expiration is no time")?;
            let seconds = expires.as_second() - now.as_second();
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
        }
    };
    if lifetime.is_zero() {
        return Err("they have expired already, by this node's clock");
    }
    let grant = Credentials {
        access_key_id: id,
        secret_access_key: Secret::new(secret),
        session_token: given(&texts.token).map(Secret::new),
        expires: Some(asked + lifetime),
        principal: principal.to_owned(),
    };
    Ok(Issued { grant, lifetime, refresh_in: None })
}

/// No answer from an issuer.
pub(super) fn unreachable(error: &http::Error, whom: &str) -> Problem {
    const AWAY: Away = Away {
        unknown_ca: (Code::AwsUnreachable, UNKNOWN_CA),
        slow: Code::AwsSlow,
        unreachable: (
            Code::AwsUnreachable,
            "check name resolution, egress rules, VPC endpoints and proxy for it",
        ),
    };
    AWAY.problem(error, format!("cannot reach {whom}: {error}"))
}
