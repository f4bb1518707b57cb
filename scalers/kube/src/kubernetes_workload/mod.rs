#![doc = include_str!("docs.md")]

mod config;
mod selector;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use keda_scaler::kube::Pod;
use keda_scaler::{Context, Error, Link, Measurement, Metric};

pub use self::config::Config;

/// The trigger type `kubernetes-workload`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "kubernetes-workload";
    const LABEL: &'static str = "kubernetesWorkloadScaler";

    fn validate(config: &Config, context: &Context) -> Result<(), String> {
        if !config.pod_selector.is_empty() {
            selector::check(&config.pod_selector).map_err(|why| {
                format!(
                    "parameter \"podSelector\" value {:?} is not a label selector: {why}",
                    config.pod_selector
                )
            })?;
        }
        if config.value <= 0.0 && !context.as_metric_source {
            return Err("value must be a float greater than 0".to_owned());
        }
        Ok(())
    }

    fn plan(config: &Config, context: &Context) -> Result<Vec<Metric>, Error> {
        let metric = Metric::new(format!("workload-{}", context.namespace), config.value);
        Ok(vec![metric.targeted_by("value").activation(config.activation_value)])
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<Source, Error> {
        Ok(Source { config, link })
    }
}

/// Lists pods.
pub struct Source {
    config: Arc<Config>,
    link: Link,
}

impl keda_scaler::Source for Source {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        let Config { pod_selector, group_by_node, .. } = &*self.config;
        let namespace = &self.link.context.namespace;
        let pods = self.link.kube.pods(namespace, pod_selector).await.map_err(|error| {
            Error::from(error).context(format!("error listing the pods of namespace {namespace}"))
        })?;
        let alive = pods.iter().filter(|pod| is_alive(pod));
        let count = if *group_by_node {
            let nodes: BTreeSet<&str> =
                alive.map(|pod| pod.node.as_str()).filter(|node| !node.is_empty()).collect();
            nodes.len()
        } else {
            alive.count()
        };
        Ok(Measurement::from(count as f64))
    }
}

/// Everything that has not ended: a pod that waits, or whose node is away, or that is being deleted, counts.
fn is_alive(pod: &Pod) -> bool {
    !matches!(pod.phase.as_str(), "Succeeded" | "Failed")
}
