#![doc = include_str!("docs.md")]

#[cfg(test)]
mod tests;

use std::sync::Arc;

use keda_core::metric::{MetricSpec, Resource};
use keda_scaler::{Context, Error, Link, Metric, Unsampled};

pub use crate::pod_resource::Config;

/// The trigger type `memory`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Unsampled;

    const TYPE: &'static str = "memory";
    const LABEL: &'static str = "cpuMemoryScaler";
    const CACHEABLE: bool = false;

    fn validate(config: &Config, context: &Context) -> Result<(), String> {
        config.check(context)
    }

    fn plan(_: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        Ok(Vec::new())
    }

    fn resources(config: &Config, context: &Context) -> Result<Vec<MetricSpec>, Error> {
        Ok(vec![config.spec(Resource::Memory, context)?])
    }

    async fn connect(_: Arc<Config>, _: Link) -> Result<Unsampled, Error> {
        Ok(Unsampled)
    }
}
