//! One poll of a ScaledJob: ask every trigger, count the Jobs that are there, decide, start Jobs, tidy up (core.md §§5.3, 5.4).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keda_api::{Condition, ConditionStatus, MultipleScalersCalculation, ScaledJob, TriggerActivity};
use keda_core::{
    conditions::{self, scaled_job as job_conditions},
    scaled_job::{
        census,
        demand::{self, Metric, Queue},
        strategy::{self, Plan},
    },
};
use tokio::sync::watch;

use crate::{
    events::Notice,
    listen::News,
    object::Object,
    samples::{Input, Polled, TriggerSet},
};

const ACTIVE: &str = "ScaledJobActive";
const INACTIVE: &str = "ScaledJobInactive";

/// What the triggers said.
#[derive(Default)]
struct Heard {
    queues: Vec<Queue>,
    /// What went wrong, each with its trigger in front.
    errors: Vec<String>,
    /// The names of the metrics of active triggers.
    active: Vec<String>,
}

impl Object<ScaledJob> {
    pub(super) async fn poll_jobs(&mut self, inbox: &mut watch::Receiver<Input<ScaledJob>>) {
        let Some(prepared) = &self.ready else { return };
        let (triggers, bounds, strategy) =
            (Arc::clone(&prepared.triggers), prepared.bounds, prepared.strategy);
        let mut unheard = News::default();
        let Some(mut polled) = self.sample(&triggers, inbox, &mut unheard).await else { return };
        let triggers = self.follow_sources(triggers, &mut polled).await;
        self.announce_failures(&triggers, &polled);
        let heard = heard(&triggers, &polled);
        self.resolve_doubts().await;

        let object = Arc::clone(&self.object);
        let scaling = object.spec.scaling_strategy.clone().unwrap_or_default();
        let calculation = scaling.multiple_scalers_calculation.unwrap_or(MultipleScalersCalculation::Max);
        let conditions = scaling.pending_pod_conditions.unwrap_or_default();
        let demand = demand::combine(&heard.queues, &calculation, bounds, heard.errors.is_empty());
        let jobs = self.controller.index().jobs.snapshot(&self.handle.uid);
        let plan = strategy::plan(strategy, demand, census::count(&jobs, &conditions), bounds);
        self.tell_plan(&plan);
        let refused = if plan.start > 0 { self.start_jobs(plan.start).await } else { None };
        self.say(&plan, &heard, refused.as_deref());
        self.flush_status().await;
        self.tidy_up().await;
    }

    /// The log line of a decision; one that starts nothing is for who looks closely.
    fn tell_plan(&self, plan: &Plan) {
        if plan.start > 0 {
            tracing::info!(logger = "scaleexecutor", object = %self.handle.key, "{plan}");
        } else {
            tracing::debug!(logger = "scaleexecutor", object = %self.handle.key, "{plan}");
        }
    }

    /// Conditions, events and activity of a poll.
    fn say(&mut self, plan: &Plan, heard: &Heard, refused: Option<&str>) {
        let active = plan.demand.active;
        self.set_ready(match (refused, heard.errors.is_empty(), active) {
            (Some(cause), _, _) => job_conditions::create_failed(cause),
            (None, true, _) => job_conditions::ready(),
            (None, false, true) => job_conditions::partial_trigger_error(&heard.errors),
            (None, false, false) => job_conditions::trigger_error(&heard.errors),
        });
        if active {
            self.last_active = Some(self.controller.now());
        }
        let condition = if active { conditions::active() } else { conditions::not_active() };
        let (was, is) = (self.status.condition(Condition::ACTIVE), condition.status);
        let text = condition.message.clone().unwrap_or_default();
        self.status.set(condition);
        // Kept in memory and written when Active changes, as of a ScaledObject (docs/adr/0002-last-active-time-in-memory.md).
        if is != was
            && let Some(last_active) = self.last_active
        {
            self.status.wanted.last_active_time = Some(Time(last_active));
        }
        let told = match (was == ConditionStatus::True, active) {
            (false, true) => Some((ACTIVE, INACTIVE)),
            (true, false) => Some((INACTIVE, ACTIVE)),
            _ => None,
        };
        if let Some((reason, over)) = told {
            self.said.forget(over);
            self.announce(Notice::normal(reason, text));
        }
        let names = self.status.wanted.external_metric_names.clone().unwrap_or_default();
        let activity = |name: String| {
            let is_active = heard.active.contains(&name);
            (name, TriggerActivity { is_active })
        };
        self.status.wanted.triggers_activity = Some(names.into_iter().map(activity).collect());
    }
}

/// Each trigger's answers as a queue. A trigger of which one metric could not be read has failed as a whole.
fn heard(triggers: &TriggerSet, polled: &[Polled]) -> Heard {
    let mut heard = Heard::default();
    for (slot, polled) in triggers.slots.iter().zip(polled) {
        let mut metrics = Vec::with_capacity(polled.outcomes.len());
        let mut errors: Vec<String> =
            polled.fault.iter().map(|fault| format!("{}: {fault}", slot.parsed.label())).collect();
        for (spec, outcome) in slot.parsed.specs().iter().zip(&polled.outcomes) {
            match &outcome.result {
                Ok(reading) => metrics.push(Metric {
                    name: spec.name(),
                    target: spec.target().as_f64(),
                    value: reading.value,
                    active: reading.active,
                }),
                Err(error) => errors.push(format!("{}: {error}", slot.parsed.label())),
            }
        }
        if errors.is_empty() {
            let queue = Queue::of(&metrics);
            if queue.is_some_and(|queue| queue.active) {
                heard.active.extend(metrics.iter().map(|metric| metric.name.to_owned()));
            }
            heard.queues.extend(queue);
        }
        heard.errors.append(&mut errors);
    }
    heard
}
