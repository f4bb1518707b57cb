//! Every broker of the process, as triggers see them: one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keda_scaler::http::Transport;
use keda_scaler::identity::google::Credential;
use keda_scaler::identity::{NoTokens, Token, TokenRequest, Tokens};
use keda_scaler::kube::Reader;
use keda_scaler::{Clock, Error, aws::Provider};

use crate::{aws, azure, gcp, oauth2};

/// The token brokers of the process. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Brokers {
    aws: aws::Broker,
    azure: azure::Broker,
    google: gcp::Broker,
    oauth2: oauth2::Broker,
}

/// What the process knows about its own identities.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// At Amazon.
    pub aws: aws::Settings,
    /// At Microsoft.
    pub azure: azure::Settings,
    /// At Google.
    pub google: gcp::Settings,
}

impl Brokers {
    /// The same, with OAuth 2.0 token endpoints, which users choose, over another transport: what holds for triggers' addresses holds for
    /// them. `timeout` is for one call.
    #[must_use]
    pub fn token_endpoints_over(mut self, transport: Arc<dyn Transport>, timeout: Duration) -> Self {
        self.oauth2 = oauth2::Broker::new(transport, Some(timeout));
        self
    }

    /// Brokers that have no token yet.
    pub fn new(
        settings: Settings,
        transport: Arc<dyn Transport>,
        reader: Arc<dyn Reader>,
        clock: Clock,
    ) -> Self {
        let Settings { aws, azure, google } = settings;
        Self {
            oauth2: oauth2::Broker::new(transport.clone(), azure.timeout.or(google.timeout)),
            aws: aws::Broker::new(aws, transport.clone(), clock),
            google: gcp::Broker::new(google, transport.clone(), clock),
            azure: azure::Broker::new(azure, transport, reader, clock),
        }
    }
}

/// How often tokens of one issuer were wanted, and how often it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// `aws`, `azure`, `gcp` or `oauth2`.
    pub provider: &'static str,
    /// Tokens that triggers asked the broker for.
    pub given: u64,
    /// Requests to issuers.
    pub asked: u64,
}

impl Brokers {
    /// What was given and asked since the start.
    pub fn counts(&self) -> [Counts; 4] {
        let (aws, azure) = (self.aws.counters(), self.azure.counters());
        [
            Counts { provider: "aws", given: aws.given, asked: aws.asked },
            Counts { provider: "azure", given: azure.given, asked: azure.asked },
            Counts { provider: "gcp", given: self.google.given(), asked: self.google.asked() },
            Counts { provider: "oauth2", given: self.oauth2.given(), asked: self.oauth2.asked() },
        ]
    }
}

#[async_trait]
impl Tokens for Brokers {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        match request {
            TokenRequest::Azure(_) => self.azure.token(request).await,
            TokenRequest::Google(request) => self.google.token(request).await,
            TokenRequest::OAuth2(request) => self.oauth2.token(request).await,
            other => NoTokens.token(other).await,
        }
    }

    async fn renew(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        match request {
            TokenRequest::Azure(_) => self.azure.renew(request, refused).await,
            TokenRequest::Google(request) => self.google.renew(request, refused).await,
            TokenRequest::OAuth2(request) => self.oauth2.renew(request, refused).await,
            other => NoTokens.renew(other, refused).await,
        }
    }

    async fn google_project(&self, credential: &Credential) -> Result<String, Error> {
        self.google.project(credential).await
    }

    fn aws(&self) -> Option<&dyn Provider> {
        Some(&self.aws)
    }
}
