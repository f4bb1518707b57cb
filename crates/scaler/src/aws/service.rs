//! One of Amazon's services, called: signed as the identity, and once more where its credentials were refused.

use crate::variables::given;
use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use jiff::Timestamp;
use serde_json::Value;

use super::endpoint::{is_region, region_of};
use super::{Credentials, Endpoints, Identity, Signing, refusal};
use crate::http::{Request, Response};
use crate::{Code, Error, Kind, Link};

/// What the process knows about AWS apart from credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defaults {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// Addresses that the environment changes.
    pub endpoints: Endpoints,
}

impl Defaults {
    /// From the environment's texts, as `variable` gives them by name.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(given(&variable));
        Self { region, endpoints: Endpoints::read(variable) }
    }
}

/// Where temporary credentials come from. One for the process: who shares an identity shares its credentials.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Valid credentials, from memory or asked for now.
    ///
    /// # Errors
    /// There are none: what is wrong and how to mend it, with a code.
    async fn credentials(&self, identity: &Identity) -> Result<Credentials, Error>;

    /// Newer credentials in place of some that a service refused; `None` where there is no point in trying.
    ///
    /// # Errors
    /// As [`Provider::credentials`].
    async fn renew(&self, identity: &Identity, refused: &Credentials) -> Result<Option<Credentials>, Error>;

    /// What the process knows apart from credentials.
    fn defaults(&self) -> &Defaults;
}

/// What a call needs of the world. Triggers have it in their [`Link`], secret stores in theirs.
#[async_trait]
pub trait Access: Send + Sync {
    /// See [`Provider::credentials`].
    async fn credentials(&self, identity: &Identity) -> Result<Credentials, Error>;
    /// See [`Provider::renew`].
    async fn renewed(&self, identity: &Identity, refused: &Credentials)
    -> Result<Option<Credentials>, Error>;
    /// Sends one request under its deadline.
    async fn send(&self, request: Request) -> Result<Response, Error>;
    /// See [`Provider::defaults`].
    fn defaults(&self) -> Defaults;
    /// Wall time.
    fn now(&self) -> Timestamp;
}

#[async_trait]
impl Access for Link {
    async fn credentials(&self, identity: &Identity) -> Result<Credentials, Error> {
        self.aws_credentials(identity, None).await.and_then(|found| found.ok_or_else(unavailable))
    }

    async fn renewed(
        &self,
        identity: &Identity,
        refused: &Credentials,
    ) -> Result<Option<Credentials>, Error> {
        self.aws_credentials(identity, Some(refused)).await
    }

    async fn send(&self, request: Request) -> Result<Response, Error> {
        self.http.send(request).await
    }

    fn defaults(&self) -> Defaults {
        self.aws_defaults()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What is said where no identity of AWS can be had, in `keda lint` for instance.
pub fn unavailable() -> Error {
    Error::new(Kind::Auth, "no identity of AWS is available here")
}

/// A service in a region, as an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// The service's signing name, such as `aps`, `sqs` or `secretsmanager`.
    pub signing_name: &'static str,
    /// As whom.
    pub identity: Identity,
    /// The region; without one the process's, or the one in the host's name.
    pub region: Option<String>,
}

/// A service's answer, and with what it was asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answered {
    /// The answer, of any status.
    pub response: Response,
    /// The credentials that it was asked with.
    pub credentials: Credentials,
    /// The region that it was asked in.
    pub region: String,
}

impl Service {
    /// Signs a request and sends it. Where credentials that can be renewed are refused it is sent once more, with newer ones. A refusal is an
    /// answer here.
    ///
    /// # Errors
    /// There are no credentials, no region, or no answer.
    pub async fn send(&self, access: &dyn Access, request: Request) -> Result<Answered, Error> {
        let region = self.region_for(&access.defaults(), Some(&request.url))?;
        let identity = self.identity_in(&region);
        let credentials = access.credentials(&identity).await?;
        let response = self.send_with(access, request.clone(), &credentials, &region).await?;
        let stale = refusal(&response).is_some_and(|refusal| refusal.is_stale());
        if stale
            && credentials.expires.is_some()
            && let Some(newer) = access.renewed(&identity, &credentials).await?
        {
            let response = self.send_with(access, request, &newer, &region).await?;
            return Ok(Answered { response, credentials: newer, region });
        }
        Ok(Answered { response, credentials, region })
    }

    /// Calls an operation of the JSON protocol (`X-Amz-Target`) at the service's own address, or at `endpoint`.
    ///
    /// # Errors
    /// As [`Service::send`].
    pub async fn json(
        &self,
        access: &dyn Access,
        endpoint: Option<&str>,
        target: &'static str,
        body: &Value,
    ) -> Result<Answered, Error> {
        let defaults = access.defaults();
        let region = self.region_for(&defaults, endpoint)?;
        let url = match endpoint.map(str::trim).filter(|endpoint| !endpoint.is_empty()) {
            Some(endpoint) => endpoint.to_owned(),
            None => format!("{}/", defaults.endpoints.url(self.signing_name, &region)),
        };
        let mut request = Request::get(url);
        request.method = Method::POST;
        let kind = HeaderValue::from_static("application/x-amz-json-1.1");
        request.headers.insert(header::CONTENT_TYPE, kind);
        request.headers.insert("x-amz-target", HeaderValue::from_static(target));
        request.body = body.to_string().into();
        self.send(access, request).await
    }

    async fn send_with(
        &self,
        access: &dyn Access,
        mut request: Request,
        credentials: &Credentials,
        region: &str,
    ) -> Result<Response, Error> {
        let signing = Signing { service: self.signing_name, region };
        signing.sign(&mut request, credentials, access.now())?;
        access.send(request).await
    }

    /// The region that a request to this URL is signed for: the service's own, else the one in the name of a host of Amazon's, else the process's.
    ///
    /// # Errors
    /// There is none, or it is no region.
    pub fn region_for(&self, defaults: &Defaults, url: Option<&str>) -> Result<String, Error> {
        let host = url.and_then(|url| url.split_once("://")).map_or("", |(_, rest)| rest);
        let host = host.split(['/', ':', '?']).next().unwrap_or_default();
        let region = self.region.as_deref().or(region_of(host)).or(defaults.region.as_deref());
        let refused = |text: String, advice: &str| Error::coded(Kind::Config, Code::AwsRegion, text, advice);
        let region = region.ok_or_else(|| {
            let text = format!("no AWS region is given for {}", self.signing_name);
            refused(text, "set awsRegion (of a secret store: region), or AWS_REGION for the operator")
        })?;
        if !is_region(region) {
            return Err(refused(
                format!("{region:?} is no AWS region"),
                "regions are written like eu-west-1",
            ));
        }
        Ok(region.to_owned())
    }

    /// The identity, its credentials asked for in the region where they are used unless something else is said.
    fn identity_in(&self, region: &str) -> Identity {
        let mut identity = self.identity.clone();
        if identity.region.is_none() {
            identity.region = Some(region.to_owned());
        }
        identity
    }
}
