//! Whose credentials are kept, and a role's from what the operator has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use keda_scaler::aws::{Credentials, Defaults, Identity, Provider, Role, Who};
use keda_scaler::http::Transport;
use keda_scaler::identity::{NoTokens, Token, TokenRequest, Tokens};
use keda_scaler::{Clock, Code, Error, Kind};
use tokio::time::Instant;

use super::sts::{Presented, Sts};
use super::{NAMESPACE, SESSION, Settings};
use crate::broker::{self, Flow, Grant, Issued};
use crate::problem::{Class, Problem};

/// The broker of the process's AWS credentials. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Broker {
    world: Arc<World>,
    own: broker::Broker<Own>,
    roles: broker::Broker<Roles>,
}

/// What both flows need.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Clock,
    pub(super) asked: AtomicU64,
}

/// How often credentials were wanted, and how often somebody was asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Calls of [`Provider::credentials`] for identities that are kept.
    pub given: u64,
    /// Requests to STS, metadata service and container endpoint.
    pub asked: u64,
}

/// The flow of the operator's own identity, by the region whose STS is asked.
pub(super) struct Own(Arc<World>);

/// The flow of assumed roles.
struct Roles {
    world: Arc<World>,
    own: broker::Broker<Own>,
}

/// What tells a role's credentials apart.
#[derive(Clone, PartialEq, Eq, Hash)]
struct RoleKey {
    arn: String,
    external_id: Option<String>,
    web_identity: bool,
    region: Option<String>,
}

impl Broker {
    /// A broker that has nothing yet.
    pub fn new(settings: Settings, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let world = Arc::new(World { settings, transport, clock, asked: AtomicU64::new(0) });
        let own = broker::Broker::new(Own(world.clone()));
        let roles = broker::Broker::new(Roles { world: world.clone(), own: own.clone() });
        Self { world, own, roles }
    }

    /// What was given and asked since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            given: self.own.given() + self.roles.given(),
            asked: self.world.asked.load(Ordering::Relaxed),
        }
    }

    /// The key of a role: is it one, and may this namespace use it so.
    fn role(&self, role: &Role, region: Option<&String>) -> Result<RoleKey, Error> {
        let arn = role.arn.trim();
        if !Role::is_arn(arn) {
            let text = format!("{arn:?} is no ARN of a role");
            let advice = "it is written like arn:aws:iam::111122223333:role/name";
            return Err(Error::coded(Kind::Config, Code::AwsRole, text, advice));
        }
        let given = role.external_id.clone().filter(|id| !id.is_empty());
        let mut key = RoleKey {
            arn: arn.to_owned(),
            external_id: given,
            web_identity: role.web_identity && self.world.settings.token_file.is_some(),
            region: region.cloned().or_else(|| self.world.settings.defaults.region.clone()),
        };
        if let (Some(template), Some(namespace)) = (&self.world.settings.external_id, &role.tenant) {
            let wanted = template.replace(NAMESPACE, namespace);
            if let Some(other) = key.external_id.filter(|given| *given != wanted) {
                let text = format!(
                    "externalID {other:?} is not the one that --aws-external-id gives to this namespace: {wanted:?}"
                );
                let advice = format!(
                    "remove externalID from the TriggerAuthentication of namespace {namespace}, or set it to that"
                );
                return Err(Error::coded(Kind::Auth, Code::AwsExternalId, text, &advice));
            }
            // A web identity carries no external id: the role could not tell for whom it is assumed.
            key.external_id = Some(wanted);
            key.web_identity = false;
        }
        Ok(key)
    }
}

#[async_trait]
impl Provider for Broker {
    async fn credentials(&self, identity: &Identity) -> Result<Credentials, Error> {
        let region = identity.region.as_ref();
        match (&identity.who, &self.world.settings.keys) {
            (Who::Keys(keys), _) | (Who::Operator, Some(keys)) => Ok(Credentials::of(keys)),
            (Who::Operator, None) => self.own.get(self.world.own_region(region)).await,
            (Who::Role(role), _) => self.roles.get(self.role(role, region)?).await,
        }
    }

    async fn renew(&self, identity: &Identity, refused: &Credentials) -> Result<Option<Credentials>, Error> {
        let region = identity.region.as_ref();
        match (&identity.who, &self.world.settings.keys) {
            (Who::Keys(_), _) | (Who::Operator, Some(_)) => Ok(None),
            (Who::Operator, None) => self.own.renew(self.world.own_region(region), refused).await,
            (Who::Role(role), _) => self.roles.renew(self.role(role, region)?, refused).await,
        }
    }

    fn defaults(&self) -> &Defaults {
        &self.world.settings.defaults
    }
}

/// A process that has no other identities.
#[async_trait]
impl Tokens for Broker {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        NoTokens.token(request).await
    }

    async fn renew(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        NoTokens.renew(request, refused).await
    }

    fn aws(&self) -> Option<&dyn Provider> {
        Some(self)
    }
}

impl Grant for Credentials {
    fn expires(&self) -> Instant {
        // Those that a flow makes always expire.
        self.expires.unwrap_or_else(Instant::now)
    }

    fn is(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id && self.session_token == other.session_token
    }
}

impl Flow for Own {
    type Key = Option<String>;
    type Grant = Credentials;
    const LOGGER: &'static str = "aws_identity";

    async fn acquire(&self, region: &Option<String>) -> Result<Issued<Credentials>, Problem> {
        self.0.own(region.as_deref()).await
    }

    fn describe(_: &Option<String>) -> String {
        "the operator's own identity".to_owned()
    }

    fn given_up(_: &Option<String>) -> Error {
        given_up("the operator's own identity")
    }
}

impl Flow for Roles {
    type Key = RoleKey;
    type Grant = Credentials;
    const LOGGER: &'static str = "aws_identity";

    async fn acquire(&self, key: &RoleKey) -> Result<Issued<Credentials>, Problem> {
        let sts = self.world.sts(key.region.as_deref())?;
        let refused = if key.web_identity {
            // The token speaks for the operator: where the role trusts it, nothing else is needed.
            match self.world.web_identity(&sts, &key.arn, SESSION).await {
                Err(problem) if problem.class == Class::Wrong => Some(problem),
                result => return result,
            }
        } else {
            None
        };
        let result = self.assume(&sts, key).await;
        result.map_err(|problem| match refused {
            None => problem,
            // Only the token's refusal can be mended.
            Some(refused) if matches!(problem.code, Code::AwsIdentityMissing | Code::AwsRole) => refused,
            Some(refused) => Problem {
                text: format!("{}; before that, its web identity: {}", problem.text, refused.text),
                ..problem
            },
        })
    }

    fn describe(key: &RoleKey) -> String {
        key.arn.clone()
    }

    fn given_up(key: &RoleKey) -> Error {
        given_up(&key.arn)
    }
}

impl World {
    /// The key of the operator's own identity: one for all regions where the operator knows its own.
    fn own_region(&self, region: Option<&String>) -> Option<String> {
        self.settings.defaults.region.clone().or_else(|| region.cloned())
    }
}

impl Roles {
    /// The role with the operator's own credentials; those are renewed once where STS refuses them.
    async fn assume(&self, sts: &Sts<'_>, key: &RoleKey) -> Result<Issued<Credentials>, Problem> {
        let region = self.world.own_region(key.region.as_ref());
        let own = match &self.world.settings.keys {
            Some(keys) => Credentials::of(keys),
            None => self.own.get(region.clone()).await.map_err(|error| Problem::relayed(&error))?,
        };
        let presented = Presented::Credentials { own: &own, external_id: key.external_id.as_deref() };
        match sts.assume(&key.arn, SESSION, &presented).await {
            Err(problem) if problem.code == Code::AwsKeysRefused && own.expires.is_some() => {
                match self
                    .own
                    .renew(key.region.clone(), &own)
                    .await
                    .map_err(|error| Problem::relayed(&error))?
                {
                    Some(own) => {
                        let external_id = key.external_id.as_deref();
                        let presented = Presented::Credentials { own: &own, external_id };
                        sts.assume(&key.arn, SESSION, &presented).await
                    }
                    None => Err(problem),
                }
            }
            result => result,
        }
    }
}

/// A flight ended without a result: its task was dropped with the runtime.
fn given_up(whose: &str) -> Error {
    let text = format!("no AWS credentials for {whose}: the request was given up");
    Error::coded(Kind::Unreachable, Code::AwsUnreachable, text, "")
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("settings", &self.world.settings)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
