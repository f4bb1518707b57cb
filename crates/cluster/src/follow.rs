//! A watch as a task: each change is handed over in order, a re-list reports what vanished meanwhile, and a watch that breaks
//! is begun again within seconds.

use std::{collections::HashSet, pin::pin, time::Duration};

use futures::TryStreamExt;
use kube::{
    ResourceExt,
    runtime::{WatchStreamExt, utils::Backoff, watcher},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ObjectKey;

/// What happened to one object of a watched kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<K> {
    /// It was there before this process looked.
    Found(K),
    /// It is there, new or different.
    Applied(K),
    /// It is gone.
    Removed(ObjectKey),
}

/// Runs one watch as a task that hands each change to `apply`; the receiver turns true after the first whole list.
///
/// `what` is the resource's plural, for the log.
pub fn follow<K>(
    what: &'static str,
    changes: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    shutdown: &CancellationToken,
    mut apply: impl FnMut(Change<K>) + Send + 'static,
) -> watch::Receiver<bool>
where
    K: ResourceExt + Clone + Send + 'static,
{
    let (synced, receiver) = watch::channel(false);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let mut known: HashSet<ObjectKey> = HashSet::new();
        let mut listed: HashSet<ObjectKey> = HashSet::new();
        let mut changes = pin!(changes.backoff(Patience::default()));
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = changes.try_next() => next,
            };
            match next {
                Ok(Some(watcher::Event::Init)) => listed.clear(),
                Ok(Some(watcher::Event::InitApply(object))) => {
                    let key = ObjectKey::of(&object);
                    // Known already: should this list break off, the next one may lack it.
                    known.insert(key.clone());
                    listed.insert(key);
                    let first = !*synced.borrow();
                    apply(if first { Change::Found(object) } else { Change::Applied(object) });
                }
                Ok(Some(watcher::Event::InitDone)) => {
                    for key in known.difference(&listed) {
                        apply(Change::Removed(key.clone()));
                    }
                    known = std::mem::take(&mut listed);
                    synced.send_replace(true);
                }
                Ok(Some(watcher::Event::Apply(object))) => {
                    known.insert(ObjectKey::of(&object));
                    apply(Change::Applied(object));
                }
                Ok(Some(watcher::Event::Delete(object))) => {
                    let key = ObjectKey::of(&object);
                    known.remove(&key);
                    apply(Change::Removed(key));
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(logger = "watch", resource = what, error = %error, "watch interrupted, trying again");
                }
            }
        }
    });
    receiver
}

/// How long a watch waits before it is begun again after an error.
///
/// A process has a handful of watches, and while one is away it is blind: it waits seconds, not the half minutes with which
/// client-go spares the server from its thousands of clients.
struct Patience {
    next: Duration,
}

impl Patience {
    const FIRST: Duration = Duration::from_millis(500);
    const LAST: Duration = Duration::from_secs(5);
}

impl Default for Patience {
    fn default() -> Self {
        Patience { next: Self::FIRST }
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = (wait * 2).min(Self::LAST);
        Some(wait)
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.next = Self::FIRST;
    }
}

/// Waits until each watch has seen its first whole list, or was stopped.
pub async fn wait(receivers: Vec<watch::Receiver<bool>>) {
    for mut receiver in receivers {
        // An error means that the watch was stopped by a shutdown: nothing to wait for.
        let _stopped = receiver.wait_for(|synced| *synced).await;
    }
}
