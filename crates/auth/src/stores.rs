//! Secret stores outside of the cluster as sources of parameters (auth.md §6): the frame that they share.
//!
//! A store is a module with two functions. `prepare` turns what a TriggerAuthentication says into a query: it reads Secrets of
//! the cluster and nothing else. `fetch` answers the query over the network. Between the two stands the frame: equal queries
//! are asked once however many objects wait for the answer, which holds for [`SHARED`]; so does a failure, so that a thousand
//! objects do not queue up before a store that is away.
//!
//! ```text
//! vault.rs       HashiCorp Vault and OpenBao
//! gcp.rs         Google Secret Manager
//! aws.rs         AWS Secrets Manager
//! ```

mod aws;
mod gcp;
mod vault;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use keda_api::TriggerAuthenticationSpec;
use keda_api::trigger_authentication::SecretValue;
use keda_scaler::http::Transport;
use keda_scaler::identity::Tokens;
use keda_scaler::kube::Reader;
use keda_scaler::{Clock, Secret};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::binding::Binding;
use crate::resolve::{Scope, SourceNamespace, pick};
use crate::{Error, ReadKey};

pub use vault::Settings as VaultSettings;

/// How long an answer is shared between objects. A trigger whose credentials are refused has them read again after ten
/// seconds, which is later.
const SHARED: Duration = Duration::from_secs(5);

/// The secret stores as a process reaches them. Cheap to clone; clones share logins and answers.
#[derive(Clone, Default)]
pub struct Stores(Option<Arc<Inner>>);

/// What a store is reached through.
pub(crate) struct Access {
    /// HTTP, shared with the triggers.
    pub(crate) http: Arc<dyn Transport>,
    /// Tokens of cloud identities.
    pub(crate) tokens: Arc<dyn Tokens>,
    /// Wall time.
    pub(crate) clock: Clock,
    /// Tokens of ServiceAccounts.
    pub(crate) kube: Arc<dyn Reader>,
    /// Logins at Vault.
    pub(crate) vault: vault::Sessions,
}

struct Inner {
    access: Access,
    answers: SyncMutex<HashMap<Query, Arc<Slot>>>,
}

/// The values of a query by parameter.
type Values = Vec<(String, Secret)>;

/// The latest answer to a query, and when it came. Locked while it is asked for.
type Slot = Mutex<Option<(Instant, Result<Values, keda_scaler::Error>)>>;

/// What a store is asked, credentials included: equal queries have equal answers.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Query {
    Vault(vault::Query),
    Google(gcp::Query),
    Aws(aws::Query),
}

/// What `prepare` may look at.
pub(crate) struct Ask<'a> {
    /// The TriggerAuthentication.
    pub(crate) origin: &'a ReadKey,
    /// Where its Secrets are.
    pub(crate) namespace: &'a SourceNamespace,
    /// The object that wants parameters.
    pub(crate) scope: &'a Scope,
    pub(crate) reader: &'a dyn Reader,
    /// Where the object's credentials may be sent.
    pub(crate) binding: &'a Binding,
}

impl Ask<'_> {
    /// The text of a `valueFrom.secretKeyRef`; `what` says what it is for, such as `credentials.clientSecret`.
    pub(crate) async fn secret(&self, what: &str, value: &SecretValue) -> Result<Secret, Error> {
        let source = &value.value_from.secret_key_ref;
        let namespace = self.namespace.get(self.origin)?;
        let object = ReadKey::secret(namespace, &source.name);
        let data = self.reader.secret(namespace, &source.name).await;
        let data = data.map_err(|cause| Error::Read { object: object.clone(), cause })?;
        let bytes = pick(data, what, &source.key, object.clone())?;
        let text =
            String::from_utf8(bytes).map_err(|_| Error::NotText { key: source.key.clone(), object })?;
        Ok(Secret::from(text))
    }
}

impl Stores {
    /// Stores of this process. Nothing is asked before a TriggerAuthentication wants it.
    pub fn new(
        http: Arc<dyn Transport>,
        tokens: Arc<dyn Tokens>,
        kube: Arc<dyn Reader>,
        clock: Clock,
        vault: VaultSettings,
    ) -> Self {
        let access = Access { http, tokens, clock, kube, vault: vault::Sessions::new(vault) };
        Self(Some(Arc::new(Inner { access, answers: SyncMutex::default() })))
    }

    /// Adds the parameters of every store that a spec names, later ones over earlier ones.
    ///
    /// # Errors
    /// What cannot be had. Where this process does not reach stores, the first one that is named.
    pub(crate) async fn params(
        &self,
        spec: &TriggerAuthenticationSpec,
        ask: &Ask<'_>,
        params: &mut BTreeMap<String, Secret>,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        if let Some(given) = &spec.hashi_corp_vault {
            let field = "hashiCorpVault";
            let inner = self.reached(field, ask)?;
            let query = Query::Vault(vault::prepare(given, &inner.access.vault, ask, warnings)?);
            params.extend(inner.answer(query).await.map_err(|cause| refused(field, ask, cause))?);
        }
        if let Some(given) = &spec.gcp_secret_manager {
            let inner = self.reached(gcp::FIELD, ask)?;
            let query = Query::Google(gcp::prepare(given, ask).await?);
            params.extend(inner.answer(query).await.map_err(|cause| refused(gcp::FIELD, ask, cause))?);
        }
        if let Some(given) = &spec.aws_secret_manager {
            let field = "awsSecretManager";
            let inner = self.reached(field, ask)?;
            let query = Query::Aws(aws::prepare(given, ask).await?);
            params.extend(inner.answer(query).await.map_err(|cause| refused(field, ask, cause))?);
        }
        Ok(())
    }

    fn reached(&self, field: &'static str, ask: &Ask<'_>) -> Result<&Inner, Error> {
        let elsewhere = || Error::ElsewhereStore { origin: ask.origin.clone(), field };
        self.0.as_deref().ok_or_else(elsewhere)
    }
}

fn refused(field: &'static str, ask: &Ask<'_>, cause: keda_scaler::Error) -> Error {
    Error::Store { origin: ask.origin.clone(), field, cause }
}

impl Inner {
    async fn answer(&self, query: Query) -> Result<Values, keda_scaler::Error> {
        let slot = self.slot(&query);
        let mut answer = slot.lock().await;
        if let Some((since, result)) = answer.as_ref().filter(|(since, _)| since.elapsed() < SHARED) {
            tracing::trace!(logger = "secret_stores", age = ?since.elapsed(), "shared answer");
            return result.clone();
        }
        let result = match &query {
            Query::Vault(query) => vault::fetch(query, &self.access).await,
            Query::Google(query) => gcp::fetch(query, &self.access).await,
            Query::Aws(query) => aws::fetch(query, &self.access).await,
        };
        *answer = Some((Instant::now(), result.clone()));
        result
    }

    /// The place of a query's answer. Those that nobody waits for and that are too old to be shared are forgotten.
    fn slot(&self, query: &Query) -> Arc<Slot> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = answers.get(query) {
            return slot.clone();
        }
        answers.retain(|_, slot| {
            // Locked ones are being asked for.
            let Ok(answer) = slot.try_lock() else { return true };
            answer.as_ref().is_some_and(|(since, _)| since.elapsed() < SHARED)
        });
        let slot = Arc::new(Slot::default());
        answers.insert(query.clone(), slot.clone());
        slot
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stores").field(&self.0.is_some()).finish()
    }
}
