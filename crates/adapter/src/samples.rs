//! The last good answer for each metric, for the time when the operator is away.
//!
//! Writers: requests, after each answer of the operator. A good answer replaces the one before; an error of the operator removes it, so
//! that what the operator said last is never masked by what it said before. Bounded by number and by age.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use keda_telemetry::metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::user::put;

const SHARDS: usize = 16;
/// How often what is too old is thrown away.
const SWEEP: Duration = Duration::from_secs(30);

/// Names of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Of<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) object: &'a str,
    pub(crate) metric: &'a str,
}

impl Of<'_> {
    fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(24 + self.namespace.len() + self.object.len() + self.metric.len());
        [self.namespace, self.object, self.metric].iter().for_each(|text| put(&mut key, text));
        key
    }
}

type Shard = HashMap<Box<[u8]>, Sample>;

struct Sample {
    of: (Box<str>, Box<str>, Box<str>),
    body: Bytes,
    taken: Instant,
    /// Was answered while the operator was away, and its age is on show.
    shown: bool,
}

pub(crate) struct Samples {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    per_shard: usize,
    age: Duration,
    metrics: Arc<metrics::Adapter>,
}

impl Samples {
    /// At most `capacity`, none older than `age`.
    pub(crate) fn new(capacity: usize, age: Duration, metrics: Arc<metrics::Adapter>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            per_shard: capacity.div_ceil(SHARDS),
            age,
            metrics,
        }
    }

    /// The operator's answer.
    pub(crate) fn keep(&self, of: Of<'_>, body: &Bytes) {
        if self.age.is_zero() || self.per_shard == 0 {
            return;
        }
        let key = of.key();
        let mut shard = self.shard(&key);
        if let Some(sample) = shard.get_mut(key.as_slice()) {
            sample.body = body.clone();
            sample.taken = Instant::now();
            if std::mem::take(&mut sample.shown) {
                self.metrics.fresh(of.namespace, of.object, of.metric);
            }
            return;
        }
        if shard.len() >= self.per_shard {
            self.drop_old(&mut shard);
        }
        if shard.len() >= self.per_shard
            && let Some(any) = shard.keys().next().cloned()
            && let Some(dropped) = shard.remove(&any)
        {
            self.forgotten(&dropped);
        }
        let names = (of.namespace.into(), of.object.into(), of.metric.into());
        let sample = Sample { of: names, body: body.clone(), taken: Instant::now(), shown: false };
        shard.insert(key.into(), sample);
    }

    /// The operator said that there is no good answer.
    pub(crate) fn forget(&self, of: Of<'_>) {
        let key = of.key();
        if let Some(sample) = self.shard(&key).remove(key.as_slice()) {
            self.forgotten(&sample);
        }
    }

    /// The last good answer, when it is young enough. It counts as answered.
    pub(crate) fn answer(&self, of: Of<'_>) -> Option<Bytes> {
        let key = of.key();
        let mut shard = self.shard(&key);
        let sample = shard.get_mut(key.as_slice())?;
        let age = sample.taken.elapsed();
        if age > self.age {
            return None;
        }
        sample.shown = true;
        self.metrics.stale(of.namespace, of.object, of.metric, age.as_secs_f64());
        Some(sample.body.clone())
    }

    /// Whether [`Samples::answer`] would have one.
    pub(crate) fn has(&self, of: Of<'_>) -> bool {
        let key = of.key();
        self.shard(&key).get(key.as_slice()).is_some_and(|sample| sample.taken.elapsed() <= self.age)
    }

    /// Throws away what is too old, until `shutdown`.
    pub(crate) async fn sweep(&self, shutdown: &CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
            for shard in &self.shards {
                self.drop_old(&mut shard.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    fn drop_old(&self, shard: &mut Shard) {
        shard.retain(|_, sample| {
            let young = sample.taken.elapsed() <= self.age;
            if !young {
                self.forgotten(sample);
            }
            young
        });
    }

    fn forgotten(&self, sample: &Sample) {
        if sample.shown {
            let (namespace, object, metric) = &sample.of;
            self.metrics.fresh(namespace, object, metric);
        }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use keda_telemetry::metrics::Registry;
    use tokio::time::{advance, sleep};

    use super::*;

    const AGE: Duration = Duration::from_secs(300);
    const AGES: &str = "keda_adapter_answer_age_seconds";

    fn of(metric: &str) -> Of<'_> {
        Of { namespace: "ns", object: "so", metric }
    }

    fn samples(capacity: usize) -> (Samples, Registry) {
        let registry = Registry::new();
        (Samples::new(capacity, AGE, Arc::new(metrics::Adapter::new(&registry))), registry)
    }

    #[tokio::test(start_paused = true)]
    async fn answers_until_too_old() {
        let (samples, registry) = samples(10);
        assert_eq!(samples.answer(of("m")), None);
        samples.keep(of("m"), &Bytes::from_static(b"1"));
        advance(AGE).await;
        assert_eq!(samples.answer(of("m")), Some(Bytes::from_static(b"1")));
        assert!(
            registry
                .render()
                .contains(&format!("{AGES}{{namespace=\"ns\",metric=\"m\",scaledObject=\"so\"}} 300\n"))
        );
        advance(Duration::from_secs(1)).await;
        assert_eq!(samples.answer(of("m")), None);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::join!(samples.sweep(&shutdown), async {
            sleep(SWEEP * 2).await;
            stop.cancel();
        });
        assert!(!registry.render().contains(AGES), "nobody is answered with it any more");
    }

    #[tokio::test(start_paused = true)]
    async fn the_operators_last_word_counts() {
        let (samples, registry) = samples(10);
        samples.keep(of("m"), &Bytes::from_static(b"1"));
        samples.answer(of("m")).unwrap();
        samples.keep(of("m"), &Bytes::from_static(b"2"));
        assert!(!registry.render().contains(AGES));
        assert_eq!(samples.answer(of("m")), Some(Bytes::from_static(b"2")));
        samples.forget(of("m"));
        assert!(!samples.has(of("m")));
        assert!(!registry.render().contains(AGES));
    }

    #[tokio::test(start_paused = true)]
    async fn bounded() {
        let (samples, _) = samples(32);
        for i in 0..1000 {
            samples.keep(of(&i.to_string()), &Bytes::new());
        }
        let kept: usize = samples.shards.iter().map(|s| s.lock().unwrap().len()).sum();
        assert!(kept <= 32, "{kept}");
    }
}
