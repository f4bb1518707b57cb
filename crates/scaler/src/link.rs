//! What a connected trigger reaches the world through: the environment, tied to one trigger.

use std::sync::Arc;

use tokio::time::Instant;

use crate::identity::{Token, TokenRequest, Tokens};
use crate::telemetry::{Subject, Telemetry};
use crate::{Clock, Code, Context, Environment, Error, Kind, aws, grpc, http, kube};

/// Given to [`crate::Trigger::connect`]. Cheap to clone.
#[derive(Clone)]
#[non_exhaustive]
pub struct Link {
    /// HTTP with the trigger's default deadline; requests are counted for the trigger.
    pub http: Http,
    /// Wall time.
    pub clock: Clock,
    /// Single objects of the cluster.
    pub kube: Arc<dyn kube::Reader>,
    /// Where the trigger stands.
    pub context: Arc<Context>,
    grpc: grpc::Channels,
    tokens: Arc<dyn Tokens>,
    subject: Arc<Subject>,
    telemetry: Arc<dyn Telemetry>,
}

impl Link {
    pub(crate) fn new(environment: &Environment, context: Arc<Context>, subject: Arc<Subject>) -> Self {
        Self {
            http: Http {
                transport: environment.http.clone(),
                context: context.clone(),
                subject: subject.clone(),
                telemetry: environment.telemetry.clone(),
            },
            grpc: environment.grpc.clone(),
            clock: environment.clock,
            kube: environment.kube.clone(),
            tokens: environment.tokens.clone(),
            context,
            subject,
            telemetry: environment.telemetry.clone(),
        }
    }

    /// A gRPC channel; its connections are shared with everybody who speaks to the same address as the same identity.
    ///
    /// # Errors
    /// The trigger's credentials may not go there.
    pub fn channel(&self, endpoint: grpc::Endpoint) -> Result<grpc::Channel, Error> {
        let address = &endpoint.address;
        self.context.destinations.allow_host(address.host(), Some(address.port()))?;
        Ok(self.grpc.channel(endpoint))
    }

    /// A valid token, waited for as long as the trigger's default HTTP deadline.
    ///
    /// # Errors
    /// There is none, and why.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        self.may_ask(request)?;
        self.in_time(request, self.tokens.token(request)).await
    }

    /// A newer token in place of one that the source refused with 401; `None` where it was renewed for that already.
    ///
    /// # Errors
    /// As [`Link::token`].
    pub async fn renewed(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        self.may_ask(request)?;
        self.in_time(request, self.tokens.renew(request, refused)).await
    }

    /// A client's secret goes to the token endpoint, which whoever wrote the object may have chosen.
    fn may_ask(&self, request: &TokenRequest) -> Result<(), Error> {
        match request {
            TokenRequest::OAuth2(request) => self.context.destinations.allow(&request.token_url),
            _ => Ok(()),
        }
    }

    /// Sends a request with the bearer token. Who shares the token's identity shares equal requests, and a token that the
    /// source refuses with 401 is renewed once. Gives the answer and the token that got it.
    ///
    /// # Errors
    /// There is no token, or no answer.
    pub async fn send_as(
        &self,
        identity: &TokenRequest,
        request: http::Request,
    ) -> Result<(http::Response, Token), Error> {
        let token = self.token(identity).await?;
        let refused = self.send_with(&token, request.clone()).await?;
        if refused.status != http::StatusCode::UNAUTHORIZED {
            return Ok((refused, token));
        }
        match self.renewed(identity, &token).await? {
            Some(newer) => Ok((self.send_with(&newer, request).await?, newer)),
            None => Ok((refused, token)),
        }
    }

    async fn send_with(&self, token: &Token, mut request: http::Request) -> Result<http::Response, Error> {
        let value = token
            .authorization()
            .ok_or_else(|| Error::new(Kind::Auth, "the issuer's token cannot be sent as a header"))?;
        request.headers.insert(http::header::AUTHORIZATION, value);
        self.http.send(request).await
    }

    async fn in_time<T>(
        &self,
        request: &TokenRequest,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let patience = self.context.http_timeout;
        tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| {
            let text = format!("no token within {patience:?}: it is still being asked for");
            Err(Error::coded(Kind::Timeout, request.slow(), text, ""))
        })
    }

    /// Valid credentials of AWS, or newer ones in place of those refused; waited for as long as the trigger's default HTTP deadline.
    pub(crate) async fn aws_credentials(
        &self,
        identity: &aws::Identity,
        refused: Option<&aws::Credentials>,
    ) -> Result<Option<aws::Credentials>, Error> {
        if let (aws::Who::Keys(keys), None) = (&identity.who, refused) {
            return Ok(Some(aws::Credentials::of(keys)));
        }
        let provider = self.tokens.aws().ok_or_else(aws::unavailable)?;
        let asking = async {
            match refused {
                None => provider.credentials(identity).await.map(Some),
                Some(refused) => provider.renew(identity, refused).await,
            }
        };
        let patience = self.context.http_timeout;
        tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| {
            let text = format!("no AWS credentials within {patience:?}: they are still being asked for");
            Err(Error::coded(Kind::Timeout, Code::AwsSlow, text, ""))
        })
    }

    /// What the process knows about AWS apart from credentials.
    pub(crate) fn aws_defaults(&self) -> aws::Defaults {
        self.tokens.aws().map(|provider| provider.defaults().clone()).unwrap_or_default()
    }

    /// Reports that the source answered without a number, and whether the user chose to read that as 0.
    pub fn empty_response(&self, ignored: bool) {
        self.telemetry.empty_response(&self.subject, ignored);
    }
}

/// HTTP for one trigger.
#[derive(Clone)]
pub struct Http {
    transport: Arc<dyn http::Transport>,
    context: Arc<Context>,
    subject: Arc<Subject>,
    telemetry: Arc<dyn Telemetry>,
}

impl Http {
    /// Sends a request under its own deadline, else the trigger's default.
    ///
    /// # Errors
    /// There was no answer, or the trigger's credentials may not go there. A status of any kind is an answer.
    pub async fn send(&self, mut request: http::Request) -> Result<http::Response, Error> {
        self.context.destinations.allow(&request.url)?;
        let timeout = *request.timeout.get_or_insert(self.context.http_timeout);
        let what = request.describe();
        let started = Instant::now();
        // Transports keep to the deadline; this holds even for one that does not.
        let sent = tokio::time::timeout(timeout, self.transport.send(request)).await;
        let result = sent.unwrap_or_else(|_| {
            Err(http::Error::new(http::ErrorKind::Timeout, format!("{what}: no answer within {timeout:?}")))
        });
        let status = result.as_ref().ok().map(|response| response.status.as_u16());
        self.telemetry.http_request(&self.subject, status, started.elapsed());
        result.map_err(Error::from)
    }
}
