//! The metrics service: what an HPA asks, through the adapter, arrives here (core.md §§4.2, 4.3).
//!
//! A value comes from the same triggers, the same frame and the same samples as the poll's. A sample younger than a
//! second is not asked for again; `useCachedMetrics` answers from the last poll; everything else asks the source.

use std::sync::Arc;

use keda_core::metric;
use keda_metrics_service::api::{
    ExternalMetricValue, ExternalMetricValueList, ListMeta, Quantity, ScaledObjectRef, Time,
    metrics_service_server::MetricsService,
};
use keda_telemetry::metrics::{Kind, Method};
use tonic::{Request, Response, Status};

use crate::{
    controller::Controller,
    index::ObjectKey,
    samples::{FRESH, ObjectHandle, TriggerSet},
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
    pub quantity: keda_api::Quantity,
}

impl Metrics {
    /// Metrics of a controller's objects.
    #[must_use]
    pub fn new(controller: Arc<Controller>) -> Self {
        let calls = controller.metrics().grpc().method(Kind::Unary, "api.MetricsService", "GetMetrics");
        Metrics { controller, calls }
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
        let reading = self.reading(&handle, &triggers, metric).await?;
        match reading {
            Ok(value) => Ok(Value { metric: metric.to_owned(), quantity: metric::clamped(value) }),
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

    async fn reading(
        &self,
        handle: &ObjectHandle,
        triggers: &TriggerSet,
        metric: &str,
    ) -> Result<Result<f64, String>, Missing> {
        let Some(slot) = triggers.for_metric(metric) else {
            return Err(Missing::Metric(metric.to_owned()));
        };
        if let Some(sample) = handle.latest(metric)
            && (slot.cached || sample.taken.elapsed() < FRESH)
        {
            return Ok(sample.result.map(|reading| reading.value));
        }
        let outcomes = slot.sample(self.controller.environment()).await;
        handle.record(&outcomes);
        let outcome = outcomes.into_iter().find(|outcome| outcome.name.eq_ignore_ascii_case(metric));
        match outcome {
            Some(outcome) => {
                Ok(outcome.result.map(|reading| reading.value).map_err(|error| error.to_string()))
            }
            None => Err(Missing::Metric(metric.to_owned())),
        }
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
                value: Some(Quantity { string: value.quantity.to_string() }),
                ..ExternalMetricValue::default()
            }],
        })
    }
}
