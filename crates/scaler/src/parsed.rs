//! A trigger after parse and plan: what reconciling, admission and lint need, and the way to connect.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use keda_core::metric::{self, MetricSpec, TargetType};
use keda_core::names;

use crate::config::{Lookup, Secrets, TriggerConfig, unread};
use crate::link::Link;
use crate::live::{AnySource, Live, contained};
use crate::registry::Notice;
use crate::telemetry::Subject;
use crate::trigger::{Metric, Target, Trigger};
use crate::{Context, Environment, Error, Parameters, Secret};

/// A valid trigger with its plan. Immutable and cheap to clone; holds credentials, shows none.
#[derive(Clone)]
pub struct Parsed {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) trigger_type: &'static str,
    pub(crate) context: Arc<Context>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) subjects: Vec<Arc<Subject>>,
    pub(crate) secrets: Vec<Secret>,
    /// Deadline of connecting and of each sample.
    pub(crate) deadline: Duration,
    label: String,
    specs: Vec<MetricSpec>,
    notices: Vec<Notice>,
    typed: Box<dyn Typed>,
}

/// The part that knows the trigger's own types.
trait Typed: Send + Sync {
    fn connect(&self, link: Link) -> BoxFuture<'static, Result<Box<dyn AnySource>, Error>>;
    fn values(&self, secrets: Secrets) -> serde_json::Map<String, serde_json::Value>;
}

struct Configured<T: Trigger>(Arc<T::Config>);

impl<T: Trigger> Typed for Configured<T> {
    fn connect(&self, link: Link) -> BoxFuture<'static, Result<Box<dyn AnySource>, Error>> {
        let config = self.0.clone();
        async move { T::connect(config, link).await.map(|source| Box::new(source) as Box<dyn AnySource>) }
            .boxed()
    }

    fn values(&self, secrets: Secrets) -> serde_json::Map<String, serde_json::Value> {
        let mut values = serde_json::Map::new();
        self.0.values(secrets, &mut values);
        values
    }
}

/// Parse and plan, as [`crate::Factory`] offers them.
pub(crate) fn parse<T: Trigger>(given: &Parameters, context: &Context) -> Result<Parsed, Error> {
    let mut lookup = Lookup::new(given, T::TYPE);
    let config = T::Config::read(&mut lookup);
    lookup.check(T::validate(&config, context));
    let findings = lookup.finish();
    if !findings.errors.is_empty() {
        let faults = findings.errors.join("\n");
        return Err(hidden(
            &findings.secrets,
            Error::config(format!("error parsing {} metadata: {faults}", T::TYPE)),
        ));
    }
    if context.use_cached_metrics && !T::CACHEABLE {
        let text = format!("property \"useCachedMetrics\" is not supported for \"{}\" scaler", T::TYPE);
        return Err(Error::config(text));
    }
    let metrics = T::plan(&config, context).map_err(|error| hidden(&findings.secrets, error))?;
    let mut specs = specs(&metrics, context)?;
    let label =
        context.trigger_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| T::LABEL.to_owned());
    let subjects = specs.iter().map(|spec| Arc::new(subject::<T>(context, &label, spec.name()))).collect();
    specs.extend(T::resources(&config, context)?);
    let mut notices = findings.notices;
    notices.extend(T::notices(&config, context));
    notices.extend(context.destinations.review(given)?);
    notices.extend(unread(given, T::Config::parameters(), T::TYPE, context.trigger_name.as_deref()));
    Ok(Parsed {
        shared: Arc::new(Shared {
            trigger_type: T::TYPE,
            context: Arc::new(context.clone()),
            deadline: T::deadline(&config, context),
            metrics,
            subjects,
            secrets: findings.secrets,
            label,
            specs,
            notices,
            typed: Box::new(Configured::<T>(Arc::new(config))),
        }),
    })
}

/// What the HPA is told of the metrics.
fn specs(metrics: &[Metric], context: &Context) -> Result<Vec<MetricSpec>, Error> {
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |error: metric::Error| Error::config(error.to_string());
    let target_type = TargetType::parse_external(context.metric_type.as_deref()).map_err(refused)?;
    let spec = |planned: &Metric| {
        let target = match planned.target {
            Target::Integer(target) => metric::integer(target),
            Target::Float(target) => metric::clamped(target),
        };
        let name = names::with_index(context.index, &names::normalize(&planned.name));
        let spec = MetricSpec::External { name, target_type, target };
        // A trigger that feeds a formula is compared with the formula's target, never with its own.
        if !context.as_metric_source {
            spec.check().map_err(|error| match planned.target_parameter {
                "" => refused(error),
                parameter => {
                    let given = match planned.target {
                        Target::Integer(target) => target.to_string(),
                        Target::Float(target) => target.to_string(),
                    };
                    refused(error).context(format!("parameter {parameter:?} value {given:?}"))
                }
            })?;
        }
        Ok(spec)
    };
    metrics.iter().map(spec).collect()
}

fn subject<T: Trigger>(context: &Context, label: &str, metric: &str) -> Subject {
    Subject {
        object_kind: context.object_kind.clone(),
        namespace: context.namespace.clone(),
        object_name: context.object_name.clone(),
        trigger_index: context.index,
        trigger_type: T::TYPE,
        trigger_name: context.trigger_name.clone().unwrap_or_default(),
        label: label.to_owned(),
        metric: metric.to_owned(),
        feeds_formula: context.as_metric_source,
    }
}

/// The error without any of the trigger's credentials in its text, whoever put them there.
pub(crate) fn hidden(secrets: &[Secret], mut error: Error) -> Error {
    for secret in secrets {
        if let Some(text) = secret.hide_in(&error.message) {
            error.message = text;
        }
    }
    error
}

impl Parsed {
    /// The metrics for the HPA: those that are sampled, in the order of their outcomes and with their `s<index>-` prefix,
    /// then those that the HPA reads by itself.
    pub fn specs(&self) -> &[MetricSpec] {
        &self.shared.specs
    }

    /// Whether there is anything to sample. False for triggers whose metrics the HPA reads by itself (`cpu`, `memory`):
    /// they need no connection, and what is said of activity does not come from them.
    pub fn is_sampled(&self) -> bool {
        !self.shared.metrics.is_empty()
    }

    /// What the manifest's author should know.
    pub fn notices(&self) -> &[Notice] {
        &self.shared.notices
    }

    /// The `type` that the manifest names.
    pub fn trigger_type(&self) -> &'static str {
        self.shared.trigger_type
    }

    /// The trigger's name, else upstream's Go type name, e.g. `prometheusScaler`.
    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// Where the trigger stands.
    pub fn context(&self) -> &Context {
        &self.shared.context
    }

    /// Deadline of connecting and of each sample.
    pub fn deadline(&self) -> Duration {
        self.shared.deadline
    }

    /// The parameters' values by name, for people.
    pub fn values(&self, secrets: Secrets) -> serde_json::Map<String, serde_json::Value> {
        self.shared.typed.values(secrets)
    }

    /// Makes the trigger ready to be sampled, within its deadline. Never called while reconciling.
    ///
    /// # Errors
    /// Unusable credentials, a source that needs a session and does not give one, or a panic of the trigger.
    pub async fn connect(&self, environment: &Environment) -> Result<Live, Error> {
        let shared = &self.shared;
        let subject = shared.subjects.first().cloned().unwrap_or_default();
        let link = Link::new(environment, shared.context.clone(), subject);
        let connecting = async { shared.typed.connect(link).await };
        let source = contained(shared, "while it connected", connecting).await?;
        Ok(Live::new(shared.clone(), source, environment.telemetry.clone()))
    }
}

/// Shows no parameter: they may be credentials.
impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed")
            .field("trigger_type", &self.trigger_type())
            .field("label", &self.label())
            .field("specs", &self.specs())
            .finish_non_exhaustive()
    }
}
