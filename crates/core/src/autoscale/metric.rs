//! How many replicas one metric asks for.

use k8s_openapi::api::autoscaling::v2::{MetricSpec, MetricTarget};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use keda_api::Quantity;
use serde::Serialize;

use super::Replicas;

/// What a metric's value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The value divided by the replicas.
    AverageValue(Quantity),
    /// The value as it is.
    Value(Quantity),
}

impl Target {
    /// The target of an external metric; an average goes before a value. `None` if there is neither.
    pub fn of(target: &MetricTarget) -> Option<Self> {
        let read = |quantity: Option<&_>| quantity.and_then(|quantity| Quantity::try_from(quantity).ok());
        let average = read(target.average_value.as_ref()).map(Self::AverageValue);
        average.or_else(|| read(target.value.as_ref()).map(Self::Value))
    }
}

/// One entry of `spec.metrics`, as it was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Metric {
    /// A metric of `external.metrics.k8s.io`.
    External {
        /// Where it was asked for.
        namespace: String,
        /// Its name.
        name: String,
        /// Its selector as Go prints it, which is what people see in conditions.
        selector: String,
        /// What its value is compared with; `None` if the autoscaler does not say.
        target: Option<Target>,
        /// The values of its series, or why there are none.
        values: Result<Vec<Quantity>, String>,
    },
    /// A metric that could not be computed, of whatever kind.
    Unavailable(Failure),
}

/// Why a metric proposes nothing, as the condition ScalingActive says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Such as `FailedGetExternalMetric`.
    pub reason: String,
    /// The whole message.
    pub message: String,
}

/// What a metric is at, in the words of `status.currentMetrics`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    /// Per replica, rounded up to a thousandth.
    AverageValue(Quantity),
    /// In total.
    Value(Quantity),
}

/// A metric that was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its name in messages: `external metric <name>(<selector>)`.
    pub metric: String,
    /// What it is at.
    pub usage: Usage,
    /// Replicas that it asks for, before any limit.
    pub replicas: i32,
}

/// How far usage may be from its target without a change, in each direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub(super) down: f64,
    pub(super) up: f64,
}

impl Tolerance {
    fn accepts(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

impl Metric {
    /// An entry of `spec.metrics` of an autoscaler in `namespace`, before it was asked for: no values yet.
    pub fn unread(namespace: &str, metric: &MetricSpec) -> Self {
        match metric.external.as_ref().filter(|_| metric.type_ == "External") {
            Some(external) => Self::External {
                namespace: namespace.to_owned(),
                name: external.metric.name.clone(),
                selector: external.metric.selector.as_ref().map_or_else(|| "nil".to_owned(), go_text),
                target: Target::of(&external.target),
                values: Ok(Vec::new()),
            },
            None => Self::Unavailable(Failure::unable(
                "InvalidMetricSourceType",
                &format!("metrics of type {} are not available here", metric.type_),
            )),
        }
    }

    /// Notes what asking for it brought: the values of its series, or what the API server said.
    pub fn read(&mut self, answer: Result<Vec<Quantity>, String>) {
        if let Self::External { values, .. } = self {
            *values =
                answer.map_err(|error| format!("unable to fetch metrics from external metrics API: {error}"));
        }
    }

    pub(super) fn measure(&self, replicas: &Replicas, tolerance: Tolerance) -> Result<Measured, Failure> {
        let Self::External { namespace, name, selector, target, values } = self else {
            let Self::Unavailable(failure) = self else { return Err(Failure::unable("", "unknown metric")) };
            return Err(failure.clone());
        };
        let failed = |cause: &str| {
            let metric = format!("unable to get external metric {namespace}/{name}/{selector}: {cause}");
            Failure::unable("FailedGetExternalMetric", &metric)
        };
        let values = values.as_ref().map_err(|cause| failed(cause))?;
        if values.is_empty() {
            return Err(failed("no metrics returned from external metrics API"));
        }
        let values = values.iter().map(|value| clamped(value.milli()));
        let (usage, replicas) = match target {
            Some(Target::AverageValue(target)) => average(values, positive(*target)?, replicas, tolerance),
            Some(Target::Value(target)) => total(values, positive(*target)?, replicas, tolerance)?,
            None => {
                return Err(Failure::unable(
                    "FailedGetExternalMetric",
                    "invalid external metric source: neither a value target nor an average value target was set",
                ));
            }
        };
        Ok(Measured { metric: format!("external metric {name}({selector})"), usage, replicas })
    }
}

impl Failure {
    /// A failure in the controller's words: its message is about the replica count that could not be computed.
    pub fn unable(reason: impl Into<String>, cause: &str) -> Self {
        let message = format!("the HPA was unable to compute the replica count: {cause}");
        Self { reason: reason.into(), message }
    }
}

/// A target in thousandths. The API server refuses any other.
fn positive(target: Quantity) -> Result<f64, Failure> {
    let milli = target.milli();
    let refused =
        || Failure::unable("FailedGetExternalMetric", &format!("the target {target} is not positive"));
    if milli > 0 { Ok(clamped(milli) as f64) } else { Err(refused()) }
}

/// A target for each replica. The controller takes a negative sum for an overflow, so it asks for as many as there may
/// be; that is kept.
fn average(
    values: impl Iterator<Item = i64>,
    target: f64,
    replicas: &Replicas,
    tolerance: Tolerance,
) -> (Usage, i32) {
    let mut usage = 0i64;
    for value in values {
        usage = usage.checked_add(value).filter(|sum| *sum >= 0).unwrap_or(i64::MAX);
        if usage == i64::MAX {
            break;
        }
    }
    let (used, reported) = (usage as f64, f64::from(replicas.reported));
    let wanted = if tolerance.accepts(used / (target * reported)) {
        replicas.reported
    } else {
        whole((used / target).ceil())
    };
    // Without replicas there is no average; the controller divides by zero and shows what comes of it.
    let each =
        if usage == i64::MAX || replicas.reported <= 0 { usage } else { (used / reported).ceil() as i64 };
    (Usage::AverageValue(Quantity::from_milli(each)), wanted)
}

/// A target for all replicas together, in proportion to those that are ready.
fn total(
    values: impl Iterator<Item = i64>,
    target: f64,
    replicas: &Replicas,
    tolerance: Tolerance,
) -> Result<(Usage, i32), Failure> {
    let mut usage = 0i64;
    for value in values {
        usage = usage.saturating_add(value);
        if usage == i64::MAX {
            break;
        }
    }
    let ratio = usage as f64 / target;
    let wanted = if replicas.asked == 0 {
        whole(ratio.ceil())
    } else if tolerance.accepts(ratio) {
        replicas.asked
    } else {
        let ready = replicas.ready.ok_or_else(|| {
            let cause = "unable to calculate ready pods: no pods returned by selector while calculating replica count";
            Failure::unable("FailedGetExternalMetric", cause)
        })?;
        whole((ratio * f64::from(ready)).ceil())
    };
    Ok((Usage::Value(Quantity::from_milli(usage)), wanted))
}

/// Thousandths as the controller holds them.
fn clamped(milli: i128) -> i64 {
    i64::try_from(milli).unwrap_or(if milli < 0 { i64::MIN } else { i64::MAX })
}

/// A count of replicas; more than fit are as many as fit.
fn whole(replicas: f64) -> i32 {
    // A cast saturates, and NaN becomes zero.
    replicas as i32
}

/// A selector as Go prints it, which is what people see in conditions.
fn go_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten();
    let labels: String = labels.map(|(key, value)| format!("{key}: {value},")).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
    )
}
