//! Who waits for which token, when it is renewed, and what a failure means for the next try.
//!
//! For each key there is one entry. A token in hand is given out until it expires, whatever happens to its renewal, which
//! begins well before. A flight (one way to a new token, with a few quick tries) is a task of its own: callers wait for
//! it as long as they like, and it goes on when they are gone. After a failed flight the same answer is given until the
//! next try is due, so that neither a thousand triggers nor one impatient one asks a login host more often than that.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keda_scaler::http::Transport;
use keda_scaler::identity::{Owner, ServiceAccount, Token, TokenRequest, Tokens, azure};
use keda_scaler::kube::Reader;
use keda_scaler::{Clock, Code, Error, Kind};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Settings;
use super::exchange::{Exchange, Issued};
use super::problem::{Class, PROPAGATION, Problem};
use super::subject::{self, Assertion, Claims};

/// Where Azure's webhook, and we, find the ids of a ServiceAccount's identity.
const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";

/// A token is renewed this long before it expires, or at two thirds of its life, whichever is later.
const EARLY: Duration = Duration::from_secs(900);

/// A refused token is renewed for that at most this often.
const FORCED: Duration = Duration::from_secs(300);

/// What nobody asked for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(2 * 3600);

/// Quick tries within one flight, on trouble that may be over at once.
const QUICK_TRIES: u32 = 4;
const QUICK_WAIT: Duration = Duration::from_millis(200);

/// The token broker of the process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    transport: Arc<dyn Transport>,
    reader: Arc<dyn Reader>,
    clock: Clock,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    random: RandomState,
    given: AtomicU64,
    asked: AtomicU64,
}

/// What tells tokens apart. What is not given here comes from the environment or from annotations, the same for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) authority: String,
    tenant: Option<String>,
    client: Option<String>,
    scope: String,
    subject: Subject,
}

/// Whose federated token is presented.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Operator,
    Workload(ServiceAccount),
}

struct Entry {
    key: Key,
    state: Mutex<State>,
}

struct State {
    held: Option<Held>,
    /// Open while a flight is under way; ends with it.
    flight: Option<watch::Receiver<()>>,
    failure: Option<Failure>,
    /// When each kind of failure was first met since the last token: other trouble in between does not restart its time.
    first_met: BTreeMap<Code, Instant>,
    /// When a token was last renewed because a source refused it.
    forced: Option<Instant>,
    used: Instant,
}

struct Held {
    token: Token,
    renew_at: Instant,
}

struct Failure {
    problem: Problem,
    /// Since when it fails like this.
    since: Instant,
    tries: u32,
    next_try: Instant,
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
        Self {
            shared: Arc::new(Shared {
                settings,
                transport,
                reader,
                clock,
                entries: Mutex::default(),
                random: RandomState::new(),
                given: AtomicU64::new(0),
                asked: AtomicU64::new(0),
            }),
        }
    }

    /// What was given and asked since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            given: self.shared.given.load(Ordering::Relaxed),
            asked: self.shared.asked.load(Ordering::Relaxed),
        }
    }

    /// For [`Broker::walk`]: what tells the token apart.
    pub(super) fn key(&self, request: &TokenRequest) -> Result<Key, Error> {
        self.shared.key(request)
    }

    /// For [`Broker::walk`]: client and tenant id.
    pub(super) async fn ids(&self, key: &Key) -> Result<(String, String), Problem> {
        self.shared.ids(key, self.shared.account(key)).await
    }

    /// For [`Broker::walk`]: what the federated token says.
    pub(super) async fn claims(&self, key: &Key) -> Result<Claims, Problem> {
        let assertion = self.shared.assertion(key, self.shared.account(key)).await?;
        Ok(assertion.claims)
    }

    fn entry(&self, request: &TokenRequest) -> Result<Arc<Entry>, Error> {
        let key = self.shared.key(request)?;
        let mut entries = lock(&self.shared.entries);
        if let Some(entry) = entries.get(&key) {
            return Ok(entry.clone());
        }
        entries.retain(|_, entry| {
            let state = lock(&entry.state);
            state.flight.is_some() || state.used.elapsed() < FORGOTTEN
        });
        let state = State {
            held: None,
            flight: None,
            failure: None,
            first_met: BTreeMap::new(),
            forced: None,
            used: Instant::now(),
        };
        let entry = Arc::new(Entry { key: key.clone(), state: Mutex::new(state) });
        entries.insert(key, entry.clone());
        Ok(entry)
    }
}

#[async_trait]
impl Tokens for Broker {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        self.shared.given.fetch_add(1, Ordering::Relaxed);
        let entry = self.entry(request)?;
        let flight = {
            let now = Instant::now();
            let mut state = lock(&entry.state);
            state.used = now;
            if let Some(token) = state.valid(now) {
                let due = state.held.as_ref().is_some_and(|held| now >= held.renew_at);
                if due && state.may_try(now) {
                    self.shared.begin(&entry, &mut state);
                }
                return Ok(token);
            }
            if let (None, Some(failure)) = (&state.flight, &state.failure)
                && now < failure.next_try
            {
                return Err(failure.error(now));
            }
            self.shared.begin(&entry, &mut state)
        };
        ended(flight).await;
        let now = Instant::now();
        let state = lock(&entry.state);
        match (state.valid(now), &state.failure) {
            (Some(token), _) => Ok(token),
            (None, Some(failure)) => Err(failure.error(now)),
            (None, None) => Err(given_up(&entry.key)),
        }
    }

    async fn renew(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        let entry = self.entry(request)?;
        let newer = |state: &State, now| state.valid(now).filter(|token| token.secret() != refused.secret());
        let flight = {
            let now = Instant::now();
            let mut state = lock(&entry.state);
            if let Some(token) = newer(&state, now) {
                return Ok(Some(token));
            }
            let flying = state.flight.is_some();
            let lately = state.forced.is_some_and(|forced| now.duration_since(forced) < FORCED);
            if !flying && (lately || !state.may_try(now)) {
                return Ok(None);
            }
            if !flying {
                state.forced = Some(now);
            }
            self.shared.begin(&entry, &mut state)
        };
        ended(flight).await;
        let now = Instant::now();
        let state = lock(&entry.state);
        match (newer(&state, now), &state.failure) {
            (Some(token), _) => Ok(Some(token)),
            // The refused token is still the only one: the source's refusal says more than why there is no other.
            (None, Some(_)) if state.valid(now).is_some() => Ok(None),
            (None, Some(failure)) => Err(failure.error(now)),
            (None, None) => Ok(None),
        }
    }
}

impl State {
    fn valid(&self, now: Instant) -> Option<Token> {
        self.held.as_ref().filter(|held| now < held.token.expires()).map(|held| held.token.clone())
    }

    /// Whether a flight may begin: none is under way, and the last failure is old enough.
    fn may_try(&self, now: Instant) -> bool {
        self.flight.is_none() && self.failure.as_ref().is_none_or(|failure| now >= failure.next_try)
    }
}

impl Failure {
    fn error(&self, now: Instant) -> Error {
        self.problem.error(now.saturating_duration_since(self.since))
    }
}

/// Waits until a flight has ended, however it ended.
async fn ended(mut flight: watch::Receiver<()>) {
    while flight.changed().await.is_ok() {}
}

/// A flight ended without a result: its task was dropped with the runtime.
fn given_up(key: &Key) -> Error {
    let text = format!("no token from {}: the request was given up", key.authority);
    Error::coded(Kind::Unreachable, Code::AzureLoginUnreachable, text, "")
}

impl Shared {
    /// The key of a request.
    fn key(&self, request: &TokenRequest) -> Result<Key, Error> {
        let identity = &request.identity;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let subject = match (identity.identity_owner, &identity.workload) {
            (Owner::Workload, Some(account)) => Subject::Workload(account.clone()),
            (Owner::Workload, None) => {
                let text = "identityOwner workload needs a target with a pod template, whose ServiceAccount is meant";
                return Err(Error::coded(Kind::Auth, Code::AzureIdentityIncomplete, text, ""));
            }
            (Owner::Keda, _) => Subject::Operator,
        };
        let own = subject == Subject::Operator;
        let default = |text: &Option<String>| given(text).filter(|_| own);
        Ok(Key {
            authority: self.authority(given(&identity.identity_authority_host), request.cloud)?,
            tenant: given(&identity.identity_tenant_id).or_else(|| default(&self.settings.tenant_id)),
            client: given(&identity.identity_id).or_else(|| default(&self.settings.client_id)),
            scope: request.scope.clone(),
            subject,
        })
    }

    /// The login host: the TriggerAuthentication's, else the process's, else the cloud's.
    fn authority(&self, named: Option<String>, cloud: azure::Cloud) -> Result<String, Error> {
        let unusable = |text: String| Error::coded(Kind::Auth, Code::AzureAuthority, text, "");
        let named = named.or_else(|| self.settings.authority_host.clone());
        let Some(host) = named.or_else(|| cloud.login_host().map(str::to_owned)) else {
            return Err(unusable(format!(
                "cloud {} has no login host of its own: set identityAuthorityHost and identityTenantId in the \
                 TriggerAuthentication, or AZURE_AUTHORITY_HOST",
                cloud.as_str()
            )));
        };
        let authority = host.trim_end_matches('/');
        let name = authority.strip_prefix("https://").unwrap_or_default();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '?' | '#')) {
            return Err(unusable(format!(
                "{host:?} is no login host: identityAuthorityHost and AZURE_AUTHORITY_HOST are written like \
                 https://login.microsoftonline.com/"
            )));
        }
        Ok(authority.to_owned())
    }

    /// The flight that is under way, or one that begins now.
    fn begin(self: &Arc<Self>, entry: &Arc<Entry>, state: &mut State) -> watch::Receiver<()> {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        let (open, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        let landing = Landing { entry: entry.clone(), _open: open };
        let shared = self.clone();
        tokio::spawn(async move {
            let result = shared.fly(&landing.entry.key).await;
            shared.settle(&landing.entry, result);
            drop(landing);
        });
        flight
    }

    /// One way to a new token; trouble that may be over at once is tried again quickly, a few times.
    async fn fly(&self, key: &Key) -> Result<Issued, Problem> {
        let mut tries = 1;
        loop {
            let result = self.acquire(key).await;
            match &result {
                Err(Problem { class: Class::Temporary { wait: None }, .. }) if tries < QUICK_TRIES => {
                    tokio::time::sleep(self.jittered(QUICK_WAIT * 2_u32.pow(tries - 1), key, tries)).await;
                    tries += 1;
                }
                _ => return result,
            }
        }
    }

    async fn acquire(&self, key: &Key) -> Result<Issued, Problem> {
        let account = self.account(key);
        let (client, tenant) = self.ids(key, account).await?;
        let assertion = self.assertion(key, account).await?;
        let exchange = Exchange {
            authority: &key.authority,
            tenant: &tenant,
            client: &client,
            scope: &key.scope,
            timeout: self.settings.timeout,
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        exchange.send(&assertion, self.transport.as_ref(), self.clock.now()).await
    }

    /// The ServiceAccount that the federated token is about.
    fn account<'a>(&'a self, key: &'a Key) -> Option<&'a ServiceAccount> {
        match &key.subject {
            Subject::Workload(account) => Some(account),
            Subject::Operator => self.settings.service_account.as_ref(),
        }
    }

    /// Client and tenant id: what is given, else what the ServiceAccount's annotations say.
    async fn ids(&self, key: &Key, account: Option<&ServiceAccount>) -> Result<(String, String), Problem> {
        let incomplete = |what: &str, field: &str, annotation: &str, variable: &str| {
            let annotate = match account {
                Some(ServiceAccount { namespace, name }) => {
                    format!("annotate ServiceAccount {namespace}/{name} with {annotation}")
                }
                None => format!("set {variable}"),
            };
            Problem::new(
                Kind::Auth,
                Code::AzureIdentityIncomplete,
                Class::Local,
                format!("azure workload identity is not complete: no {what} is given"),
                format!(
                    "set {field} in the TriggerAuthentication, or {annotate} (Azure's webhook makes {variable} of it)"
                ),
            )
        };
        let annotations = match account {
            Some(account) if key.client.is_none() || key.tenant.is_none() => {
                self.annotations(account).await?
            }
            _ => Default::default(),
        };
        let annotated =
            |name: &str| annotations.get(name).map(|text| text.trim().to_owned()).filter(|id| !id.is_empty());
        let client = key.client.clone().or_else(|| annotated(CLIENT_ID));
        let client =
            client.ok_or_else(|| incomplete("client id", "identityId", CLIENT_ID, "AZURE_CLIENT_ID"))?;
        let tenant = key.tenant.clone().or_else(|| annotated(TENANT_ID));
        let tenant = tenant.or_else(|| self.settings.tenant_id.clone());
        let tenant = tenant
            .ok_or_else(|| incomplete("tenant id", "identityTenantId", TENANT_ID, "AZURE_TENANT_ID"))?;
        for (what, id, code) in
            [("client", &client, Code::AzureWrongClient), ("tenant", &tenant, Code::AzureWrongTenant)]
        {
            if !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
                let text = format!("{id:?} is no {what} id: letters, digits, '-', '.' and '_' are allowed");
                return Err(Problem::new(Kind::Auth, code, Class::Wrong, text, ""));
            }
        }
        Ok((client, tenant))
    }

    async fn annotations(&self, account: &ServiceAccount) -> Result<BTreeMap<String, String>, Problem> {
        let ServiceAccount { namespace, name } = account;
        let unreadable = |why: String, temporary: bool| {
            let (kind, class) = match temporary {
                true => (Kind::Unreachable, Class::Temporary { wait: None }),
                false => (Kind::Auth, Class::Local),
            };
            let text = format!("cannot read the annotations of ServiceAccount {namespace}/{name}: {why}");
            let advice = "or set identityId and identityTenantId in the TriggerAuthentication";
            Problem::new(kind, Code::AzureServiceAccountToken, class, text, advice)
        };
        let found = self.reader.service_account(namespace, name).await;
        let found = found.map_err(|error| unreadable(error.message, error.temporary))?;
        found.ok_or_else(|| unreadable("it does not exist".to_owned(), false))
    }

    /// The federated token: the mounted one, else one that the API server makes.
    async fn assertion(&self, key: &Key, account: Option<&ServiceAccount>) -> Result<Assertion, Problem> {
        if let (Subject::Operator, Some(file)) = (&key.subject, &self.settings.token_file) {
            return subject::from_file(file, self.clock.now());
        }
        let Some(account) = account else {
            return Err(Problem::new(
                Kind::Auth,
                Code::AzureIdentityIncomplete,
                Class::Local,
                "azure workload identity is not complete: AZURE_FEDERATED_TOKEN_FILE is not set, and the operator does not run \
                 as a ServiceAccount",
                "run it in a pod, or set AZURE_FEDERATED_TOKEN_FILE",
            ));
        };
        let audience = azure::exchange_audience(&key.authority);
        subject::from_api_server(account, audience, self.reader.as_ref()).await
    }

    /// Keeps what a flight came to. A token in hand outlives every failure.
    fn settle(&self, entry: &Entry, result: Result<Issued, Problem>) {
        let now = Instant::now();
        let mut state = lock(&entry.state);
        match result {
            Ok(issued) => {
                let renew_at = self.renewal(&issued, now, &entry.key);
                state.held = Some(Held { token: issued.token, renew_at });
                state.failure = None;
                state.first_met.clear();
                tracing::debug!(
                    logger = "azure_identity",
                    authority = entry.key.authority,
                    scope = entry.key.scope,
                    lifetime = ?issued.lifetime,
                    "new token"
                );
            }
            Err(problem) => {
                let tries = state.failure.take().map_or(0, |before| before.tries.saturating_add(1));
                let since = *state.first_met.entry(problem.code).or_insert(now);
                let wait = self.pause(&problem, now.duration_since(since), tries, &entry.key);
                let failure = Failure { problem, since, tries, next_try: now + wait };
                if state.valid(now).is_some() {
                    tracing::warn!(
                        logger = "azure_identity",
                        error = %failure.error(now),
                        next_try = ?wait,
                        "a token could not be renewed, the old one is used until it expires"
                    );
                }
                state.failure = Some(failure);
            }
        }
    }

    /// When a token is renewed: where the login host wishes, else some time before it expires, and never in step with others.
    fn renewal(&self, issued: &Issued, now: Instant, key: &Key) -> Instant {
        let lifetime = issued.lifetime;
        let early = EARLY.min(lifetime / 3);
        let wished = issued.refresh_in.filter(|wished| *wished < lifetime);
        let from = wished.unwrap_or(lifetime - early).min(lifetime - early);
        now + from + early.mul_f64(self.fraction(key, 0) / 3.0)
    }

    /// How long until the next try.
    fn pause(&self, problem: &Problem, lasted: Duration, tries: u32, key: &Key) -> Duration {
        let (first, longest) = match problem.class {
            Class::Propagation if lasted < PROPAGATION => (5, 30),
            Class::Propagation | Class::Wrong => (10, 60),
            Class::Temporary { .. } => (2, 30),
            Class::Local => (5, 15),
        };
        let pause = Duration::from_secs(first)
            .saturating_mul(2_u32.saturating_pow(tries))
            .min(Duration::from_secs(longest));
        let asked = match problem.class {
            Class::Temporary { wait } => wait.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        self.jittered(pause.max(asked), key, tries)
    }

    /// Up to a fifth more, differently for each key, try and process.
    fn jittered(&self, wait: Duration, key: &Key, tries: u32) -> Duration {
        wait + wait.mul_f64(0.2 * self.fraction(key, tries))
    }

    /// A number in 0..1.
    fn fraction(&self, key: &Key, salt: u32) -> f64 {
        let hash = self.random.hash_one((key, salt));
        f64::from(u32::try_from(hash >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}

/// Ends a flight however it ends, a panic included.
struct Landing {
    entry: Arc<Entry>,
    /// Whoever waits is woken when this is dropped.
    _open: watch::Sender<()>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.entry.state).flight = None;
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("settings", &self.shared.settings)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
