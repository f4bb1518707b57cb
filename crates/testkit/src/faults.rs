//! Faults on demand: errors, delays, broken watches, lost history.
//!
//! A test hands out faults ("the next two status patches answer 409") or turns on random ones with a seed that
//! replays. Rules are tried in the order they were given; the first that matches answers the request instead of the
//! server. Nothing here touches stored objects.
//!
//! Random faults are drawn from the seed, the user, what the request does, and how often it was done before. The n-th
//! patch of an object by a user thus meets the same fate in each run, however clients with random backoff interleave.

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
    time::Duration,
};

use crate::{record::Recorded, refusal::Refusal, sync::lock};

/// What a request gets instead of its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 409, the optimistic lock failed.
    Conflict,
    /// 429 with `Retry-After`, in seconds.
    TooManyRequests {
        /// Seconds.
        retry_after: u32,
    },
    /// 500.
    Internal,
    /// 503.
    Unavailable,
    /// 504 after this long without an answer.
    Timeout(Duration),
    /// The connection breaks: no HTTP answer at all.
    Disconnect,
    /// The request is carried out, and the connection breaks before its answer arrives.
    LostAnswer,
    /// Any other answer.
    Refuse(Refusal),
}

/// Rates of random faults, each between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Writes that answer 409.
    pub conflict: f64,
    /// Requests that answer 429.
    pub too_many_requests: f64,
    /// Requests that answer 500.
    pub internal: f64,
    /// Requests whose connection breaks before they are carried out.
    pub disconnect: f64,
    /// Watch events after which the watch ends.
    pub drop_watch: f64,
    /// Watches that are answered with 410.
    pub expire: f64,
    /// Longest random delay before a request is carried out.
    pub latency: Duration,
}

type Predicate = Box<dyn Fn(&Recorded) -> bool + Send>;

struct Rule {
    left: usize,
    matches: Predicate,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    latency: Duration,
    rates: Rates,
    seed: u64,
    /// How often each thing was done, by the hash of what it is.
    done: HashMap<u64, u64>,
}

/// The faults of one server.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Faults")
            .field("rules", &state.rules.len())
            .field("latency", &state.latency)
            .field("rates", &state.rates)
            .finish()
    }
}

/// What happens to one request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Faults {
    /// The next `count` requests that match get `fault`.
    pub fn next(&self, count: usize, matches: impl Fn(&Recorded) -> bool + Send + 'static, fault: Fault) {
        lock(&self.state).rules.push(Rule { left: count, matches: Box::new(matches), fault });
    }

    /// Every request that matches gets `fault`, until [`clear`](Self::clear).
    pub fn every(&self, matches: impl Fn(&Recorded) -> bool + Send + 'static, fault: Fault) {
        self.next(usize::MAX, matches, fault);
    }

    /// How long every request waits before it is carried out.
    pub fn latency(&self, latency: Duration) {
        lock(&self.state).latency = latency;
    }

    /// Random faults; the same seed gives the same faults to the same doings.
    pub fn random(&self, seed: u64, rates: Rates) {
        let mut state = lock(&self.state);
        state.seed = seed;
        state.done.clear();
        state.rates = rates;
    }

    /// No more faults of any kind.
    pub fn clear(&self) {
        *lock(&self.state) = State::default();
    }

    /// How many requests the rules given so far will still refuse; `usize::MAX` with one of [`every`](Self::every).
    #[must_use]
    pub fn pending(&self) -> usize {
        lock(&self.state).rules.iter().fold(0, |sum, rule| sum.saturating_add(rule.left))
    }

    pub(crate) fn judge(&self, request: &Recorded) -> Verdict {
        let mut state = lock(&self.state);
        let rates = state.rates;
        let mut random = state.draw(&(&request.user, request.verb, &request.path));
        let mut delay = state.latency;
        if !rates.latency.is_zero() {
            delay += rates.latency.mul_f64(random.fraction());
        }
        let hit = state.rules.iter_mut().find(|rule| rule.left > 0 && (rule.matches)(request));
        if let Some(rule) = hit {
            rule.left = if rule.left == usize::MAX { usize::MAX } else { rule.left - 1 };
            let fault = Some(rule.fault.clone());
            state.rules.retain(|rule| rule.left > 0);
            return Verdict { delay, fault };
        }
        Verdict { delay, fault: rates.fault(&mut random, request.is_write()) }
    }

    /// Whether a watch ends after the event it just sent.
    pub(crate) fn drops_watch(&self, watch: &str) -> bool {
        let mut state = lock(&self.state);
        let rate = state.rates.drop_watch;
        state.draw(&("drop", watch)).happens(rate)
    }

    /// Whether a new watch finds its history gone.
    pub(crate) fn expires_watch(&self, watch: &str) -> bool {
        let mut state = lock(&self.state);
        let rate = state.rates.expire;
        state.draw(&("expire", watch)).happens(rate)
    }
}

impl State {
    /// The dice of one doing.
    fn draw(&mut self, what: &impl Hash) -> Random {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        what.hash(&mut hasher);
        let what = hasher.finish();
        let times = self.done.entry(what).or_default();
        *times += 1;
        Random::new(what.wrapping_add(times.wrapping_mul(0xD129_0D3B_3A9C_8E15)))
    }
}

impl Rates {
    fn fault(&self, random: &mut Random, is_write: bool) -> Option<Fault> {
        if random.happens(self.disconnect) {
            Some(Fault::Disconnect)
        } else if is_write && random.happens(self.conflict) {
            Some(Fault::Conflict)
        } else if random.happens(self.too_many_requests) {
            Some(Fault::TooManyRequests { retry_after: 1 })
        } else if random.happens(self.internal) {
            Some(Fault::Internal)
        } else {
            None
        }
    }
}

/// splitmix64: small, seedable, and the same on every machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// Between 0 (included) and 1 (excluded).
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn happens(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.fraction() < rate
    }
}
