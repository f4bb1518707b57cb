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
use keda_scaler::identity::{ServiceAccount, Token, TokenRequest, Tokens};
use keda_scaler::kube::Reader;
use keda_scaler::{Clock, Code, Error, Kind};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Settings;
use super::exchange::Issued;
use super::problem::{Class, PROPAGATION, Problem};
use super::subject::Claims;

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

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) clock: Clock,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    random: RandomState,
    given: AtomicU64,
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
