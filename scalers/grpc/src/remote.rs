//! An external scaler, as its triggers ask it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{join, try_join};
use keda_scaler::grpc::{Channel, Connection};
use keda_scaler::{Context, Error, Link, Measurement, Metric, Signal, Signals};
use tonic::{Code, Status};

use crate::Config;
use crate::externalscaler::external_scaler_client::ExternalScalerClient;
use crate::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, MetricSpec, MetricValue, ScaledObjectRef,
};

/// How long a call may take at least. Upstream has no deadline at all, so scalers that are slow are in use.
const PATIENCE: Duration = Duration::from_secs(10);
/// Metrics of one scaler. An HPA with more is a mistake of the scaler.
const MOST_METRICS: usize = 100;

/// How long one call may take.
pub(crate) fn patience(context: &Context) -> Duration {
    context.http_timeout.max(PATIENCE)
}

/// Asks an external scaler.
pub struct Remote {
    channel: Channel,
    reference: ScaledObjectRef,
    patience: Duration,
}

impl Remote {
    /// Dials nothing.
    pub(crate) fn new(config: &Config, link: &Link) -> Result<Self, Error> {
        let endpoint = config.endpoint().map_err(Error::config)?;
        Ok(Self {
            channel: link.channel(endpoint)?,
            reference: ScaledObjectRef {
                name: link.context.object_name.clone(),
                namespace: link.context.namespace.clone(),
                scaler_metadata: config.metadata.expose().clone(),
            },
            patience: patience(&link.context),
        })
    }

    async fn call<T, F>(
        &self,
        what: &str,
        call: impl FnOnce(ExternalScalerClient<Connection>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let work = |connection| {
            let answered = call(ExternalScalerClient::new(connection));
            async { answered.await.map(tonic::Response::into_inner) }
        };
        self.channel.call(what, self.patience, work).await
    }

    async fn value(&self, metric: &Metric) -> Result<f64, Error> {
        let request = GetMetricsRequest {
            scaled_object_ref: Some(self.reference.clone()),
            metric_name: metric.name.clone(),
        };
        let answered =
            self.call("GetMetrics", |mut client| async move { client.get_metrics(request).await }).await?;
        if answered.metric_values.is_empty() {
            let text =
                format!("GetMetrics at {}: no value for metric {:?}", self.channel.address(), metric.name);
            return Err(Error::answer(text));
        }
        // Several are added up, as the HPA does with several values of one metric.
        Ok(answered.metric_values.iter().map(value).sum())
    }

    async fn is_active(&self) -> Result<bool, Error> {
        let request = self.reference.clone();
        let call =
            |mut client: ExternalScalerClient<Connection>| async move { client.is_active(request).await };
        Ok(self.call("IsActive", call).await?.result)
    }

    async fn specs(&self) -> Result<Vec<Metric>, Error> {
        let request = self.reference.clone();
        let call = |mut client: ExternalScalerClient<Connection>| async move {
            client.get_metric_spec(request).await
        };
        let answered = self.call("GetMetricSpec", call).await?;
        metrics(&answered)
            .map_err(|error| error.context(format!("GetMetricSpec at {}", self.channel.address())))
    }
}

impl keda_scaler::Source for Remote {
    async fn sample(&self, metric: &Metric) -> Result<Measurement, Error> {
        let (value, active) = try_join(self.value(metric), self.is_active()).await?;
        Ok(Measurement::with_activity(value, active))
    }

    async fn metrics(&self) -> Result<Vec<Metric>, Error> {
        self.specs().await
    }
}

/// Asks an external scaler, and listens to it.
pub struct Pushing {
    remote: Remote,
    /// The metrics that it said by itself, while it can be heard.
    said: Arc<Mutex<Option<Vec<Metric>>>>,
}

impl Pushing {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote, said: Arc::default() }
    }

    fn remember(&self, metrics: Option<Vec<Metric>>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    async fn hear_activity(&self, signals: &Signals) -> Result<(), Error> {
        let Remote { channel, reference, .. } = &self.remote;
        let refusal = |status| channel.refusal("StreamIsActive", &status);
        let mut client = ExternalScalerClient::new(channel.streams());
        let mut stream = client.stream_is_active(reference.clone()).await.map_err(refusal)?.into_inner();
        while let Some(message) = stream.message().await.map_err(refusal)? {
            // That there is no work is found by asking.
            if message.result {
                signals.tell(Signal::Active);
            }
        }
        Ok(())
    }

    async fn hear_metrics(&self, signals: &Signals) -> Result<(), Error> {
        let Remote { channel, reference, .. } = &self.remote;
        let what = "StreamMetricSpec";
        let refusal = |status: Status| match status.code() {
            Code::Unimplemented => Error::unsupported("the scaler has no StreamMetricSpec"),
            _ => channel.refusal(what, &status),
        };
        let mut client = ExternalScalerClient::new(channel.streams());
        let mut stream = client.stream_metric_spec(reference.clone()).await.map_err(refusal)?.into_inner();
        while let Some(message) = stream.message().await.map_err(refusal)? {
            match metrics(&message) {
                Ok(metrics) => {
                    self.remember(Some(metrics.clone()));
                    signals.tell(Signal::Metrics(metrics));
                }
                Err(error) => {
                    signals.tell(Signal::Lost(error.context(format!("{what} at {}", channel.address()))));
                }
            }
        }
        Ok(())
    }
}

impl keda_scaler::Source for Pushing {
    async fn sample(&self, metric: &Metric) -> Result<Measurement, Error> {
        self.remote.sample(metric).await
    }

    async fn metrics(&self) -> Result<Vec<Metric>, Error> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match said {
            Some(metrics) => Ok(metrics),
            None => self.remote.specs().await,
        }
    }

    async fn listen(&self, signals: &Signals) {
        let activity = signals.keep(|| self.hear_activity(signals));
        let metrics = signals.keep(|| async {
            let ended = self.hear_metrics(signals).await;
            // Not heard any more: from here on it is asked again.
            self.remember(None);
            ended
        });
        join(activity, metrics).await;
    }
}

/// The metrics of an answer.
fn metrics(answer: &GetMetricSpecResponse) -> Result<Vec<Metric>, Error> {
    let specs = &answer.metric_specs;
    if specs.len() > MOST_METRICS {
        let text = format!("{} metrics, there can be {MOST_METRICS}", specs.len());
        return Err(Error::answer(text));
    }
    if specs.is_empty() {
        return Err(Error::answer("got empty metric spec"));
    }
    specs.iter().map(planned).collect()
}

#[expect(deprecated, reason = "scalers that are older than the float fields set the whole numbers")]
fn planned(spec: &MetricSpec) -> Result<Metric, Error> {
    let MetricSpec { metric_name, target_size, target_size_float } = spec;
    if metric_name.is_empty() {
        return Err(Error::answer("a metric without a name"));
    }
    let target = if *target_size_float > 0.0 { (*target_size_float).into() } else { (*target_size).into() };
    if !target_size_float.is_finite() {
        let text = format!("metric {metric_name:?}: targetSizeFloat is {target_size_float}, not a number");
        return Err(Error::answer(text));
    }
    let mut metric = Metric::new(metric_name.clone(), 1.0).targeted_by("targetSize");
    metric.target = target;
    Ok(metric)
}

/// Floats above zero win, then whole numbers. What is not a number stays one that nothing can be scaled on.
#[expect(deprecated, reason = "scalers that are older than the float fields set the whole numbers")]
#[expect(clippy::cast_precision_loss, reason = "a number for a metric; upstream's cast")]
fn value(value: &MetricValue) -> f64 {
    let MetricValue { metric_value, metric_value_float, .. } = value;
    if *metric_value_float > 0.0 || metric_value_float.is_nan() {
        *metric_value_float
    } else {
        (*metric_value).max(0) as f64
    }
}
