//! The tokens of Azure identities: the shared [broker](crate::broker) with Entra's flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use keda_scaler::http::Transport;
use keda_scaler::identity::{NoTokens, ServiceAccount, Token, TokenRequest, Tokens, azure};
use keda_scaler::kube::Reader;
use keda_scaler::{Clock, Code, Error, Kind};

use super::Settings;
use crate::broker::{self, Flow, Issued};
use crate::claims::Claims;
use crate::problem::Problem;

/// The token broker of the process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Broker {
    tokens: broker::Broker<Login>,
}

/// One way to a token at a login host.
pub(super) struct Login {
    pub(super) settings: Settings,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) clock: Clock,
    pub(super) asked: AtomicU64,
}

/// What tells tokens apart. What is not given here comes from the environment or from annotations, the same for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) authority: String,
    pub(super) tenant: Option<String>,
    pub(super) client: Option<String>,
    pub(super) scope: String,
    pub(super) subject: Subject,
}

/// Whose federated token is presented.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Operator,
    Workload(ServiceAccount),
}

/// How often tokens were wanted, and how often a login host was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Calls of [`Tokens::token`].
    pub given: u64,
    /// Requests to login hosts.
    pub asked: u64,
}

impl Broker {
    /// A broker that has no token yet.
    pub fn new(
        settings: Settings,
        transport: Arc<dyn Transport>,
        reader: Arc<dyn Reader>,
        clock: Clock,
    ) -> Self {
        let asked = AtomicU64::new(0);
        Self { tokens: broker::Broker::new(Login { settings, transport, reader, clock, asked }) }
    }

    /// What was given and asked since the start.
    pub fn counters(&self) -> Counters {
        Counters { given: self.tokens.given(), asked: self.tokens.flow().asked.load(Ordering::Relaxed) }
    }

    /// For [`Broker::walk`]: what tells the token apart.
    pub(super) fn key(&self, request: &azure::Request) -> Result<Key, Error> {
        self.tokens.flow().key(request)
    }

    /// For [`Broker::walk`]: client and tenant id.
    pub(super) async fn ids(&self, key: &Key) -> Result<(String, String), Problem> {
        let login = self.tokens.flow();
        login.ids(key, login.account(key)).await
    }

    /// For [`Broker::walk`]: what the federated token says.
    pub(super) async fn claims(&self, key: &Key) -> Result<Claims, Problem> {
        let login = self.tokens.flow();
        let assertion = login.assertion(key, login.account(key)).await?;
        Ok(assertion.claims)
    }
}

#[async_trait]
impl Tokens for Broker {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        match request {
            TokenRequest::Azure(request) => self.tokens.get(self.key(request)?).await,
            other => NoTokens.token(other).await,
        }
    }

    async fn renew(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        match request {
            TokenRequest::Azure(request) => self.tokens.renew(self.key(request)?, refused).await,
            other => NoTokens.renew(other, refused).await,
        }
    }
}

impl Flow for Login {
    type Key = Key;
    type Grant = Token;
    const LOGGER: &'static str = "azure_identity";

    async fn acquire(&self, key: &Key) -> Result<Issued<Token>, Problem> {
        self.exchange(key).await
    }

    fn describe(key: &Key) -> String {
        format!("{} at {}", key.scope, key.authority)
    }

    fn given_up(key: &Key) -> Error {
        let text = format!("no token from {}: the request was given up", key.authority);
        Error::coded(Kind::Unreachable, Code::AzureLoginUnreachable, text, "")
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("settings", &self.tokens.flow().settings)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
