//! The metrics service: what an HPA asks, through the adapter, arrives here (core.md §§4.2, 4.3).
//!
//! A value comes from the same triggers, the same frame and the same samples as the poll's. A sample younger than a
//! second is not asked for again; `useCachedMetrics` answers from the last poll; everything else asks the source. Fallback and
//! formula are applied as the poll applies them ([`crate::values`]); a failure here is counted nowhere.

use std::sync::Arc;

use futures::future::join_all;
use keda_api::Quantity;
use keda_core::{
    fallback::Answer,
    formula::COMPOSITE,
    metric::{self, MetricSpec},
};
use keda_metrics_service::api::{
    self, ExternalMetricValue, ExternalMetricValueList, ListMeta, ScaledObjectRef, Time,
    metrics_service_server::MetricsService,
};
use keda_scaler::Reading;
use keda_telemetry::metrics::{Kind, Method};
use tonic::{Request, Response, Status};

use crate::{
    controller::Controller,
    index::ObjectKey,
    raw_metrics::{Occasion, RawMetrics},
    samples::{FRESH, ObjectHandle, Sample, TriggerSet, TriggerSlot},
    values::Read,
};

/// The answer to "what is this metric now", for the gRPC service and for tests that need no socket.
#[derive(Clone)]
pub struct Metrics {
    controller: Arc<Controller>,
    calls: Method,
}

/// Why there is no value. The texts are upstream's, which users find in their HPA's events.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// No such ScaledObject, or it has no triggers to ask at present (paused, not valid).
    #[error("error getting scalers {0}")]
    Object(String),
    /// The object is there and was not looked at yet: this process has just started. Not an answer, so whoever has an
    /// older one goes on with it.
    #[error("scaledobject {0} was not reconciled yet, the operator has just started")]
    NotYet(ObjectKey),
    /// The object has no such metric.
    #[error("no matching metrics found for {0}")]
    Metric(String),
    /// The source could not be read; the object's condition and events say why.
    #[error("metric:{0} encountered error")]
    Source(String),
}

/// A metric's value as an HPA is told it.
#[derive(Clone, Debug)]
pub struct Value {
    /// The name that was asked for.
    pub metric: String,
    /// Kubernetes quantity in milli units, never negative.
    pub quantity: Quantity,
}

impl Metrics {
    /// Metrics of a controller's objects.
    #[must_use]
    pub fn new(controller: Arc<Controller>) -> Self {
        let calls = controller.metrics().grpc().method(Kind::Unary, "api.MetricsService", "GetMetrics");
        Metrics { controller, calls }
    }

    pub(crate) fn raw(&self) -> &RawMetrics {
        self.controller.raw_metrics()
    }

    /// The value of one metric of one ScaledObject.
    pub async fn get(&self, namespace: &str, name: &str, metric: &str) -> Result<Value, Missing> {
        let key = ObjectKey::new(namespace, name);
        let Some(handle) = self.controller.index().object(&key) else {
            return Err(Missing::Object(format!("scaledobjects.keda.sh {name:?} not found")));
        };
        let Some(triggers) = handle.triggers() else {
            return Err(if handle.is_settled() {
                Missing::Object(format!("scaledobject {key} is paused or not valid"))
            } else {
                Missing::NotYet(key)
            });
        };
        match self.quantity(&handle, &triggers, metric).await? {
            Ok(quantity) => Ok(Value { metric: metric.to_owned(), quantity }),
            Err(error) => {
                tracing::error!(
                    logger = "scale_handler",
                    scaledObject.Namespace = namespace,
                    scaledObject.Name = name,
                    metric = metric,
                    error = error,
                    "error getting metric for an HPA"
                );
                self.controller.metrics().object_failed(namespace, name);
                Err(Missing::Source(metric.to_owned()))
            }
        }
    }

    /// What an HPA is told of a metric: of one trigger, or the formula's.
    async fn quantity(
        &self,
        handle: &ObjectHandle,
        triggers: &TriggerSet,
        metric: &str,
    ) -> Result<Result<Quantity, String>, Missing> {
        let composite = triggers.modifiers.is_some() && metric.eq_ignore_ascii_case(COMPOSITE);
        let slots: Vec<&TriggerSlot> = match composite {
            true => triggers.slots.iter().collect(),
            false => triggers.for_metric(metric).into_iter().collect(),
        };
        if slots.is_empty() {
            return Err(Missing::Metric(metric.to_owned()));
        }
        let read = join_all(slots.into_iter().map(|slot| self.read(handle, slot))).await;
        let mut read: Vec<Read<'_>> = read.into_iter().flatten().collect();
        if !composite {
            read.retain(|it| it.spec.name().eq_ignore_ascii_case(metric));
        }
        let health = handle.health();
        let judged = triggers.judge(&self.controller, &read, &health).await;
        self.raw().tell(Occasion::Hpa, &handle.key, &read, &judged, self.controller.now());
        if composite && let Some(composite) = triggers.compose(&read, &judged) {
            return Ok(composite.map(|composite| composite.quantity));
        }
        match judged.answers.into_iter().next() {
            Some(Answer::Read { value, .. }) => Ok(Ok(metric::clamped(value))),
            Some(Answer::FallsBack { value, .. }) => Ok(Ok(value)),
            // Nil is for the formula; of the trigger alone there is nothing to tell.
            Some(Answer::Nil) => Ok(Err(format!("metric {metric} could not be read"))),
            Some(Answer::Failed(error)) => Ok(Err(error)),
            None => Err(Missing::Metric(metric.to_owned())),
        }
    }

    /// The metrics of a trigger: from the last poll where that is recent or asked for, else from the source.
    async fn read<'a>(&self, handle: &ObjectHandle, slot: &'a TriggerSlot) -> Vec<Read<'a>> {
        let specs: Vec<&MetricSpec> =
            slot.parsed.specs().iter().filter(|spec| spec.external_name().is_some()).collect();
        let known: Vec<Sample> = specs.iter().filter_map(|spec| handle.latest(spec.name())).collect();
        let usable = |sample: &Sample| slot.cached || sample.taken.elapsed() < FRESH;
        let results: Vec<Result<Reading, String>> = if known.len() == specs.len() && known.iter().all(usable)
        {
            known.into_iter().map(|sample| sample.result).collect()
        } else {
            let outcomes = slot.sample(self.controller.environment()).await;
            handle.record(&outcomes);
            outcomes.into_iter().map(|outcome| outcome.result.map_err(|error| error.to_string())).collect()
        };
        specs.into_iter().zip(results).map(|(spec, result)| Read { slot, spec, result }).collect()
    }
}

#[tonic::async_trait]
impl MetricsService for Metrics {
    async fn get_metrics(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<ExternalMetricValueList>, Status> {
        let call = self.calls.serve();
        let answer = self.answer(request.into_inner()).await;
        call.end(answer.as_ref().map_or_else(|status| status.code().into(), |_| 0));
        answer.map(Response::new)
    }
}

impl Metrics {
    async fn answer(&self, request: ScaledObjectRef) -> Result<ExternalMetricValueList, Status> {
        let ScaledObjectRef { name, namespace, metric_name } = request;
        let value = self.get(&namespace, &name, &metric_name).await.map_err(|missing| {
            let text = format!("error when getting metric values {missing}");
            match missing {
                // Upstream answers Unknown to everything; its adapter shows the text of either code.
                Missing::Object(_) | Missing::Metric(_) => Status::not_found(text),
                Missing::Source(_) => Status::unknown(text),
                Missing::NotYet(_) => Status::unavailable(text),
            }
        })?;
        let now = self.controller.now();
        Ok(ExternalMetricValueList {
            metadata: Some(ListMeta::default()),
            items: vec![ExternalMetricValue {
                metric_name: value.metric,
                timestamp: Some(Time { seconds: now.as_second(), nanos: 0 }),
                value: Some(api::Quantity { string: value.quantity.to_string() }),
                ..ExternalMetricValue::default()
            }],
        })
    }
}
