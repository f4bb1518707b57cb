//! What a trigger tells the HPA: a metric name, how to compare, and a target; and how numbers become quantities.
//!
//! A trigger's plan produces [`MetricSpec`]s, [`crate::hpa`] writes them into the HPA, and the metrics service answers
//! for the names of the external ones; cpu and memory the HPA reads by itself. Numbers have three decimals everywhere (`pkg/scalers/scaler.go`), so what the HPA divides is
//! what a person reads.

use keda_api::Quantity;
use serde::Serialize;

/// How the HPA compares a metric with its target (autoscaling/v2 `MetricTarget.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum TargetType {
    /// The metric divided by the replicas.
    #[default]
    AverageValue,
    /// The metric as it is.
    Value,
    /// A percentage of the pods' requests; only for cpu and memory.
    Utilization,
}

impl TargetType {
    /// Reads `triggers[].metricType`; unset or empty is `AverageValue`.
    ///
    /// # Errors
    /// [`Error::UnknownType`]. Upstream hands any word on to the API server, which then refuses the HPA.
    pub fn parse(word: Option<&str>) -> Result<Self, Error> {
        match word.unwrap_or_default() {
            "" | "AverageValue" => Ok(Self::AverageValue),
            "Value" => Ok(Self::Value),
            "Utilization" => Ok(Self::Utilization),
            other => Err(Error::UnknownType(other.to_owned())),
        }
    }

    /// As [`TargetType::parse`], for a resource metric, which has no default.
    ///
    /// # Errors
    /// [`Error::UnknownResourceType`] for everything but `Utilization` and `AverageValue`.
    pub fn parse_resource(word: Option<&str>) -> Result<Self, Error> {
        match word.unwrap_or_default() {
            "AverageValue" => Ok(Self::AverageValue),
            "Utilization" => Ok(Self::Utilization),
            other => Err(Error::UnknownResourceType(other.to_owned())),
        }
    }

    /// As [`TargetType::parse`], for an external metric.
    ///
    /// # Errors
    /// [`Error::Utilization`] too, which external metrics do not have.
    pub fn parse_external(word: Option<&str>) -> Result<Self, Error> {
        match Self::parse(word)? {
            Self::Utilization => Err(Error::Utilization),
            usable => Ok(usable),
        }
    }

    /// The word as manifests and the HPA write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AverageValue => "AverageValue",
            Self::Value => "Value",
            Self::Utilization => "Utilization",
        }
    }
}

impl std::fmt::Display for TargetType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One metric of an HPA.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricSpec {
    /// A number that the operator answers for, by name.
    External {
        /// `s<index>-<part>`, unique in the object.
        name: String,
        /// How the HPA compares.
        target_type: TargetType,
        /// What one replica (or all, see `target_type`) should carry.
        target: Quantity,
    },
    /// A resource of the pods, which the HPA reads by itself from `metrics.k8s.io`. Nobody else samples it.
    Resource {
        /// Which one.
        resource: Resource,
        /// Of this container only; of the whole pod without it.
        container: Option<String>,
        /// `Utilization` or `AverageValue`.
        target_type: TargetType,
        /// Percent of what the pods request, as a whole number, or the amount for one pod.
        target: Quantity,
    },
}

/// What pods use of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Resource {
    /// Cores.
    Cpu,
    /// Bytes.
    Memory,
}

impl Resource {
    /// The name in the HPA.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

impl MetricSpec {
    /// The `type` of the entry in the HPA, by which its list is sorted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::External { .. } => "External",
            Self::Resource { container: None, .. } => "Resource",
            Self::Resource { container: Some(_), .. } => "ContainerResource",
        }
    }

    /// The name in the HPA: of an external metric, or of a resource (`cpu`, `memory`).
    pub fn name(&self) -> &str {
        match self {
            Self::External { name, .. } => name,
            Self::Resource { resource, .. } => resource.as_str(),
        }
    }

    /// The name of an external metric: what the HPA asks the operator for. None for what it reads by itself.
    pub fn external_name(&self) -> Option<&str> {
        match self {
            Self::External { name, .. } => Some(name),
            Self::Resource { .. } => None,
        }
    }

    /// How the HPA compares the metric with its target.
    pub fn target_type(&self) -> TargetType {
        match self {
            Self::External { target_type, .. } | Self::Resource { target_type, .. } => *target_type,
        }
    }

    /// The target, as a quantity; a utilization in percent.
    pub fn target(&self) -> &Quantity {
        match self {
            Self::External { target, .. } | Self::Resource { target, .. } => target,
        }
    }

    /// Whether the API server would take this metric. Asked before an HPA is built; a trigger whose value only feeds a
    /// formula never gets that far and may have a target of zero.
    ///
    /// # Errors
    /// [`Error::Slash`], [`Error::Utilization`], [`Error::NotPositive`]; of a resource [`Error::UnknownResourceType`],
    /// [`Error::ResourceNotPositive`].
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::External { name, target_type, target } => {
                if name.contains('/') {
                    return Err(Error::Slash(name.clone()));
                }
                if *target_type == TargetType::Utilization {
                    return Err(Error::Utilization);
                }
                if target.is_zero() || target.is_negative() {
                    return Err(Error::NotPositive { metric: name.clone(), target: target.to_string() });
                }
                Ok(())
            }
            Self::Resource { resource, target_type, target, .. } => {
                if *target_type == TargetType::Value {
                    return Err(Error::UnknownResourceType(target_type.to_string()));
                }
                if target.is_zero() || target.is_negative() {
                    let metric = resource.as_str();
                    return Err(Error::ResourceNotPositive { metric, target: target.to_string() });
                }
                Ok(())
            }
        }
    }
}

/// Why a metric cannot be part of an HPA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Percentages exist for cpu and memory only. The text is upstream's.
    #[error(
        "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or 'AverageValue'"
    )]
    Utilization,
    /// No such metric type.
    #[error("unknown metric type: {0}, allowed values are 'Value' or 'AverageValue'")]
    UnknownType(String),
    /// No such type for cpu and memory. The text is upstream's.
    #[error("unknown metric type: {0}, allowed values are 'Utilization' or 'AverageValue'")]
    UnknownResourceType(String),
    /// The API server takes positive targets only.
    #[error("metric {metric}: an HPA target must be positive, got {target}")]
    ResourceNotPositive {
        /// `cpu` or `memory`.
        metric: &'static str,
        /// Its target.
        target: String,
    },
    /// Zero, negative, or below what three decimals can show.
    #[error("metric {metric}: an HPA target must be positive, got {target} (targets have three decimals)")]
    NotPositive {
        /// The metric.
        metric: String,
        /// Its target as the HPA would have shown it.
        target: String,
    },
    /// The API server takes the name as a path segment.
    #[error("metric name \"{0}\" may not contain '/'")]
    Slash(String),
}

/// Most that a Kubernetes quantity holds, in thousandths.
const MAX_MILLI: i128 = i64::MAX as i128 * 1000;

/// A whole number as a target or value.
pub fn integer(value: i64) -> Quantity {
    Quantity::from(value)
}

/// A number as a target or value: three decimals, and zero for what is not a finite number above it (upstream's float
/// helper, `pkg/scalers/scaler.go`). Activity compares the number itself, before this.
pub fn clamped(value: f64) -> Quantity {
    Quantity::from_milli(milli(value))
}

/// The three-decimal text of a number, clamped as in [`clamped`]: `2.500`.
pub fn milli_text(value: f64) -> String {
    decimals(milli(value))
}

/// Thousandths, not negative, as a decimal text.
fn decimals(milli: i128) -> String {
    format!("{}.{:03}", milli / 1000, milli % 1000)
}

/// Thousandths of a number, rounded as decimal text rounds (half to even on the exact binary value), so that it agrees
/// with what upstream prints.
fn milli(value: f64) -> i128 {
    if !value.is_finite() || value <= 0.0 {
        return 0;
    }
    if value >= i64::MAX as f64 {
        return MAX_MILLI;
    }
    let digits: String = format!("{value:.3}").chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(MAX_MILLI)
}

/// A quantity in the text upstream's HPAs carry: it sends three decimals, and the API server keeps some of them as they
/// are (`2.500`) and shortens others (`1k`, `2m`).
pub(crate) fn hpa_text(quantity: &Quantity) -> String {
    let milli = quantity.milli();
    if milli < 0 || Quantity::from_milli(milli) != *quantity {
        return quantity.to_string();
    }
    Quantity::kept_text(&decimals(milli)).unwrap_or_else(|_| quantity.to_string())
}

#[cfg(test)]
mod tests;
