//! What is shared of one object between its task, the metrics service and the watches.
//!
//! The task is the only one that replaces the triggers; the task's polls and the metrics service's queries both sample
//! through [`TriggerSlot::sample`] and both record what they saw, so the two paths cannot differ.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use keda_api::ScaledObject;
use keda_core::{
    fallback::{Health, Plan},
    formula::{self, Modifiers},
    metric::MetricSpec,
};
use keda_scaler::{Environment, Error, Kind, Live, Metric, Outcome, Parsed, Reading};
use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};

use crate::{cluster::Target, index::ObjectKey, kind::Scaled, status::Stored};

/// A sample that is at most this old answers an HPA without asking the source again.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// What a task is told by the watches.
#[derive(Clone)]
pub(crate) struct Input<K = ScaledObject> {
    /// The newest known object, without its status and managed fields.
    pub(crate) object: Arc<K>,
    /// Its status.
    pub(crate) stored: Arc<Stored>,
    /// Grows when something that the object depends on changed: its HPA, its target, its authentications.
    pub(crate) nudges: u64,
    /// The object is no longer there.
    pub(crate) gone: bool,
}

/// One object as the rest of the process sees it.
pub(crate) struct ObjectHandle<K = ScaledObject> {
    pub(crate) key: ObjectKey,
    /// State belongs to a UID, never to a name: a re-created object starts afresh (upstream issue 8124).
    pub(crate) uid: String,
    pub(crate) inbox: watch::Sender<Input<K>>,
    /// The triggers in use; `None` until the first good reconcile, while paused, and while the object is not valid.
    triggers: ArcSwapOption<TriggerSet>,
    /// Whether the first reconcile has come to an end, whichever.
    settled: AtomicBool,
    latest: Mutex<HashMap<String, Sample>>,
    /// Failures in a row of each metric; counted by the task's polls, read by the metrics service.
    health: Mutex<Health>,
}

impl<K: Scaled> ObjectHandle<K> {
    pub(crate) fn new(key: ObjectKey, uid: String, object: Arc<K>, stored: Arc<Stored>) -> Self {
        let health = K::health(&stored.status::<K>());
        ObjectHandle {
            key,
            uid,
            inbox: watch::Sender::new(Input { object, stored, nudges: 0, gone: false }),
            triggers: ArcSwapOption::empty(),
            settled: AtomicBool::new(false),
            latest: Mutex::default(),
            health: Mutex::new(health),
        }
    }

    /// Hands the task a newer object.
    pub(crate) fn update(&self, object: Arc<K>, stored: Arc<Stored>) {
        self.inbox.send_modify(|input| (input.object, input.stored) = (object, stored));
    }

    /// Makes the task reconcile although its object is the same.
    pub(crate) fn nudge(&self) {
        self.inbox.send_modify(|input| input.nudges += 1);
    }

    /// Ends the task: the object was deleted, or replaced by another of the same name.
    pub(crate) fn end(&self) {
        self.inbox.send_modify(|input| input.gone = true);
    }

    /// Whether [`ObjectHandle::triggers`] means something yet: right after a start nothing is known of the object.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    pub(crate) fn triggers(&self) -> Option<Arc<TriggerSet>> {
        self.triggers.load_full()
    }

    /// Replaces the triggers and forgets samples of metrics that no trigger has any more.
    pub(crate) fn set_triggers(&self, triggers: Option<Arc<TriggerSet>>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &triggers {
            Some(set) => latest.retain(|name, _| set.slots.iter().any(|slot| slot.has_metric(name))),
            None => latest.clear(),
        }
        self.triggers.store(triggers);
        self.settled.store(true, Ordering::Release);
    }

    /// Keeps what a trigger answered.
    pub(crate) fn record(&self, outcomes: &[Outcome]) {
        let taken = Instant::now();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            let result = outcome.result.as_ref().map(|reading| *reading).map_err(ToString::to_string);
            latest.insert(outcome.name.clone(), Sample { taken, result });
        }
    }

    /// Failures in a row, as of the last poll.
    pub(crate) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one poll's answers; without a fallback there is nothing to count for.
    pub(crate) fn count<'a>(
        &self,
        plan: Option<&Plan>,
        answers: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Health {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match plan {
            Some(plan) => health.count(plan, answers),
            None => *health = Health::default(),
        }
        health.clone()
    }

    pub(crate) fn latest(&self, metric: &str) -> Option<Sample> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).get(metric).cloned()
    }
}

/// The newest answer of one metric.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) taken: Instant,
    pub(crate) result: Result<Reading, String>,
}

/// The triggers of one generation of an object, in the order of its spec.
#[derive(Clone)]
pub(crate) struct TriggerSet {
    pub(crate) slots: Vec<TriggerSlot>,
    /// What stands in for a metric that cannot be read.
    pub(crate) fallback: Option<Plan>,
    /// One metric out of all.
    pub(crate) modifiers: Option<Modifiers>,
    /// What is scaled: a fallback may ask how many there are.
    pub(crate) target: Target,
}

impl TriggerSet {
    /// The same with some triggers replaced, by their positions.
    pub(crate) fn with(&self, renewed: Vec<(usize, TriggerSlot)>) -> Self {
        let mut set = self.clone();
        for (index, slot) in renewed {
            if let Some(place) = set.slots.get_mut(index) {
                *place = slot;
            }
        }
        set
    }

    /// Whether it is known of every trigger which metrics it has.
    pub(crate) fn is_planned(&self) -> bool {
        self.slots.iter().all(|slot| slot.parsed.is_planned())
    }

    /// The metrics of every trigger, in trigger order.
    pub(crate) fn specs(&self) -> Vec<MetricSpec> {
        self.slots.iter().flat_map(|slot| slot.parsed.specs().iter().cloned()).collect()
    }

    /// The names of the metrics that somebody asks for by name.
    pub(crate) fn external_names(&self) -> Vec<String> {
        let specs = self.slots.iter().flat_map(|slot| slot.parsed.specs());
        specs.filter_map(MetricSpec::external_name).map(str::to_owned).collect()
    }

    /// The metrics of the HPA.
    pub(crate) fn hpa_specs(&self) -> Vec<MetricSpec> {
        formula::hpa_specs(&self.specs(), self.modifiers.as_ref())
    }

    /// The trigger that answers for a metric; names are compared ignoring case, as upstream's service does.
    pub(crate) fn for_metric(&self, metric: &str) -> Option<&TriggerSlot> {
        self.slots.iter().find(|slot| slot.has_metric(metric))
    }
}

/// What one poll of a trigger came to.
#[derive(Default)]
pub(crate) struct Polled {
    /// One a metric, in the order of the plan.
    pub(crate) outcomes: Vec<Outcome>,
    /// The source has other metrics than before, and these are sampled.
    pub(crate) renewed: Option<TriggerSlot>,
    /// There are no metrics to sample, for this reason.
    pub(crate) fault: Option<String>,
}

impl Polled {
    fn of(outcomes: Vec<Outcome>) -> Self {
        Polled { outcomes, ..Polled::default() }
    }
}

/// One trigger: parsed and planned, connected when it is first asked. Clones share the connection.
#[derive(Clone)]
pub(crate) struct TriggerSlot {
    pub(crate) parsed: Parsed,
    /// `useCachedMetrics`: the HPA is answered from the last poll.
    pub(crate) cached: bool,
    live: Arc<OnceCell<Live>>,
}

impl TriggerSlot {
    pub(crate) fn new(parsed: Parsed, cached: bool) -> Self {
        TriggerSlot { parsed, cached, live: Arc::default() }
    }

    /// Asks the source for every metric of this trigger. A trigger that cannot connect fails each of them; one that the
    /// HPA reads by itself has nothing to ask.
    pub(crate) async fn sample(&self, environment: &Environment) -> Vec<Outcome> {
        if !self.parsed.is_sampled() {
            return Vec::new();
        }
        match self.connected(environment).await {
            Ok(live) => live.sample().await,
            Err(error) => self.failed(&error),
        }
    }

    /// The connected trigger.
    pub(crate) async fn connected(&self, environment: &Environment) -> Result<&Live, Error> {
        self.live.get_or_try_init(|| self.parsed.connect(environment)).await
    }

    /// One poll. Where only the source knows which metrics there are it is asked for them first; one that does not say is
    /// sampled as it was, if it ever said.
    pub(crate) async fn poll(&self, environment: &Environment) -> Polled {
        if !self.parsed.is_remote() {
            return Polled::of(self.sample(environment).await);
        }
        let said = async { self.connected(environment).await?.metrics().await }.await;
        match said.and_then(|metrics| self.planned(metrics)) {
            Ok(None) => Polled::of(self.sample(environment).await),
            Ok(Some(renewed)) => {
                let outcomes = renewed.sample(environment).await;
                Polled { outcomes, renewed: Some(renewed), fault: None }
            }
            // What goes wrong with the metrics is told of each.
            Err(error) if self.parsed.is_planned() && error.kind != Kind::Config => {
                tracing::debug!(logger = "scale_handler", error = %error, "a source does not say which metrics it has");
                Polled::of(self.sample(environment).await)
            }
            Err(error) => Polled { fault: Some(error.to_string()), ..Polled::default() },
        }
    }

    /// The trigger with these metrics; `None` where it has them already.
    pub(crate) fn planned(&self, metrics: Vec<Metric>) -> Result<Option<Self>, Error> {
        let parsed = self.parsed.planned(metrics)?;
        if parsed.specs() == self.parsed.specs() {
            return Ok(None);
        }
        let live = self.live.get().map(|live| live.planned(&parsed));
        Ok(Some(Self { parsed, cached: self.cached, live: Arc::new(OnceCell::new_with(live)) }))
    }

    fn failed(&self, error: &Error) -> Vec<Outcome> {
        let metrics = self.parsed.specs().iter().filter_map(MetricSpec::external_name);
        metrics.map(|metric| Outcome::failed(metric, error.clone())).collect()
    }

    fn has_metric(&self, metric: &str) -> bool {
        let mut metrics = self.parsed.specs().iter().filter_map(MetricSpec::external_name);
        metrics.any(|name| name.eq_ignore_ascii_case(metric))
    }
}
