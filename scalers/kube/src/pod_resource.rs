//! What `cpu` and `memory` have in common: the parameters, and how they become an entry of the HPA (core.md 9.1,
//! `pkg/scalers/cpu_memory_scaler.go`).

use keda_api::Quantity;
use keda_core::metric::{MetricSpec, Resource, TargetType};
use keda_scaler::{Context, Error, TriggerConfig};

/// What a manifest says about a `cpu` or `memory` trigger. The trigger's `metricType` says what `value` means.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// What a pod should use: percent of its requests for the metric type `Utilization`, an amount such as `500m` or
    /// `100Mi` for `AverageValue`.
    #[param(from(metadata))]
    pub value: String,

    /// Look at this container only, not at the whole pod.
    #[param(from(metadata))]
    pub container_name: Option<String>,

    /// Removed: the trigger's `metricType` took its place.
    #[param(
        name = "type",
        from(metadata),
        one_of("Utilization", "AverageValue"),
        deprecated = "the parameter 'type' was removed, say metricType beside metadata instead"
    )]
    pub removed_type: Option<String>,
}

impl Config {
    /// Whether type and value of the target fit together. A missing value is reported by itself.
    pub(crate) fn check(&self, context: &Context) -> Result<(), String> {
        let target_type = target_type(context)?;
        if self.value.is_empty() {
            return Ok(());
        }
        self.target(target_type).map(|_| ())
    }

    /// The entry in the HPA.
    pub(crate) fn spec(&self, resource: Resource, context: &Context) -> Result<MetricSpec, Error> {
        let target_type = target_type(context).map_err(Error::config)?;
        let target = self.target(target_type).map_err(Error::config)?;
        let spec =
            MetricSpec::Resource { resource, container: self.container_name.clone(), target_type, target };
        // Upstream leaves this to the API server, whose refusal names no trigger.
        spec.check().map_err(|error| {
            Error::config(error.to_string()).context(format!("parameter \"value\" value {:?}", self.value))
        })?;
        Ok(spec)
    }

    fn target(&self, target_type: TargetType) -> Result<Quantity, String> {
        let value = &self.value;
        if target_type == TargetType::Utilization {
            let percent = value.parse::<i32>().map_err(|_| {
                format!(
                    "parameter \"value\" value {value:?} must be a whole number of percent for Utilization"
                )
            })?;
            return Ok(Quantity::from(percent));
        }
        value.parse().map_err(|error| {
            format!(
                "parameter \"value\" value {value:?} must be a quantity such as 500m or 100Mi for AverageValue: {error}"
            )
        })
    }
}

fn target_type(context: &Context) -> Result<TargetType, String> {
    TargetType::parse_resource(context.metric_type.as_deref()).map_err(|error| error.to_string())
}
