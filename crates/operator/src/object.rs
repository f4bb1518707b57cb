//! One task an object: it reconciles when something changed, polls when it is time, and alone writes the status.
//!
//! A task is small while it waits (the futures of a reconcile and a poll are boxed and dropped when done), so a
//! thousand objects are a thousand timers. The first poll is immediate; after it an object's polls keep to a phase
//! that a stable hash of its UID spreads over the interval, so that loops do not beat together (upstream issue 7676).

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use keda_api::{Condition, ConditionStatus, ScaledObject};
use keda_core::bounds::Bounds;
use kube::ResourceExt;
use tokio::{sync::watch, time::Instant};

use crate::{
    cluster::Target,
    controller::Controller,
    events::{self, Notice, Said},
    index::ObjectKey,
    kind::{Ready, Scaled},
    listen::{Listeners, News},
    reconcile::End,
    samples::{Input, ObjectHandle, TriggerSet},
    status::{self, Ledger, Stored},
};

/// The first wait after a failed reconcile; it doubles up to [`LAST_RETRY`], or [`LAST_UNLUCKY_RETRY`] where only the
/// API server was in the way.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
const LAST_UNLUCKY_RETRY: Duration = Duration::from_secs(20);
/// How long a failing trigger's credentials are used before they are read again.
const REREAD_AFTER: Duration = Duration::from_secs(10);
/// Upstream's default for `pollingInterval`.
const DEFAULT_INTERVAL: i32 = 30;

/// The task's state. Fields are private to this crate's loop: `reconcile` fills, `poll` reads, both keep the status.
pub(crate) struct Object<K: Scaled = ScaledObject> {
    pub(crate) controller: Arc<Controller>,
    pub(crate) handle: Arc<ObjectHandle<K>>,
    pub(crate) object: Arc<K>,
    pub(crate) status: Ledger<K>,
    /// What the last good reconcile prepared; without it there is nothing to poll.
    pub(crate) ready: Option<K::Ready>,
    /// When a trigger was last seen active; written to the status on transitions only.
    pub(crate) last_active: Option<Timestamp>,
    pub(crate) said: Said,
    /// Why the last decision was made: a change of it is worth a log line.
    pub(crate) last_decision: Option<String>,
    /// An earlier process had this object running: its start is no news.
    pub(crate) was_running: bool,
    /// Who listens to sources that speak up by themselves.
    pub(crate) listeners: Listeners,
    handled: Option<Fingerprint>,
    /// Failed attempts in a row at what is to be done now.
    pub(crate) failures: u32,
    retry_at: Option<Instant>,
    /// When what the triggers were built from has to be made anew although nothing changed: before a token of theirs expires.
    renew_at: Option<Instant>,
    next_poll: Option<Instant>,
}

/// The outcome of a good reconcile of a ScaledObject.
pub(crate) struct Prepared {
    pub(crate) target: Target,
    pub(crate) bounds: Bounds,
    pub(crate) triggers: Arc<TriggerSet>,
    /// Of the spec that this was made from.
    pub(crate) generation: Option<i64>,
}

impl Ready for Prepared {
    fn generation(&self) -> Option<i64> {
        self.generation
    }

    fn triggers(&self) -> &Arc<TriggerSet> {
        &self.triggers
    }
}

/// What, when different, calls for a reconcile. The status is not in it: our own writes wake nobody.
#[derive(PartialEq, Eq)]
struct Fingerprint {
    generation: Option<i64>,
    deleting: bool,
    /// Of labels and annotations. Applied manifests are an annotation, so a copy would be as large as the object.
    digest: u64,
    nudges: u64,
}

impl Fingerprint {
    fn of<K: Scaled>(input: &Input<K>) -> Self {
        let metadata = input.object.meta();
        let mut hasher = DefaultHasher::new();
        // None and empty are the same to a user.
        metadata.labels.as_ref().filter(|labels| !labels.is_empty()).hash(&mut hasher);
        metadata.annotations.as_ref().filter(|annotations| !annotations.is_empty()).hash(&mut hasher);
        Fingerprint {
            generation: metadata.generation,
            deleting: metadata.deletion_timestamp.is_some(),
            digest: hasher.finish(),
            nudges: input.nudges,
        }
    }
}

impl<K: Scaled> Object<K> {
    pub(crate) fn new(controller: Arc<Controller>, handle: Arc<ObjectHandle<K>>) -> Self {
        let Input { object, stored, .. } = handle.inbox.borrow().clone();
        let status = Ledger::new(stored);
        let mut last_active = status.stored_last_active();
        if status.condition(Condition::ACTIVE) == ConditionStatus::True {
            // The stored time is that of the last transition. The object was active when an earlier process last
            // looked, so the cooldown can have begun no earlier than now.
            last_active = last_active.max(Some(controller.now()));
        }
        let was_running = status.condition(Condition::READY) == ConditionStatus::True;
        Object {
            controller,
            handle,
            object,
            status,
            ready: None,
            last_active,
            said: Said::default(),
            last_decision: None,
            was_running,
            listeners: Listeners::default(),
            handled: None,
            failures: 0,
            retry_at: None,
            renew_at: None,
            next_poll: None,
        }
    }

    /// Runs until the object is gone. Dropping the future at any await stops it without harm: what it has not
    /// written yet is derived again from the cluster by the next task.
    pub(crate) async fn run(mut self) {
        let mut inbox = self.handle.inbox.subscribe();
        loop {
            let input = inbox.borrow_and_update().clone();
            if input.gone {
                return;
            }
            self.status.observe(&input.stored);
            let now = Instant::now();
            let fingerprint = Fingerprint::of(&input);
            let changed = self.handled.as_ref() != Some(&fingerprint);
            let retry = self.retry_at.is_some_and(|at| at <= now);
            // Also the watch's echo of what a write of ours returned: one copy is enough.
            if changed
                || retry
                || status::version(input.object.as_ref()) >= status::version(self.object.as_ref())
            {
                self.object = input.object;
            }
            if changed || retry {
                self.handled = Some(fingerprint);
                if changed {
                    self.failures = 0;
                }
                let controller = Arc::clone(&self.controller);
                let _permit = controller.reconcile_permit(K::WORDS.kind).await;
                if Box::pin(self.reconcile_once()).await.is_break() {
                    return;
                }
                K::listen(&mut self);
            }
            if self.ready.is_some() && self.next_poll.is_some_and(|at| at <= Instant::now()) {
                self.note_lateness();
                Box::pin(K::poll(&mut self, &mut inbox)).await;
                self.next_poll = Some(self.after_poll());
                // The poll may have consumed a notice of the inbox: look again before waiting.
                continue;
            }
            if let Some(news) = self.wait(&mut inbox).await {
                Box::pin(K::hear(&mut self, news)).await;
            }
        }
    }

    /// Breaks when the object was finalized.
    async fn reconcile_once(&mut self) -> ControlFlow<()> {
        if self.object.meta().deletion_timestamp.is_some() {
            return match self.finalize().await {
                Ok(()) => ControlFlow::Break(()),
                Err(error) => {
                    tracing::warn!(
                        logger = K::WORDS.logger,
                        object = %self.handle.key,
                        error = %error,
                        "the object could not be finalized, trying again"
                    );
                    self.retry_later(LAST_UNLUCKY_RETRY);
                    ControlFlow::Continue(())
                }
            };
        }
        let reconciling = self.controller.reconciled(K::WORDS.kind).begin();
        let end = self.reconcile().await;
        match end {
            End::Good => reconciling.succeeded(),
            End::Bad | End::Unlucky => reconciling.failed(),
        }
        match end {
            End::Good => {
                self.failures = 0;
                self.retry_at = self.renew_at.filter(|_| self.ready.is_some());
                // A reconcile starts the loop anew: the first check is immediate.
                self.next_poll = self.ready.is_some().then(Instant::now);
            }
            End::Bad => self.retry_later(LAST_RETRY),
            End::Unlucky => self.retry_later(LAST_UNLUCKY_RETRY),
        }
        ControlFlow::Continue(())
    }

    /// Sleeps until something is due, the inbox has something new, or a source speaks up.
    async fn wait(&self, inbox: &mut watch::Receiver<Input<K>>) -> Option<News> {
        let polls = self.next_poll.filter(|_| self.ready.is_some());
        let due = [self.retry_at, polls].into_iter().flatten().min();
        tokio::select! {
            biased;
            // The sender lives in our own handle, so the inbox cannot close while this waits.
            _ = inbox.changed() => None,
            () = sleep_until(due) => None,
            news = self.listeners.news() => Some(news),
        }
    }

    /// Whether the inbox holds something that a reconcile must look at before anything else is done.
    pub(crate) fn is_outdated(&self, input: &Input<K>) -> bool {
        input.gone || self.handled.as_ref() != Some(&Fingerprint::of(input))
    }

    /// Goes on with the object as a write of ours returned it, so that the watch's echo of it is no news.
    pub(crate) fn adopt(&mut self, mut object: K) {
        let nudges = self.handled.as_ref().map_or(0, |fingerprint| fingerprint.nudges);
        object.meta_mut().managed_fields = None;
        let stored = Stored::take(&mut object);
        self.status.observe(&stored);
        let input = Input { object: Arc::new(object), stored, nudges, gone: false };
        self.handled = Some(Fingerprint::of(&input));
        self.object = input.object;
    }

    /// Asks for another reconcile, to read credentials again after a failure; at most every [`REREAD_AFTER`].
    pub(crate) fn reread_credentials(&mut self) {
        let uses_credentials =
            self.object.triggers().iter().any(|trigger| trigger.authentication_ref.is_some());
        let reread_at = Instant::now() + REREAD_AFTER;
        if uses_credentials && self.retry_at.is_none_or(|at| at > reread_at) {
            self.retry_at = Some(reread_at);
        }
    }

    /// The triggers are built from new credentials: when these have to be made anew is not known yet.
    pub(crate) fn forget_renewal(&mut self) {
        self.renew_at = None;
    }

    /// Has the credentials made anew when a token in them has lived for three quarters to nine tenths of its life, differently for each
    /// object: tokens that were asked for together are not asked for together again.
    pub(crate) fn renew_before(&mut self, expires: Timestamp) {
        let life = Duration::try_from(expires.duration_since(self.controller.now())).unwrap_or_default();
        let used = life.mul_f64(0.75 + 0.15 * self.phase(u64::MAX)).max(REREAD_AFTER);
        let at = Instant::now() + used;
        self.renew_at = Some(self.renew_at.map_or(at, |known| known.min(at)));
    }

    fn retry_later(&mut self, longest: Duration) {
        let wait = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(self.failures)).min(longest);
        self.failures = self.failures.saturating_add(1);
        // Up to a quarter more, differently for each object.
        let jitter = wait.mul_f64(0.25 * self.phase(u64::from(self.failures)));
        self.retry_at = Some(Instant::now() + wait + jitter);
    }

    pub(crate) fn interval(&self) -> Duration {
        let seconds = self.object.polling_interval().unwrap_or(DEFAULT_INTERVAL).max(1);
        Duration::from_secs(u64::from(seconds.unsigned_abs()))
    }

    /// The next instant of this object's phase. A poll that outlasted its interval is followed at once by the next,
    /// as upstream does, but never overlapped.
    fn after_poll(&self) -> Instant {
        let interval = self.interval();
        let offset = interval.mul_f64(self.phase(0));
        let scheduled = self.next_poll.unwrap_or_else(Instant::now);
        let next = self.controller.next_beat(scheduled, interval, offset);
        next.max(Instant::now())
    }

    fn note_lateness(&self) {
        let late = self.next_poll.map_or(Duration::ZERO, |at| at.elapsed());
        let ObjectKey { namespace, name } = &self.handle.key;
        self.controller.metrics().loop_latency(namespace, K::WORDS.metric, name, late);
    }

    /// A number in 0..1 that depends on the UID and a salt only.
    fn phase(&self, salt: u64) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.handle.uid.hash(&mut hasher);
        salt.hash(&mut hasher);
        // The upper 32 bits are exact in an f64.
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// Says something about the object, unless it was just said.
    pub(crate) fn announce(&mut self, notice: Notice) {
        if self.said.is_news(&notice) {
            self.controller.recorder().publish(events::reference(self.object.as_ref()), notice);
        }
    }

    /// Writes the status if it differs. A failure is logged; the difference stays and goes with the next flush.
    pub(crate) async fn flush_status(&mut self) {
        let key = self.handle.key.clone();
        if let Err(error) = self.status.flush(self.controller.cluster(), &key, &self.handle.uid).await {
            let text = crate::cluster::words(&error);
            tracing::error!(logger = "scaleexecutor", object = %key, error = text, "failed to write the status");
            self.announce(Notice::warning(K::WORDS.update_failed, text));
        }
    }

    pub(crate) fn name(&self) -> String {
        self.object.name_any()
    }
}

pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
