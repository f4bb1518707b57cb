//! Answers of the API server about who may do what, kept for a short time.
//!
//! One question is asked once however many wait for it. A failure to ask is told to those who waited, and kept for nobody. The number of
//! answers is bounded; when it is reached, what has expired goes first and then whatever is met first. Shards keep the locks short.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

const SHARDS: usize = 16;

/// Answers of type `V` by question. Questions are bytes, compared whole: two that differ never share an answer.
pub(crate) struct Cache<V> {
    shards: Vec<Mutex<Shard<V>>>,
    hasher: RandomState,
    per_shard: usize,
}

type Shard<V> = HashMap<Box<[u8]>, Slot<V>>;

enum Slot<V> {
    Known { value: V, until: Instant },
    Asking(Arc<OnceCell<Answered<V>>>),
}

/// An answer and how long it holds, or why there is none.
pub(crate) type Answered<V> = Result<(V, Duration), String>;

impl<V: Clone> Cache<V> {
    /// At most `capacity` answers.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            per_shard: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// The answer that is known, or that `ask` gives.
    pub(crate) async fn get(
        &self,
        question: &[u8],
        ask: impl Future<Output = Answered<V>>,
    ) -> Result<V, String> {
        let cell = {
            let mut shard = self.shard(question);
            match shard.get(question) {
                Some(Slot::Known { value, until }) if Instant::now() < *until => return Ok(value.clone()),
                Some(Slot::Asking(cell)) => cell.clone(),
                Some(Slot::Known { .. }) | None => {
                    let cell = Arc::new(OnceCell::new());
                    self.insert(&mut shard, question, Slot::Asking(cell.clone()));
                    cell
                }
            }
        };
        // When the one who asks goes away, the next who waits asks again.
        let answered = cell.get_or_init(|| ask).await.clone();
        let mut shard = self.shard(question);
        let ours = matches!(shard.get(question), Some(Slot::Asking(now)) if Arc::ptr_eq(now, &cell));
        match answered {
            Ok((value, holds)) => {
                if ours {
                    let until = Instant::now() + holds;
                    self.insert(&mut shard, question, Slot::Known { value: value.clone(), until });
                }
                Ok(value)
            }
            Err(reason) => {
                if ours {
                    shard.remove(question);
                }
                Err(reason)
            }
        }
    }

    fn insert(&self, shard: &mut Shard<V>, question: &[u8], slot: Slot<V>) {
        if let Some(old) = shard.get_mut(question) {
            *old = slot;
            return;
        }
        if shard.len() >= self.per_shard {
            let now = Instant::now();
            shard.retain(|_, slot| !matches!(slot, Slot::Known { until, .. } if *until <= now));
        }
        if shard.len() >= self.per_shard
            && let Some(any) = shard.keys().next().cloned()
        {
            shard.remove(&any);
        }
        shard.insert(question.into(), slot);
    }

    fn shard(&self, question: &[u8]) -> MutexGuard<'_, Shard<V>> {
        let at = usize::try_from(self.hasher.hash_one(question) % SHARDS as u64).unwrap_or(0);
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Questions may be credentials.
        f.write_str("Cache(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    const HOLDS: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn one_question_is_asked_once() {
        let cache = Cache::new(100);
        let asked = AtomicUsize::new(0);
        let ask = || async {
            sleep(Duration::from_millis(5)).await;
            Ok((asked.fetch_add(1, Ordering::Relaxed), HOLDS))
        };
        let answers = join_all((0..50).map(|_| cache.get(b"q", ask()))).await;
        assert!(answers.iter().all(|a| *a == Ok(0)), "{answers:?}");
        advance(HOLDS - Duration::from_millis(1)).await;
        assert_eq!(cache.get(b"q", ask()).await, Ok(0));
        advance(Duration::from_millis(2)).await;
        assert_eq!(cache.get(b"q", ask()).await, Ok(1));
        assert_eq!(cache.get(b"other", ask()).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_reach_those_who_wait_and_nobody_later() {
        let cache = Cache::new(100);
        let asked = AtomicUsize::new(0);
        let fail = || async {
            sleep(Duration::from_millis(5)).await;
            asked.fetch_add(1, Ordering::Relaxed);
            Err::<((), Duration), _>("down".to_owned())
        };
        let answers = join_all((0..10).map(|_| cache.get(b"q", fail()))).await;
        assert!(answers.iter().all(|a| *a == Err("down".to_owned())));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(cache.get(b"q", async { Ok(((), HOLDS)) }).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_does_not_take_the_answer_along() {
        let cache = Arc::new(Cache::new(100));
        let (first, second) = (cache.clone(), cache.clone());
        let never = tokio::spawn(async move { first.get(b"q", std::future::pending()).await });
        sleep(Duration::from_millis(1)).await;
        let waits = tokio::spawn(async move { second.get(b"q", async { Ok((7, HOLDS)) }).await });
        sleep(Duration::from_millis(1)).await;
        never.abort();
        assert_eq!(waits.await.unwrap(), Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn bounded() {
        let cache = Cache::new(64);
        for i in 0..10_000_u32 {
            cache.get(&i.to_le_bytes(), async { Ok((i, HOLDS)) }).await.unwrap();
        }
        let kept: usize = cache.shards.iter().map(|s| s.lock().unwrap().len()).sum();
        assert!(kept <= 64, "{kept}");
    }
}
