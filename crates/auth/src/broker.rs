//! Who waits for which credential, when it is renewed, and what a failure means for the next try.
//!
//! For each key there is one entry. A grant in hand (a token, temporary credentials) is given out until it expires, whatever
//! happens to its renewal, which begins well before. A flight (one way to a new grant, with a few quick tries) is a task of
//! its own: callers wait for it as long as they like, and it goes on when they are gone. After a failed flight the same
//! answer is given until the next try is due, so that neither a thousand triggers nor one impatient one asks a login host
//! more often than that.
//!
//! What a cloud adds is its [`Flow`]: what tells grants apart, and the one way to a new one.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keda_scaler::identity::Token;
use keda_scaler::{Code, Error};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::problem::{Class, PROPAGATION, Problem};

/// A grant is renewed this long before it expires, or at two thirds of its life, whichever is later.
const EARLY: Duration = Duration::from_secs(900);

/// A refused grant is renewed for that at most this often.
const FORCED: Duration = Duration::from_secs(300);

/// What nobody asked for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(2 * 3600);

/// Quick tries within one flight, on trouble that may be over at once.
const QUICK_TRIES: u32 = 4;
const QUICK_WAIT: Duration = Duration::from_millis(200);

/// What a broker gives out.
pub(crate) trait Grant: Clone + Send + Sync + 'static {
    /// When it stops being valid.
    fn expires(&self) -> Instant;

    /// Whether the other one is this one.
    fn is(&self, other: &Self) -> bool;
}

impl Grant for Token {
    fn expires(&self) -> Instant {
        self.expires()
    }

    fn is(&self, other: &Self) -> bool {
        self.secret() == other.secret()
    }
}

/// A grant as it was issued.
pub(crate) struct Issued<G> {
    pub(crate) grant: G,
    /// How long it is valid.
    pub(crate) lifetime: Duration,
    /// When the issuer wishes it to be renewed.
    pub(crate) refresh_in: Option<Duration>,
}

/// One kind of credential: what tells two of them apart, and how one is come by.
pub(crate) trait Flow: Send + Sync + 'static {
    /// What tells grants apart. It may hold secrets and is never printed.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// What is given out.
    type Grant: Grant;
    /// The name of the log's lines.
    const LOGGER: &'static str;

    /// One way to a new grant, once.
    fn acquire(&self, key: &Self::Key) -> impl Future<Output = Result<Issued<Self::Grant>, Problem>> + Send;

    /// What a key is about, for the log: whom is asked, for what. No secret.
    fn describe(key: &Self::Key) -> String;

    /// A flight ended without a result: its task was dropped with the runtime.
    fn given_up(key: &Self::Key) -> Error;
}

/// The grants of one flow. Cheap to clone; clones share everything.
pub(crate) struct Broker<F: Flow> {
    shared: Arc<Shared<F>>,
}

impl<F: Flow> Clone for Broker<F> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<F: Flow> {
    flow: F,
    entries: Mutex<HashMap<F::Key, Arc<Entry<F>>>>,
    random: RandomState,
    given: AtomicU64,
}

struct Entry<F: Flow> {
    key: F::Key,
    state: Mutex<State<F::Grant>>,
}

struct State<G> {
    held: Option<Held<G>>,
    /// Open while a flight is under way; ends with it.
    flight: Option<watch::Receiver<()>>,
    failure: Option<Failure>,
    /// When each kind of failure was first met since the last grant: other trouble in between does not restart its time.
    first_met: BTreeMap<Code, Instant>,
    /// When a grant was last renewed because a source refused it.
    forced: Option<Instant>,
    used: Instant,
}

struct Held<G> {
    grant: G,
    renew_at: Instant,
}

struct Failure {
    problem: Problem,
    /// Since when it fails like this.
    since: Instant,
    tries: u32,
    next_try: Instant,
}

impl<F: Flow> Broker<F> {
    /// A broker that has nothing yet.
    pub(crate) fn new(flow: F) -> Self {
        Self {
            shared: Arc::new(Shared {
                flow,
                entries: Mutex::default(),
                random: RandomState::new(),
                given: AtomicU64::new(0),
            }),
        }
    }

    /// The flow.
    pub(crate) fn flow(&self) -> &F {
        &self.shared.flow
    }

    /// Calls of [`Broker::get`] since the start.
    pub(crate) fn given(&self) -> u64 {
        self.shared.given.load(Ordering::Relaxed)
    }

    /// A valid grant, from memory or asked for now.
    ///
    /// # Errors
    /// There is none, and why.
    pub(crate) async fn get(&self, key: F::Key) -> Result<F::Grant, Error> {
        self.shared.given.fetch_add(1, Ordering::Relaxed);
        let entry = self.entry(key);
        let flight = {
            let now = Instant::now();
            let mut state = lock(&entry.state);
            state.used = now;
            if let Some(grant) = state.valid(now) {
                let due = state.held.as_ref().is_some_and(|held| now >= held.renew_at);
                if due && state.may_try(now) {
                    self.shared.begin(&entry, &mut state);
                }
                return Ok(grant);
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
            (Some(grant), _) => Ok(grant),
            (None, Some(failure)) => Err(failure.error(now)),
            (None, None) => Err(F::given_up(&entry.key)),
        }
    }

    /// A newer grant in place of one that a source refused; `None` where it was renewed for that a short while ago.
    ///
    /// # Errors
    /// As [`Broker::get`].
    pub(crate) async fn renew(&self, key: F::Key, refused: &F::Grant) -> Result<Option<F::Grant>, Error> {
        let entry = self.entry(key);
        let newer = |state: &State<F::Grant>, now| state.valid(now).filter(|grant| !grant.is(refused));
        let flight = {
            let now = Instant::now();
            let mut state = lock(&entry.state);
            if let Some(grant) = newer(&state, now) {
                return Ok(Some(grant));
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
            (Some(grant), _) => Ok(Some(grant)),
            // The refused grant is still the only one: the source's refusal says more than why there is no other.
            (None, Some(_)) if state.valid(now).is_some() => Ok(None),
            (None, Some(failure)) => Err(failure.error(now)),
            (None, None) => Ok(None),
        }
    }

    fn entry(&self, key: F::Key) -> Arc<Entry<F>> {
        let mut entries = lock(&self.shared.entries);
        if let Some(entry) = entries.get(&key) {
            return entry.clone();
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
        entry
    }
}

impl<G: Grant> State<G> {
    fn valid(&self, now: Instant) -> Option<G> {
        self.held.as_ref().filter(|held| now < held.grant.expires()).map(|held| held.grant.clone())
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

impl<F: Flow> Shared<F> {
    /// The flight that is under way, or one that begins now.
    fn begin(self: &Arc<Self>, entry: &Arc<Entry<F>>, state: &mut State<F::Grant>) -> watch::Receiver<()> {
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

    /// One way to a new grant; trouble that may be over at once is tried again quickly, a few times.
    async fn fly(&self, key: &F::Key) -> Result<Issued<F::Grant>, Problem> {
        let mut tries = 1;
        loop {
            let result = self.flow.acquire(key).await;
            match &result {
                Err(Problem { class: Class::Temporary { wait: None }, .. }) if tries < QUICK_TRIES => {
                    tokio::time::sleep(self.jittered(QUICK_WAIT * 2_u32.pow(tries - 1), key, tries)).await;
                    tries += 1;
                }
                _ => return result,
            }
        }
    }

    /// Keeps what a flight came to. A grant in hand outlives every failure.
    fn settle(&self, entry: &Entry<F>, result: Result<Issued<F::Grant>, Problem>) {
        let now = Instant::now();
        let mut state = lock(&entry.state);
        match result {
            Ok(issued) => {
                let renew_at = self.renewal(&issued, now, &entry.key);
                state.held = Some(Held { grant: issued.grant, renew_at });
                state.failure = None;
                state.first_met.clear();
                tracing::debug!(
                    logger = F::LOGGER,
                    of = F::describe(&entry.key),
                    lifetime = ?issued.lifetime,
                    "new credentials"
                );
            }
            Err(problem) => {
                let tries = state.failure.take().map_or(0, |before| before.tries.saturating_add(1));
                let since = *state.first_met.entry(problem.code).or_insert(now);
                let wait = self.pause(&problem, now.duration_since(since), tries, &entry.key);
                let failure = Failure { problem, since, tries, next_try: now + wait };
                if state.valid(now).is_some() {
                    tracing::warn!(
                        logger = F::LOGGER,
                        of = F::describe(&entry.key),
                        error = %failure.error(now),
                        next_try = ?wait,
                        "credentials could not be renewed, the old ones are used until they expire"
                    );
                }
                state.failure = Some(failure);
            }
        }
    }

    /// When a grant is renewed: where its issuer wishes, else some time before it expires, and never in step with others.
    fn renewal(&self, issued: &Issued<F::Grant>, now: Instant, key: &F::Key) -> Instant {
        let lifetime = issued.lifetime;
        let early = EARLY.min(lifetime / 3);
        let wished = issued.refresh_in.filter(|wished| *wished < lifetime);
        let from = wished.unwrap_or(lifetime - early).min(lifetime - early);
        now + from + early.mul_f64(self.fraction(key, 0) / 3.0)
    }

    /// How long until the next try.
    fn pause(&self, problem: &Problem, lasted: Duration, tries: u32, key: &F::Key) -> Duration {
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
    fn jittered(&self, wait: Duration, key: &F::Key, tries: u32) -> Duration {
        wait + wait.mul_f64(0.2 * self.fraction(key, tries))
    }

    /// A number in 0..1.
    fn fraction(&self, key: &F::Key, salt: u32) -> f64 {
        let hash = self.random.hash_one((key, salt));
        f64::from(u32::try_from(hash >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}

/// Ends a flight however it ends, a panic included.
struct Landing<F: Flow> {
    entry: Arc<Entry<F>>,
    /// Whoever waits is woken when this is dropped.
    _open: watch::Sender<()>,
}

impl<F: Flow> Drop for Landing<F> {
    fn drop(&mut self) {
        lock(&self.entry.state).flight = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
