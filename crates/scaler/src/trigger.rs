//! What a trigger is made of.
//!
//! A trigger has three steps: *parse* (pure: texts to a typed config), *plan* (pure: metric names and targets) and
//! *connect* and *sample* (async). Admission and lint stop after plan, and reconciling never dials. Everything that all
//! triggers have in common (name prefix, activation, clamping, deadlines, telemetry, panics, secrets) is done by the
//! frame in [`crate::Parsed`] and [`crate::Live`]; a trigger holds only what is its own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keda_core::metric::MetricSpec;

use crate::config::TriggerConfig;
use crate::link::Link;
use crate::push::Signals;
use crate::registry::Notice;
use crate::{Context, Error};

/// One type of trigger. Implemented by a unit type called `Trigger` in the trigger's module, which
/// [`scalers!`](crate::scalers) finds by that name.
pub trait Trigger: 'static {
    /// The declaration of its parameters.
    type Config: TriggerConfig;
    /// What sampling holds on to.
    type Source: Source;

    /// The `type` that manifests name.
    const TYPE: &'static str;
    /// Upstream's Go type name, the `scaler` label of a trigger without a name (platform.md 5.1).
    const LABEL: &'static str;
    /// Whether `useCachedMetrics` is allowed.
    const CACHEABLE: bool = true;
    /// Whether only the source knows which metrics there are: then [`Trigger::plan`] has none, and [`Source::metrics`] says.
    const REMOTE: bool = false;
    /// Whether the source speaks up by itself: [`Source::listen`].
    const PUSHES: bool = false;

    /// Rules between parameters. Runs even where parameters were missing or wrong, over empty values, as upstream's do.
    ///
    /// # Errors
    /// What is wrong, for the person who wrote the manifest.
    fn validate(config: &Self::Config, context: &Context) -> Result<(), String> {
        let _ = (config, context);
        Ok(())
    }

    /// The metrics this trigger will answer for; none if it only has [`Trigger::resources`].
    ///
    /// # Errors
    /// What a valid manifest asks for and cannot have.
    fn plan(config: &Self::Config, context: &Context) -> Result<Vec<Metric>, Error>;

    /// The resources of the target's pods that the HPA has to look at by itself, for triggers that have no number of
    /// their own (`cpu`, `memory`). They are part of the HPA and are never sampled.
    ///
    /// # Errors
    /// As [`Trigger::plan`].
    fn resources(config: &Self::Config, context: &Context) -> Result<Vec<MetricSpec>, Error> {
        let _ = (config, context);
        Ok(Vec::new())
    }

    /// What the author of a working manifest should know, e.g. parameters without effect.
    fn notices(config: &Self::Config, context: &Context) -> Vec<Notice> {
        let _ = (config, context);
        Vec::new()
    }

    /// Deadline of one sample (and of connecting). A trigger with a timeout of its own, or with several calls a sample,
    /// says so here.
    fn deadline(config: &Self::Config, context: &Context) -> Duration {
        let _ = config;
        context.http_timeout
    }

    /// Prepares sampling: checks credentials, dials where the protocol needs a session. HTTP triggers have nothing to
    /// dial.
    fn connect(
        config: Arc<Self::Config>,
        link: Link,
    ) -> impl Future<Output = Result<Self::Source, Error>> + Send;
}

/// The source of a trigger that has nothing to sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsampled;

impl Source for Unsampled {
    async fn sample(&self, metric: &Metric) -> Result<Measurement, Error> {
        Err(Error::unsupported(format!("metric {} is read by the HPA itself", metric.name)))
    }
}

/// A connected trigger.
pub trait Source: Send + Sync + 'static {
    /// The present value of one of the planned metrics.
    fn sample(&self, metric: &Metric) -> impl Future<Output = Result<Measurement, Error>> + Send;

    /// The metrics there are, of a trigger that is [remote](Trigger::REMOTE). Their names are used as they are.
    fn metrics(&self) -> impl Future<Output = Result<Vec<Metric>, Error>> + Send {
        std::future::ready(Err(Error::unsupported("its metrics are those of its plan")))
    }

    /// Hears what the source says by itself, of a trigger that [pushes](Trigger::PUSHES): as long as it is polled, without a
    /// deadline. Returns where there is nothing to hear, for good.
    fn listen(&self, signals: &Signals) -> impl Future<Output = ()> + Send {
        let _ = signals;
        std::future::ready(())
    }
}

/// One metric of a plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The trigger's part of the name; the frame normalises it and adds the prefix.
    pub name: String,
    /// What the HPA compares with.
    pub target: Target,
    /// The parameter that sets the target, for errors that say what to change.
    pub target_parameter: &'static str,
    /// The trigger is active while the value is above this, strictly.
    pub activation: f64,
}

impl Metric {
    /// A metric that is active above 0.
    pub fn new(name: impl Into<String>, target: impl Into<Target>) -> Self {
        Self { name: name.into(), target: target.into(), target_parameter: "", activation: 0.0 }
    }

    /// The same, with the name of the parameter that sets the target.
    pub fn targeted_by(mut self, parameter: &'static str) -> Self {
        self.target_parameter = parameter;
        self
    }

    /// The same, active above `activation`.
    pub fn activation(mut self, activation: f64) -> Self {
        self.activation = activation;
        self
    }
}

/// A target, as the parameter that sets it is typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A whole number, passed on exactly.
    Integer(i64),
    /// A number, passed on with three decimals.
    Float(f64),
}

impl From<i64> for Target {
    fn from(target: i64) -> Self {
        Self::Integer(target)
    }
}

impl From<f64> for Target {
    fn from(target: f64) -> Self {
        Self::Float(target)
    }
}

/// What a source says about one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// The value.
    pub value: f64,
    /// Activity as the source itself decides it; without it the frame compares the value with the activation.
    pub active: Option<bool>,
}

impl Measurement {
    /// A value whose source decides activity itself.
    pub fn with_activity(value: f64, active: bool) -> Self {
        Self { value, active: Some(active) }
    }
}

impl From<f64> for Measurement {
    fn from(value: f64) -> Self {
        Self { value, active: None }
    }
}
