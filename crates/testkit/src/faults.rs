//! Faults on demand: errors, delays, broken watches, lost history.
//!
//! A test hands out faults ("the next two status patches answer 409") or turns on random ones with a seed that
//! replays. Rules are tried in the order they were given; the first that matches answers the request instead of the
//! server. Nothing here touches stored objects.

use std::{fmt, sync::Mutex, time::Duration};

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
    random: Random,
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

    /// Random faults. The same seed and the same order of requests give the same faults.
    pub fn random(&self, seed: u64, rates: Rates) {
        let mut state = lock(&self.state);
        state.random = Random::new(seed);
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
        let mut delay = state.latency;
        let rates = state.rates;
        if !rates.latency.is_zero() {
            delay += rates.latency.mul_f64(state.random.fraction());
        }
        let hit = state.rules.iter_mut().find(|rule| rule.left > 0 && (rule.matches)(request));
        if let Some(rule) = hit {
            rule.left = if rule.left == usize::MAX { usize::MAX } else { rule.left - 1 };
            let fault = Some(rule.fault.clone());
            state.rules.retain(|rule| rule.left > 0);
            return Verdict { delay, fault };
        }
        let fault = state.random_fault(request);
        Verdict { delay, fault }
    }

    /// Whether a watch ends after the event it just sent.
    pub(crate) fn drops_watch(&self) -> bool {
        let mut state = lock(&self.state);
        let rate = state.rates.drop_watch;
        state.random.happens(rate)
    }

    /// Whether a new watch finds its history gone.
    pub(crate) fn expires_watch(&self) -> bool {
        let mut state = lock(&self.state);
        let rate = state.rates.expire;
        state.random.happens(rate)
    }
}

impl State {
    fn random_fault(&mut self, request: &Recorded) -> Option<Fault> {
        let rates = self.rates;
        if self.random.happens(rates.disconnect) {
            Some(Fault::Disconnect)
        } else if request.is_write() && self.random.happens(rates.conflict) {
            Some(Fault::Conflict)
        } else if self.random.happens(rates.too_many_requests) {
            Some(Fault::TooManyRequests { retry_after: 1 })
        } else if self.random.happens(rates.internal) {
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
