//! What a source says by itself, and how it is heard again after it was lost.
//!
//! A stream is kept for as long as its object is polled. It is opened again at growing intervals, each a quarter more or
//! less, so that a thousand streams of one server do not come back at once; a stream that was well for a while, or that the server ended in
//! good order, begins with the shortest again. (Upstream keeps the grown interval after any error: core.md 11.36.)

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Kind, Metric};

/// The first rest before a stream is opened again; it doubles up to [`LONGEST_REST`]. Upstream's are 2 and 60 seconds.
const FIRST_REST: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_REST: Duration = Duration::from_secs(60);
/// A stream that lasted this long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Something that a source said by itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// There is work, now.
    Active,
    /// From now on there are these metrics.
    Metrics(Vec<Metric>),
    /// It cannot be heard, for this reason; it is tried again.
    Lost(Error),
}

/// Takes signals. Cheap to clone.
#[derive(Clone)]
pub struct Signals {
    tell: Arc<dyn Fn(Signal) + Send + Sync>,
}

impl Signals {
    /// Signals go to `tell`, which must not block.
    pub fn new(tell: impl Fn(Signal) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell) }
    }

    /// Passes one on.
    pub fn tell(&self, signal: Signal) {
        (self.tell)(signal);
    }

    /// Opens a stream again and again. `stream` runs one from its opening to its end, and is an error where that was not a good
    /// one. Returns when the source has no such stream ([`Kind::Unsupported`]): that does not change by asking.
    pub async fn keep<F>(&self, mut stream: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), Error>>,
    {
        let mut rest = FIRST_REST;
        loop {
            let opened = Instant::now();
            let ended = stream().await;
            let was_well = opened.elapsed() >= WELL_AFTER;
            if was_well || ended.is_ok() {
                rest = FIRST_REST;
            }
            match ended {
                Ok(()) => {}
                Err(error) if error.kind == Kind::Unsupported => return,
                // A scaler that is replaced by its next version breaks its streams: that is news only if it does not come back.
                Err(error) if was_well => {
                    tracing::debug!(error = %error, "a stream broke, it is opened again");
                }
                Err(error) => self.tell(Signal::Lost(error)),
            }
            tokio::time::sleep(rest.mul_f64(0.75 + 0.5 * random())).await;
            rest = (rest * 2).min(LONGEST_REST);
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

/// A number in 0..1 that differs from call to call: each `RandomState` has keys of its own.
fn random() -> f64 {
    // The upper 32 bits are exact in an f64.
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Runs streams that last `seconds` each and end as told; the rests between them, in seconds.
    async fn rests(streams: &[(u64, Result<(), Error>)]) -> Vec<f64> {
        let lost = Arc::new(std::sync::Mutex::new(0));
        let count = lost.clone();
        let signals = Signals::new(move |_| *count.lock().unwrap() += 1);
        let ended: RefCell<Option<Instant>> = RefCell::default();
        let rests: RefCell<Vec<f64>> = RefCell::default();
        let mut all = streams.iter();
        let keeping = signals.keep(|| {
            if let Some(ended) = ended.borrow_mut().take() {
                rests.borrow_mut().push(ended.elapsed().as_secs_f64());
            }
            let next = all.next().cloned();
            let ended = &ended;
            async move {
                let Some((seconds, result)) = next else {
                    return Err(Error::unsupported("the end"));
                };
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                *ended.borrow_mut() = Some(Instant::now());
                result
            }
        });
        keeping.await;
        let bad = streams.iter().filter(|(seconds, result)| result.is_err() && *seconds < 10).count();
        assert_eq!(*lost.lock().unwrap(), bad, "what does not come back is told, and nothing else");
        rests.into_inner()
    }

    fn near(rest: f64, wanted: f64) -> bool {
        (wanted * 0.75..=wanted * 1.25 + 0.002).contains(&rest)
    }

    #[tokio::test(start_paused = true)]
    async fn rests_grow_to_a_minute() {
        let streams = vec![(0, Err(Error::answer("no"))); 9];
        let rests = rests(&streams).await;
        for (rest, wanted) in rests.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!(near(*rest, wanted), "{rests:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn health_and_a_good_end_begin_anew_core_11_36() {
        let no = || Err(Error::answer("no"));
        let streams = [(0, no()), (0, no()), (0, no()), (600, no()), (0, no()), (0, no()), (0, Ok(()))];
        let rests = rests(&streams).await;
        for (rest, wanted) in rests.iter().zip([1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0]) {
            assert!(near(*rest, wanted), "{rests:?}");
        }
    }

    #[test]
    fn rests_differ() {
        let some: std::collections::BTreeSet<u64> = (0..100).map(|_| (random() * 1e6) as u64).collect();
        assert!(some.len() > 90 && some.iter().all(|number| *number <= 1_000_000));
    }
}
