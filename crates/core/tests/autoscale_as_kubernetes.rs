//! Every sync of some forty autoscalers over a minute, as Kubernetes' own HPA controller did it, done again by ours.
//!
//! The trace was recorded by `e2e/harness/hpa_recorder.py`, whose documentation says what its lines are; the scenario
//! `test_hpa` records a fresh one and names it by `KEDA_HPA_TRACE`. What is compared after each sync: the replicas, the
//! conditions to the letter, `status` with the current metrics, and the words of the event.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test code")]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec};
use keda_api::Quantity;
use keda_core::autoscale::{self, History, Metric, Outcome, Replicas, Settings, Situation, Usage};
use serde::Deserialize;

/// The times of the trace are those of the requests around a decision: so much may lie between them and the controller's
/// own look at the clock, in milliseconds.
const DOUBT: i64 = 60;

/// How many memories that explain everything so far are followed; the likeliest come first.
const MEMORIES: usize = 24;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recording {
    controller: String,
    namespace: String,
    tolerance: f64,
    downscale_stabilization_seconds: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Applied { hpa: String, spec: Spec },
    Sync(Sync),
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    min_replicas: Option<i32>,
    max_replicas: i32,
    behavior: Option<HorizontalPodAutoscalerBehavior>,
    metrics: Vec<MetricSpec>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sync {
    hpa: String,
    /// Milliseconds.
    at: i64,
    by: Option<i64>,
    asked: i32,
    reported: i32,
    #[serde(default)]
    ready: Ready,
    values: Option<Vec<Answer>>,
    scaled: Option<Scaled>,
    status: Option<Written>,
    #[serde(default)]
    lost: bool,
}

/// Pods that were ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Ready {
    Known(Option<i32>),
    /// They changed about the time of the sync.
    OneOf(Vec<Option<i32>>),
}

impl Default for Ready {
    fn default() -> Self {
        Self::Known(None)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Values(Vec<String>),
    Error(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaled {
    to: i32,
    at: i64,
    cause: Option<String>,
}

/// A status that was written; its conditions are those that changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    desired: i32,
    #[serde(default)]
    metrics: Vec<Option<Current>>,
    #[serde(default)]
    conditions: BTreeMap<String, [String; 3]>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Current {
    average_value: Option<Quantity>,
    value: Option<Quantity>,
}

/// What an autoscaler's status says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Status {
    current: i32,
    desired: i32,
    /// `None` for a metric that failed.
    metrics: Vec<Option<(&'static str, Quantity)>>,
    conditions: BTreeMap<String, [String; 3]>,
}

impl Status {
    /// As the controller left it.
    fn written(&self, sync: &Sync) -> Self {
        let Some(written) = &sync.status else { return self.clone() };
        let mut conditions = self.conditions.clone();
        conditions.extend(written.conditions.clone());
        let metrics = written.metrics.iter().map(|metric| {
            let Current { average_value, value } = metric.as_ref()?;
            average_value.map(|average| ("average", average)).or_else(|| value.map(|value| ("value", value)))
        });
        Self { current: sync.asked, desired: written.desired, metrics: metrics.collect(), conditions }
    }

    /// As ours would leave it.
    fn after(&self, outcome: &Outcome) -> Self {
        let mut conditions = self.conditions.clone();
        for said in outcome.conditions.iter().chain(&outcome.rescaled()) {
            let words =
                [said.status.as_str(), said.reason.as_deref().unwrap(), said.message.as_deref().unwrap()];
            conditions.insert(said.r#type.clone(), words.map(str::to_owned));
        }
        let metrics = outcome.metrics.iter().map(|metric| match metric.as_ref().ok()?.usage {
            Usage::AverageValue(average) => Some(("average", average)),
            Usage::Value(value) => Some(("value", value)),
        });
        let desired = outcome.desired.unwrap_or(self.desired);
        Self { current: outcome.current, desired, metrics: metrics.collect(), conditions }
    }
}

struct Autoscaler {
    spec: Spec,
    /// What it may remember, as far as the times are known.
    histories: Vec<History>,
    status: Status,
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap() + SignedDuration::from_millis(milliseconds)
}

impl Autoscaler {
    fn evaluate(
        &self,
        sync: &Sync,
        recording: &Recording,
        history: &History,
        (at, ready): (i64, Option<i32>),
    ) -> Outcome {
        let mut metrics: Vec<Metric> =
            self.spec.metrics.iter().map(|metric| Metric::unread(&recording.namespace, metric)).collect();
        for (metric, answer) in metrics.iter_mut().zip(sync.values.iter().flatten()) {
            metric.read(match answer {
                Answer::Values(values) => Ok(values.iter().map(|value| value.parse().unwrap()).collect()),
                Answer::Error(message) => Err(message.clone()),
            });
        }
        let zero = self.status.conditions.get("ScaledToZero");
        let situation = Situation {
            now: time(at),
            replicas: Replicas { asked: sync.asked, reported: sync.reported, ready },
            min: self.spec.min_replicas,
            max: self.spec.max_replicas,
            behavior: self.spec.behavior.as_ref(),
            scaled_to_zero: zero.is_some_and(|words| words[0] == "True"),
            metrics: &metrics,
            history,
            settings: Settings {
                tolerance: recording.tolerance,
                downscale_stabilization: SignedDuration::from_secs(recording.downscale_stabilization_seconds),
                ..Settings::default()
            },
        };
        assert_eq!(situation.asks_metrics(), sync.values.is_some(), "are metrics asked? {sync:?}");
        autoscale::evaluate(&situation)
    }

    /// What differs, if anything does.
    fn difference(&self, sync: &Sync, outcome: &Outcome) -> Option<String> {
        let (change, scaled) = (outcome.change().map(|(_, to)| to), sync.scaled.as_ref());
        if change != scaled.map(|scaled| scaled.to) {
            return Some(format!("ours goes to {change:?}: {outcome}"));
        }
        if let Some(cause) = scaled.and_then(|scaled| scaled.cause.as_ref())
            && *cause != outcome.cause
        {
            return Some(format!("ours says {:?}", outcome.cause));
        }
        if sync.lost {
            return None;
        }
        let (mut ours, mut theirs) = (self.status.after(outcome), self.status.written(sync));
        if sync.reported == 0 {
            // An average over no replicas: the controller shows what a division by zero leaves.
            let averages = |status: &mut Status| {
                status.metrics.retain(|metric| metric.is_none_or(|(kind, _)| kind == "value"));
            };
            averages(&mut ours);
            averages(&mut theirs);
        }
        (ours != theirs).then(|| format!("ours is {ours:?}\nfrom {:?}", self.status))
    }

    /// Times and counts of pods with which the sync may have been decided, the likeliest first; and those that are only
    /// to be looked at if none of the others explains it.
    fn guesses(sync: &Sync) -> [Vec<(i64, Option<i32>)>; 2] {
        let counts = match &sync.ready {
            Ready::Known(count) => vec![*count],
            Ready::OneOf(counts) => counts.clone(),
        };
        let by = sync.by.unwrap_or(sync.at).max(sync.at);
        let mut times = vec![sync.at];
        if by - sync.at > DOUBT {
            // Somebody had to wait for a processor.
            times.extend((1..=4).map(|quarter| sync.at + (by - sync.at) * quarter / 4));
        }
        [times, vec![sync.at - DOUBT, by + DOUBT]].map(|times| {
            times.iter().flat_map(|time| counts.iter().map(move |count| (*time, *count))).collect()
        })
    }

    /// One sync. Whether the first guess was right; every guess is followed that the controller's own doings bear out.
    fn replay(&mut self, sync: &Sync, recording: &Recording) -> Result<bool, String> {
        let mut first = None;
        let mut likely = true;
        let mut kept: Vec<History> = Vec::new();
        let follow = |outcome: &Outcome| {
            let mut history = outcome.history.clone();
            if let (Some((from, to)), Some(scaled)) = (outcome.change(), &sync.scaled) {
                history.scaled(from, to, time(scaled.at), self.spec.behavior.as_ref());
            }
            history
        };
        for guesses in Self::guesses(sync) {
            for (guess, history) in
                guesses.iter().flat_map(|guess| self.histories.iter().map(move |h| (*guess, h)))
            {
                let outcome = self.evaluate(sync, recording, history, guess);
                let history = follow(&outcome);
                match self.difference(sync, &outcome) {
                    None if kept.len() < MEMORIES && !kept.contains(&history) => kept.push(history),
                    None => {}
                    Some(difference) => {
                        likely &= !kept.is_empty();
                        first.get_or_insert((difference, history));
                    }
                }
            }
            if !kept.is_empty() {
                break;
            }
        }
        self.status = self.status.written(sync);
        match first {
            Some((difference, history)) if kept.is_empty() => {
                self.histories = vec![history];
                Err(format!("{sync:?}\n{difference}"))
            }
            _ => {
                self.histories = kept;
                Ok(!likely)
            }
        }
    }
}

#[test]
fn every_sync_as_kubernetes_does_it() {
    let committed = include_str!("kubernetes/hpa.jsonl").to_owned();
    let trace =
        std::env::var_os("KEDA_HPA_TRACE").map_or(committed, |file| std::fs::read_to_string(file).unwrap());
    let mut lines = trace.lines();
    let recording: Recording = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut autoscalers: BTreeMap<String, Autoscaler> = BTreeMap::new();
    let (mut syncs, mut doubtful, mut changes, mut failures) = (0, 0, 0, 0);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in lines {
        match serde_json::from_str(line).unwrap() {
            Line::Applied { hpa, spec } => {
                let known = autoscalers.remove(&hpa);
                let (histories, status) = known.map_or_else(
                    || (vec![History::default()], Status::default()),
                    |known| (known.histories, known.status),
                );
                autoscalers.insert(hpa, Autoscaler { spec, histories, status });
            }
            Line::Sync(sync) => {
                let autoscaler = autoscalers.get_mut(&sync.hpa).unwrap();
                syncs += 1;
                changes += usize::from(sync.scaled.is_some());
                failures +=
                    usize::from(sync.values.iter().flatten().any(|one| matches!(one, Answer::Error(_))));
                match autoscaler.replay(&sync, &recording) {
                    Ok(doubt) => doubtful += usize::from(doubt),
                    Err(difference) => wrong.push(difference),
                }
                for [_, reason, _] in autoscaler.status.conditions.values() {
                    *reasons.entry(reason.clone()).or_default() += 1;
                }
            }
        }
    }
    eprintln!(
        "{}: {syncs} syncs of {} autoscalers, {changes} changes, {failures} with failed metrics, {doubtful} on an edge of time",
        recording.controller,
        autoscalers.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {syncs} differ, the first ones:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n\n")
    );
    assert!(doubtful * 50 < syncs, "{doubtful} of {syncs} only just");
    // A trace in which little happens proves little.
    assert!(
        syncs > 1000 && changes > 200 && failures > 40,
        "{syncs} syncs, {changes} changes, {failures} failures"
    );
    for reason in [
        "DesiredWithinRange",
        "FailedGetExternalMetric",
        "NotScaledToZero",
        "ReadyForNewScale",
        "ScaleDownLimit",
        "ScaleDownStabilized",
        "ScaleUpLimit",
        "ScaleUpStabilized",
        "ScaledToZero",
        "ScalingDisabled",
        "SucceededRescale",
        "TooFewReplicas",
        "TooManyReplicas",
        "ValidMetricFound",
    ] {
        assert!(reasons.contains_key(reason), "{reason} never happened");
    }
}
