//! The tokens of Google identities: the shared [broker](crate::broker) with Google's flows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keda_scaler::http::Transport;
use keda_scaler::identity::Token;
use keda_scaler::identity::google::{Credential, Request};
use keda_scaler::{Clock, Code, Error, Kind};

use super::Settings;
use super::credentials::Credentials;
use crate::broker::{self, Flow, Issued};
use crate::problem::{Class, Problem};

/// The Google tokens of the process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Broker {
    tokens: broker::Broker<Google>,
}

/// One way to a token of Google.
pub(super) struct Google {
    pub(super) settings: Settings,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Clock,
    pub(super) asked: AtomicU64,
}

impl Broker {
    /// A broker that has no token yet.
    pub fn new(settings: Settings, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let asked = AtomicU64::new(0);
        Self { tokens: broker::Broker::new(Google { settings, transport, clock, asked }) }
    }

    /// Tokens that were wanted since the start.
    pub fn given(&self) -> u64 {
        self.tokens.given()
    }

    /// Requests to Google's endpoints since the start.
    pub fn asked(&self) -> u64 {
        self.tokens.flow().asked.load(Ordering::Relaxed)
    }

    /// A valid token, from memory or asked for now.
    ///
    /// # Errors
    /// There is none, and why.
    pub async fn token(&self, request: &Request) -> Result<Token, Error> {
        self.tokens.get(request.clone()).await
    }

    /// A newer token in place of one that was refused; `None` where it was renewed for that a short while ago.
    ///
    /// # Errors
    /// As [`Broker::token`].
    pub async fn renew(&self, request: &Request, refused: &Token) -> Result<Option<Token>, Error> {
        self.tokens.renew(request.clone(), refused).await
    }

    /// The project that a credential belongs to: what the key says; for the default credentials `CLOUDSDK_CORE_PROJECT`,
    /// the key in the file, or the metadata server's answer.
    ///
    /// # Errors
    /// Nothing says it.
    pub async fn project(&self, credential: &Credential) -> Result<String, Error> {
        let google = self.tokens.flow();
        google.project(credential).await.map_err(|problem| problem.error(std::time::Duration::ZERO))
    }
}

impl Google {
    async fn project(&self, credential: &Credential) -> Result<String, Problem> {
        if let (Credential::Default, Some(project)) = (credential, &self.settings.project) {
            return Ok(project.clone());
        }
        let credentials = self.credentials(credential)?;
        match (credentials.as_ref().and_then(Credentials::project), credential) {
            (Some(project), _) => Ok(project.to_owned()),
            (None, Credential::Default) => self.metadata_project().await,
            (None, _) => {
                let (text, advice) =
                    ("the service account's key has no project_id", "take it as Google gives it");
                Err(Problem::new(Kind::Auth, Code::GoogleCredentials, Class::Local, text, advice))
            }
        }
    }
}

impl Flow for Google {
    type Key = Request;
    type Grant = Token;
    const LOGGER: &'static str = "google_identity";

    async fn acquire(&self, key: &Request) -> Result<Issued<Token>, Problem> {
        match self.credentials(&key.credential)? {
            Some(Credentials::Key(credentials)) => self.by_key(&credentials, &key.scope).await,
            Some(Credentials::User(user)) => self.by_user(&user).await,
            Some(Credentials::External(external)) => self.by_federation(&external, &key.scope).await,
            None => self.by_metadata(&key.scope).await,
        }
    }

    fn describe(key: &Request) -> String {
        let whose = match &key.credential {
            Credential::Default => "application default credentials",
            Credential::KeyFile(_) => "a key in a file",
            _ => "a key",
        };
        format!("{} by {whose}", key.scope)
    }

    fn given_up(_: &Request) -> Error {
        let text = "no token from google: the request was given up";
        Error::coded(Kind::Unreachable, Code::GoogleUnreachable, text, "")
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("settings", &self.tokens.flow().settings).finish_non_exhaustive()
    }
}
