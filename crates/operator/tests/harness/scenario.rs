//! The form of a scenario file. `tests/scenarios/README.md` describes it to authors.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    source::Yield,
    time::{Moment, Span},
};

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, as a heading.
    pub name: String,
    /// What a user learns from it.
    pub about: String,
    /// The time at which it begins; 2026-01-01T00:00:00Z.
    pub start: Option<Timestamp>,
    /// What the cluster is like.
    #[serde(default)]
    pub cluster: Cluster,
    /// Deployments that are there, with their replicas.
    #[serde(default)]
    pub deployments: BTreeMap<String, i32>,
    /// What the user creates at the start, in this order.
    #[serde(default)]
    pub objects: Vec<Value>,
    /// What each query yields: always, or from each moment on.
    #[serde(default)]
    pub source: BTreeMap<String, Value>,
    /// What happens later.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// How long it runs.
    pub run: Span,
    /// What is to be seen.
    pub expect: Vec<Expectation>,
}

/// Settings of the cluster and the operator.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cluster {
    /// How often the HPA controller looks; 15 s.
    pub hpa_period: Option<Span>,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`; 300 s.
    pub hpa_downscale_stabilization: Option<Span>,
    /// `KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS`.
    pub check_unexpected_parameters: bool,
    /// Workloads have pods, which are ready at once.
    pub pods: bool,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// When.
    pub at: Moment,
    /// The answer is an error with this text.
    pub refused: Option<String>,
    /// Creates an object or merges it into the one that is there.
    pub apply: Option<Value>,
    /// Merges a patch: `Kind/name: {spec: ..}`.
    #[serde(default)]
    pub patch: BTreeMap<String, Value>,
    /// Sets (or, with null, removes) annotations: `Kind/name: {key: value}`.
    #[serde(default)]
    pub annotate: BTreeMap<String, Value>,
    /// Deletes: `Kind/name`.
    pub delete: Option<String>,
    /// Changes what queries yield.
    #[serde(default)]
    pub source: BTreeMap<String, Value>,
    /// Ends the operator and starts another.
    pub restart: Option<Restart>,
    /// What changes in Azure.
    pub azure: Option<Azure>,
    /// What the API server does from now on.
    pub api_server: Option<Trouble>,
}

/// What somebody does in Azure, or what happens there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Azure {
    /// The identity gets a federated credential for this subject.
    pub federates: Option<String>,
    /// The identity gets the role on every workspace.
    pub grants: bool,
    /// Workspaces refuse every token issued so far.
    pub revokes: bool,
    /// Every other token request fails with 503, or none any more.
    pub every_other_fails: Option<bool>,
    /// How long tokens live from now on.
    pub token_lifetime: Option<Span>,
}

/// How the operator is restarted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    /// `clean` lets it end, `killed` does not.
    pub how: How,
    /// How long there is none.
    pub away: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum How {
    Clean,
    Killed,
}

/// Trouble with the API server, for the operator only.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Trouble {
    /// Every open watch ends.
    pub drops_watches: bool,
    /// Watch history is forgotten: a watch that begins again gets 410.
    pub forgets_history: bool,
    /// Requests that fail: the next few, or all.
    pub fails: Option<Fails>,
    /// No more trouble.
    pub recovers: bool,
}

/// Which requests fail, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fails {
    /// How many; all where it is not given.
    pub next: Option<usize>,
    /// Such as `update`; any where it is not given.
    pub verb: Option<String>,
    /// Such as `deployments/scale`; any where it is not given.
    pub resource: Option<String>,
    /// 409, 429, 500, 503, or 0 for a connection that breaks.
    pub with: u16,
}

/// What is to be seen. Its parts hold at the same moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// Why this is to be expected; printed when it is not so.
    pub because: Option<String>,
    /// At this moment (counts: from the start until then).
    pub at: Option<Moment>,
    /// It becomes so within this span, and was not so before (counts: within it).
    pub within: Option<[Moment; 2]>,
    /// At every moment of this span (counts: within it).
    pub always: Option<[Moment; 2]>,
    /// Replicas of workloads: `web: 3`, `web: {is: 3, by: hpa}`, `StatefulSet/db: 1`.
    #[serde(default)]
    pub replicas: BTreeMap<String, Value>,
    /// Conditions of ScaledObjects: `web: {Ready: [False, TriggerError, part of the message]}`.
    #[serde(default)]
    pub conditions: BTreeMap<String, BTreeMap<String, Vec<Value>>>,
    /// Objects, as far as they are given: `Kind/name: {spec: {..}}`.
    #[serde(default)]
    pub objects: BTreeMap<String, Value>,
    /// Objects that are not there.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Events by reason: `KEDAScalerFailed: {count: 1, note: part of it, about: ScaledObject/web}`.
    #[serde(default)]
    pub events: BTreeMap<String, Event>,
    /// The operator wrote nothing.
    #[serde(default)]
    pub quiet: bool,
    /// How many writes the operator made: `patch scaledobjects/status: 1`.
    #[serde(default)]
    pub writes: BTreeMap<String, Count>,
    /// Why the operator decided as it did, repetitions left out: `web: [activation, active]`.
    #[serde(default)]
    pub decisions: BTreeMap<String, Vec<String>>,
    /// How often the source was asked a query.
    #[serde(default)]
    pub asked: BTreeMap<String, Count>,
    /// What the metrics service answers.
    pub metric: Option<MetricAnswer>,
}

/// Events of a reason.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Event {
    /// How many; at least one where it is not given.
    pub count: Option<Count>,
    /// Parts of the note.
    pub note: Option<String>,
    /// `Kind/name` of the object it is about.
    pub about: Option<String>,
}

/// A number, or from .. to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    Exactly(usize),
    Between([usize; 2]),
}

impl Count {
    pub(crate) fn holds(self, count: usize) -> bool {
        match self {
            Self::Exactly(wanted) => count == wanted,
            Self::Between([least, most]) => (least..=most).contains(&count),
        }
    }
}

/// The answer to an HPA's question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricAnswer {
    /// Name of the ScaledObject.
    pub of: String,
    /// Name of the metric.
    pub name: String,
    /// The quantity.
    pub is: Option<String>,
    /// Part of the error.
    pub error: Option<String>,
}

impl Scenario {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // Through a tree, so that values whose shape depends on themselves (answers, manifests) stay as written.
        let tree: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let scenario: Self = serde_json::from_value(tree).map_err(|error| error.to_string())?;
        for (query, value) in &scenario.source {
            timed(value).map_err(|error| format!("source {query:?}: {error}"))?;
        }
        Ok(scenario)
    }
}

/// An entry of `source`: one answer for ever, or answers by the moment from which they hold.
pub(crate) fn timed(value: &Value) -> Result<Vec<(Moment, Yield)>, String> {
    let by_moment = value.as_object().map(|map| {
        map.iter().map(|(key, value)| Ok((Moment::parse(key)?, value))).collect::<Result<Vec<_>, String>>()
    });
    match by_moment {
        Some(Ok(entries)) => {
            entries.into_iter().map(|(moment, value)| Ok((moment, Yield::parse(value)?))).collect()
        }
        _ => Ok(vec![(Moment::After(std::time::Duration::ZERO), Yield::parse(value)?)]),
    }
}
