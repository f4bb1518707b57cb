//! What sources say by themselves, on its way to the task of their object. It knows nothing of what kind of object that is.
//!
//! A listener runs for as long as its trigger is polled: a reconcile that leaves the trigger as it was leaves the stream open.
//! What was said waits in one place, merged, until the task takes it; a source that does not stop talking costs the task no more than ten
//! looks a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keda_scaler::{Environment, Error, Metric, Parsed, Signal};
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use crate::samples::TriggerSlot;

/// Between two looks at what was said.
const GAP: Duration = Duration::from_millis(100);
/// How long a source that cannot be dialled at all (bad credentials) is left alone.
const REDIAL: Duration = Duration::from_secs(60);

/// What was said since the last look, by the trigger's position.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    /// There is work.
    pub(crate) active: BTreeSet<usize>,
    /// There are other metrics.
    pub(crate) metrics: BTreeMap<usize, Vec<Metric>>,
    /// It cannot be heard.
    pub(crate) lost: BTreeMap<usize, Error>,
}

impl News {
    fn is_empty(&self) -> bool {
        self.active.is_empty() && self.metrics.is_empty() && self.lost.is_empty()
    }

    fn add(&mut self, index: usize, signal: Signal) {
        match signal {
            Signal::Active => {
                self.active.insert(index);
            }
            Signal::Metrics(metrics) => {
                self.metrics.insert(index, metrics);
            }
            Signal::Lost(error) => {
                self.lost.insert(index, error);
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Mailbox {
    news: Mutex<News>,
    /// When the task last looked.
    looked: Mutex<Option<Instant>>,
    told: Notify,
}

/// One listener; ends when it is dropped.
struct Listener {
    to: Parsed,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The listeners of one object. Small where it has none.
#[derive(Default)]
pub(crate) struct Listeners {
    mailbox: Option<Arc<Mailbox>>,
    all: BTreeMap<usize, Listener>,
}

impl Listeners {
    /// Listens to these triggers, and to no others.
    pub(crate) fn follow(&mut self, slots: &[TriggerSlot], environment: &Environment) {
        self.all.retain(|index, listener| {
            slots.get(*index).is_some_and(|slot| slot.parsed.pushes() && slot.parsed.is_same(&listener.to))
        });
        for (index, slot) in slots.iter().enumerate() {
            if !slot.parsed.pushes() || self.all.contains_key(&index) {
                continue;
            }
            let mailbox = Arc::clone(self.mailbox.get_or_insert_default());
            let listening = listen(index, slot.clone(), environment.clone(), mailbox);
            let task = tokio::spawn(listening).abort_handle();
            self.all.insert(index, Listener { to: slot.parsed.clone(), task });
        }
        if self.all.is_empty() {
            self.mailbox = None;
        }
    }

    /// What is said next. Nothing is lost when the future is dropped.
    pub(crate) async fn news(&self) -> News {
        let Some(mailbox) = &self.mailbox else { return std::future::pending().await };
        loop {
            let looked = *lock(&mailbox.looked);
            if let Some(looked) = looked {
                tokio::time::sleep_until(looked + GAP).await;
            }
            let news = std::mem::take(&mut *lock(&mailbox.news));
            if !news.is_empty() {
                *lock(&mailbox.looked) = Some(Instant::now());
                return news;
            }
            mailbox.told.notified().await;
        }
    }
}

async fn listen(index: usize, slot: TriggerSlot, environment: Environment, mailbox: Arc<Mailbox>) {
    let tell = move |signal| {
        lock(&mailbox.news).add(index, signal);
        mailbox.told.notify_one();
    };
    loop {
        match slot.connected(&environment).await {
            Ok(live) => return live.listen(tell.clone()).await,
            Err(error) => tell(Signal::Lost(error)),
        }
        tokio::time::sleep(REDIAL).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
