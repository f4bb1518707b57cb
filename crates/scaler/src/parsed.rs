//! A trigger after parse and plan: what reconciling, admission and lint need, and the way to connect.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
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
    typed: Arc<dyn Typed>,
    remote: bool,
    pushes: bool,
    /// Of everything it was parsed from.
    digest: u64,
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
    if T::REMOTE {
        // Else it would be found when the source first answers.
        TargetType::parse_external(context.metric_type.as_deref())
            .map_err(|error| Error::config(error.to_string()))?;
    }
    let metrics = T::plan(&config, context).map_err(|error| hidden(&findings.secrets, error))?;
    let mut specs = specs(&metrics, context, Naming::Normalised)?;
    let label =
        context.trigger_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| T::LABEL.to_owned());
    let subjects = subjects(T::TYPE, context, &label, &specs);
    specs.extend(T::resources(&config, context)?);
    let mut notices = findings.notices;
    notices.extend(T::notices(&config, context));
    notices.extend(context.destinations.review(given)?);
    notices.extend(unread(
        given,
        T::Config::parameters(),
        T::Config::takes_all(),
        T::TYPE,
        context.trigger_name.as_deref(),
    ));
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
            typed: Arc::new(Configured::<T>(Arc::new(config))),
            remote: T::REMOTE,
            pushes: T::PUSHES,
            digest: digest(T::TYPE, given, context),
        }),
    })
}

/// What becomes of the names of metrics. Upstream leaves those that a source chose as they are.
#[derive(Clone, Copy)]
enum Naming {
    Normalised,
    Verbatim,
}

fn digest(trigger_type: &str, given: &Parameters, context: &Context) -> u64 {
    let mut hasher = DefaultHasher::new();
    (trigger_type, &given.metadata, &given.auth, &given.env).hash(&mut hasher);
    format!("{context:?}").hash(&mut hasher);
    hasher.finish()
}

/// What the HPA is told of the metrics.
fn specs(metrics: &[Metric], context: &Context, naming: Naming) -> Result<Vec<MetricSpec>, Error> {
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
        let part = match naming {
            Naming::Normalised => names::normalize(&planned.name),
            Naming::Verbatim => planned.name.clone(),
        };
        let name = names::with_index(context.index, &part);
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

fn subjects(
    trigger_type: &'static str,
    context: &Context,
    label: &str,
    specs: &[MetricSpec],
) -> Vec<Arc<Subject>> {
    let subject = |spec: &MetricSpec| {
        Arc::new(Subject {
            object_kind: context.object_kind.clone(),
            namespace: context.namespace.clone(),
            object_name: context.object_name.clone(),
            trigger_index: context.index,
            trigger_type,
            trigger_name: context.trigger_name.clone().unwrap_or_default(),
            label: label.to_owned(),
            metric: spec.name().to_owned(),
            feeds_formula: context.as_metric_source,
        })
    };
    specs.iter().map(subject).collect()
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

    /// Whether only the source knows which metrics there are.
    pub fn is_remote(&self) -> bool {
        self.shared.remote
    }

    /// Whether the source speaks up by itself.
    pub fn pushes(&self) -> bool {
        self.shared.pushes
    }

    /// Whether it is known which metrics there are. Until then a remote trigger cannot be sampled, and [`Parsed::specs`] are
    /// not all.
    pub fn is_planned(&self) -> bool {
        !self.shared.remote || !self.shared.metrics.is_empty()
    }

    /// Whether both were parsed from the same, credentials and environment included.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shared.digest == other.shared.digest
    }

    /// The same trigger with the metrics that its source says there are.
    ///
    /// # Errors
    /// There is none, or one that an HPA cannot have.
    pub fn planned(&self, metrics: Vec<Metric>) -> Result<Self, Error> {
        let old = &self.shared;
        if metrics.is_empty() {
            return Err(Error::answer("got empty metric spec"));
        }
        let specs = specs(&metrics, &old.context, Naming::Verbatim)?;
        let subjects = subjects(old.trigger_type, &old.context, &old.label, &specs);
        Ok(Self {
            shared: Arc::new(Shared {
                trigger_type: old.trigger_type,
                context: old.context.clone(),
                metrics,
                subjects,
                secrets: old.secrets.clone(),
                deadline: old.deadline,
                label: old.label.clone(),
                specs,
                notices: old.notices.clone(),
                typed: old.typed.clone(),
                remote: old.remote,
                pushes: old.pushes,
                digest: old.digest,
            }),
        })
    }

    /// As [`Parsed::planned`], with the metrics that an HPA was made from when the source could still be asked: of its external
    /// metrics those of this trigger. `None` where there is none.
    pub fn planned_as<'a>(&self, specs: impl IntoIterator<Item = (&'a str, f64)>) -> Option<Self> {
        let prefix = names::with_index(self.shared.context.index, "");
        let own = specs.into_iter().filter_map(|(name, target)| Some((name.strip_prefix(&prefix)?, target)));
        let metrics: Vec<Metric> = own.map(|(name, target)| Metric::new(name, target)).collect();
        self.planned(metrics).ok()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
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
