//! One task a source: it sends what waits in the source's queue and says in the source's status how that goes.
//!
//! While all is well a few events are under way at a time, those about one object in order. After a failure one event at a
//! time is tried, with a wait that doubles up to a minute and a little chance in it, until one is taken: a receiver that
//! comes back is sent what it missed, and nobody has to edit anything. Upstream switches a receiver off after five tries, until the source's
//! next edit or the operator's next start.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use keda_api::{Condition, ConditionStatus};
use keda_core::conditions;
use tokio::{sync::watch, time::Instant};

use super::{
    Context, Handle, Input,
    queue::Place,
    sink::{self, Failure, Sink},
    status::{self, Declared},
};
use crate::cluster::words;

/// Events under way at a time.
const CONCURRENCY: usize = 8;
/// Failures in a row after which the source is not active: as many as upstream's tries.
const FAILURES: u32 = 5;
/// The first wait after a failure; it doubles up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);
/// How long a write to the API server that failed is put off.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// The state of the task.
pub(crate) struct Source {
    context: Arc<Context>,
    handle: Arc<Handle>,
    declared: Arc<Declared>,
    sink: Option<sink::Shared>,
    /// What was last said of where its credentials go.
    warned: Option<String>,
    /// What of the declaration was dealt with: generation, and the changes around it.
    handled: Option<(Option<i64>, u64)>,
    /// Failures in a row.
    failures: u32,
    retry_at: Option<Instant>,
    /// The condition as it should be, and as it was written last.
    active: Option<Condition>,
    written: Option<Condition>,
    write_at: Option<Instant>,
    writing: bool,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// Namespaces of the events that were counted: the series to drop at the end.
    counted: BTreeSet<String>,
}

/// Something that was under way.
enum Landed {
    Sent { place: Place, sink: &'static str, namespace: String, failures: u32, result: Result<(), Failure> },
    Written { condition: Option<Condition>, result: Result<(), kube::Error> },
}

impl Source {
    pub(crate) fn new(context: Arc<Context>, handle: Arc<Handle>) -> Self {
        let declared = Arc::clone(&handle.inbox.borrow().declared);
        Source {
            context,
            handle,
            written: declared.active.clone(),
            declared,
            sink: None,
            warned: None,
            handled: None,
            failures: 0,
            retry_at: None,
            active: None,
            write_at: None,
            writing: false,
            flights: FuturesUnordered::new(),
            counted: BTreeSet::new(),
        }
    }

    /// Runs until the source is gone.
    pub(crate) async fn run(mut self) {
        let mut inbox = self.handle.inbox.subscribe();
        loop {
            let Input { declared, nudges, gone } = inbox.borrow_and_update().clone();
            if gone {
                self.forget();
                return;
            }
            self.declared = declared;
            if !self.declared.deleting {
                let news = Some((self.declared.generation, nudges));
                if self.handled != news {
                    self.handled = news;
                    self.failures = 0;
                    self.retry_at = None;
                    self.open().await;
                }
                self.launch().await;
            }
            self.write();
            self.wait(&mut inbox).await;
        }
    }

    async fn wait(&mut self, inbox: &mut watch::Receiver<Input>) {
        let handle = Arc::clone(&self.handle);
        let now = Instant::now();
        let due = [self.retry_at, self.write_at].into_iter().flatten().filter(|at| *at > now).min();
        tokio::select! {
            // The sender lives in our own handle, so the inbox cannot close while this waits.
            _ = inbox.changed() => {}
            Some(landed) = self.flights.next(), if !self.flights.is_empty() => self.landed(landed),
            () = handle.wake.notified(), if self.has_room() => {}
            () = crate::object::sleep_until(due) => {}
        }
    }

    /// Whether a new event could be sent at once.
    fn has_room(&self) -> bool {
        self.failures == 0 && self.sink.is_some() && self.flights.len() < CONCURRENCY
    }

    /// Makes the sink ready, from the spec and its credentials as they are now.
    async fn open(&mut self) {
        let opened = Sink::open(&self.context, self.declared.namespace(), &self.declared.spec).await;
        match opened {
            Ok(sink) => {
                let sink = Arc::new(sink);
                if self.warned.as_deref() != sink.warning() {
                    self.warned = sink.warning().map(str::to_owned);
                    if let Some(text) = &self.warned {
                        self.warn(text, "credentials of the cluster are used");
                    }
                }
                self.handle.set_sink(Some(Arc::clone(&sink)));
                self.sink = Some(sink);
                if self.failures < FAILURES {
                    self.active = Some(conditions::cloud_events_delivered());
                }
            }
            Err(text) => {
                self.handle.set_sink(None);
                self.sink = None;
                self.failed(&text, Duration::ZERO, true);
            }
        }
    }

    /// Sends what may be sent now.
    async fn launch(&mut self) {
        let waiting = self.retry_at.is_some_and(|at| at > Instant::now());
        if waiting || (self.failures > 0 && self.sending() > 0) {
            return;
        }
        self.retry_at = None;
        let idle = self.handle.queue().is_idle();
        let stale = self.sink.as_ref().is_none_or(|sink| !idle && sink.is_stale(self.failures > 0));
        if stale {
            self.open().await;
        }
        let Some(sink) = self.sink.clone() else { return };
        let most = if self.failures > 0 { 1 } else { CONCURRENCY };
        while self.sending() < most {
            let Some((place, emission)) = self.handle.queue().take() else { break };
            let (context, sink, failures) = (Arc::clone(&self.context), Arc::clone(&sink), self.failures);
            let sent = async move {
                let result = sink.send(&context, &emission).await;
                let namespace = emission.namespace().to_owned();
                Landed::Sent { place, sink: sink.name(), namespace, failures, result }
            };
            self.flights.push(sent.boxed());
        }
    }

    fn sending(&self) -> usize {
        self.flights.len() - usize::from(self.writing)
    }

    fn landed(&mut self, landed: Landed) {
        match landed {
            Landed::Sent { place, sink, namespace, failures, result } => {
                self.context.metrics.cloud_event(&namespace, &self.declared.key.name, sink, result.is_ok());
                self.counted.insert(namespace);
                match result {
                    Ok(()) => {
                        self.handle.queue().done(place);
                        self.succeeded();
                    }
                    Err(failure) => {
                        if self.handle.queue().back(place, failure.refused) {
                            self.warn(&failure.text, "the receiver refuses an event, it is not sent again");
                        }
                        // Of those that were under way together the first one says it all.
                        if self.failures == failures {
                            self.failed(&failure.text, failure.after, false);
                        }
                    }
                }
                self.context.count_waiting(&self.declared.key.namespace);
            }
            Landed::Written { condition, result } => {
                self.writing = false;
                match result {
                    Ok(()) => {
                        if condition.is_some() {
                            self.written = condition;
                        }
                        self.write_at = None;
                    }
                    Err(error) => {
                        self.warn(&words(&error), "the object could not be written, trying again");
                        self.write_at = Some(Instant::now() + WRITE_AGAIN);
                    }
                }
            }
        }
    }

    fn succeeded(&mut self) {
        let dropped = self.handle.take_dropped();
        if self.failures >= FAILURES || dropped > 0 {
            tracing::info!(
                logger = "cloudevents",
                kind = self.declared.kind(),
                source = %self.declared.key,
                dropped,
                "events are delivered again"
            );
        }
        self.failures = 0;
        self.retry_at = None;
        self.active = Some(conditions::cloud_events_delivered());
    }

    /// `fatal`: nothing can be sent as things are.
    fn failed(&mut self, text: &str, asked: Duration, fatal: bool) {
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.failures - 1)).min(LAST_WAIT);
        let wait = wait + wait.mul_f64(0.25 * self.chance());
        self.retry_at = Some(Instant::now() + wait.max(asked));
        if fatal || self.failures >= FAILURES {
            let condition = conditions::cloud_events_undelivered(text);
            if self.active.as_ref().is_none_or(|active| active.status == ConditionStatus::True) {
                self.warn(text, "events cannot be delivered, trying again until they can");
            }
            self.active = Some(condition);
        }
    }

    fn warn(&self, error: &str, what: &str) {
        tracing::warn!(
            logger = "cloudevents",
            kind = self.declared.kind(),
            source = %self.declared.key,
            error,
            "{what}"
        );
    }

    /// A number in 0..1 that is another for each source and failure.
    fn chance(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        (&self.declared.uid, self.failures).hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// Begins to write what differs: the condition, or at the end upstream's finalizer.
    fn write(&mut self) {
        let put_off = self.write_at.is_some_and(|at| at > Instant::now());
        let differs = !self.declared.deleting && self.active.is_some() && self.active != self.written;
        if self.writing || put_off || !(differs || self.declared.is_held()) {
            return;
        }
        self.writing = true;
        let (client, declared) = (self.context.client.clone(), Arc::clone(&self.declared));
        let condition = self.active.clone().filter(|_| !declared.deleting);
        let written = async move {
            let result = match &condition {
                Some(condition) => status::write(client, &declared, condition).await,
                None => status::release(client, &declared).await,
            };
            Landed::Written { condition, result }
        };
        self.flights.push(written.boxed());
    }

    fn forget(&self) {
        for namespace in &self.counted {
            self.context.metrics.forget_cloud_event_source(namespace, &self.declared.key.name);
        }
    }
}
