#![doc = include_str!("docs.md")]

mod config;
mod extract;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use keda_scaler::{Context, Error, JsonPath, Link, Measurement, Metric};

pub use self::config::{Config, Format, ResourceKind, ValueType};
use self::extract::Extract;

/// The trigger type `kubernetes-resource`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "kubernetes-resource";
    const LABEL: &'static str = "kubernetesResourceScaler";

    fn validate(config: &Config, context: &Context) -> Result<(), String> {
        match (config.format, &config.value_location) {
            (Format::Number, Some(_)) => {
                return Err("valueLocation is only supported with json or yaml format".to_owned());
            }
            (Format::Json | Format::Yaml, None) => {
                return Err(format!("valueLocation is required for {} format", config.format.as_str()));
            }
            (Format::Json, Some(path)) => {
                JsonPath::parse(path).map_err(|why| format!("parameter \"valueLocation\": {why}"))?;
            }
            _ => {}
        }
        if config.target_value <= 0.0 && !context.as_metric_source {
            return Err("targetValue must be a float greater than 0".to_owned());
        }
        Ok(())
    }

    fn plan(config: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        let kind = config.resource_kind.as_str().to_ascii_lowercase();
        let name = format!("{kind}-{}-{}", config.resource_name, config.key);
        let metric = Metric::new(name, config.target_value).targeted_by("targetValue");
        Ok(vec![metric.activation(config.activation_target_value)])
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<Source, Error> {
        let location = config.value_location.clone().unwrap_or_default();
        let extract = Extract::new(config.format, config.value_type, location).map_err(Error::config)?;
        Ok(Source { config, extract, link })
    }
}

/// Reads one object by name.
pub struct Source {
    config: Arc<Config>,
    extract: Extract,
    link: Link,
}

impl keda_scaler::Source for Source {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        let Config { resource_kind, resource_name, key, .. } = &*self.config;
        let namespace = &self.link.context.namespace;
        let object = format!("{} {namespace}/{resource_name}", resource_kind.as_str());
        let failed = |error: Error| error.context(format!("error getting {object}"));
        let entry = match resource_kind {
            ResourceKind::ConfigMap => {
                let data = self.link.kube.config_map(namespace, resource_name).await;
                let data = data.map_err(|error| failed(error.into()))?;
                data.map(|mut data| data.remove(key).map(Ok))
            }
            ResourceKind::Secret => {
                let data = self.link.kube.secret(namespace, resource_name).await;
                let data = data.map_err(|error| failed(error.into()))?;
                data.map(|mut data| data.remove(key).map(String::from_utf8))
            }
        };
        let text = entry
            .ok_or_else(|| failed(Error::answer("not found")))?
            .ok_or_else(|| Error::answer(format!("key {key} not found in {object}")))?
            .map_err(|_| Error::answer(format!("key {key} of {object} is not text")))?;
        // Reasons never quote the entry, which may be a credential.
        let value = self.extract.value(&text);
        value.map(Measurement::from).map_err(|why| Error::answer(format!("key {key} of {object}: {why}")))
    }
}
