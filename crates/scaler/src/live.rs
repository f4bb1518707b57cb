//! A connected trigger: samples under a deadline, with panics contained.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use keda_api::Quantity;
use tokio::time::Instant;

use crate::parsed::{Parsed, Shared, hidden};
use crate::push::{self, Signal, Signals};
use crate::registry::panicked;
use crate::telemetry::Telemetry;
use crate::trigger::{Measurement, Metric, Source};
use crate::{Context, Error, Kind};

/// How much longer than the trigger's own deadline the frame waits: a call that times out by itself has the better text.
const GRACE: Duration = Duration::from_millis(250);

/// A value of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// The value as the source gave it; always finite, may be negative.
    pub value: f64,
    /// Whether it makes the trigger active: above the activation, strictly, unless the source decided.
    pub active: bool,
}

impl Reading {
    /// What the HPA is told: three decimals, negative values as 0.
    pub fn quantity(&self) -> Quantity {
        keda_core::metric::clamped(self.value)
    }
}

/// What sampling one metric came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The metric, with its `s<index>-` prefix.
    pub name: String,
    /// How long it took.
    pub latency: Duration,
    /// The reading, or why there is none. A failure is not a value: nothing may read it as 0.
    pub result: Result<Reading, Error>,
}

impl Outcome {
    /// A metric that could not be sampled at all, for instance because its trigger cannot connect.
    pub fn failed(name: impl Into<String>, error: Error) -> Self {
        Self { name: name.into(), latency: Duration::ZERO, result: Err(error) }
    }
}

/// [`Source`] as an object.
pub(crate) trait AnySource: Send + Sync {
    fn sample<'a>(&'a self, metric: &'a Metric) -> BoxFuture<'a, Result<Measurement, Error>>;
    fn metrics(&self) -> BoxFuture<'_, Result<Vec<Metric>, Error>>;
    fn listen<'a>(&'a self, signals: &'a Signals) -> BoxFuture<'a, ()>;
}

impl<S: Source> AnySource for S {
    fn sample<'a>(&'a self, metric: &'a Metric) -> BoxFuture<'a, Result<Measurement, Error>> {
        Source::sample(self, metric).boxed()
    }

    fn metrics(&self) -> BoxFuture<'_, Result<Vec<Metric>, Error>> {
        Source::metrics(self).boxed()
    }

    fn listen<'a>(&'a self, signals: &'a Signals) -> BoxFuture<'a, ()> {
        Source::listen(self, signals).boxed()
    }
}

/// A trigger that can be sampled.
pub struct Live {
    shared: Arc<Shared>,
    source: Arc<dyn AnySource>,
    telemetry: Arc<dyn Telemetry>,
}

impl Live {
    pub(crate) fn new(
        shared: Arc<Shared>,
        source: Box<dyn AnySource>,
        telemetry: Arc<dyn Telemetry>,
    ) -> Self {
        Self { shared, source: source.into(), telemetry }
    }

    /// The same connected trigger, sampled by another plan.
    #[must_use]
    pub fn planned(&self, parsed: &Parsed) -> Self {
        let (source, telemetry) = (self.source.clone(), self.telemetry.clone());
        Self { shared: parsed.shared().clone(), source, telemetry }
    }

    /// Asks the source which metrics there are, where only it knows. Takes no longer than the trigger's deadline and
    /// 250 ms, and never panics.
    ///
    /// # Errors
    /// It was not reached, or does not say.
    pub async fn metrics(&self) -> Result<Vec<Metric>, Error> {
        contained(&self.shared, "while it was asked for its metrics", self.source.metrics()).await
    }

    /// Hears what the source says by itself, until the future is dropped or there is nothing to hear. Never panics: a trigger
    /// that does is begun with again after a minute.
    pub async fn listen(&self, tell: impl Fn(Signal) + Send + Sync + 'static) {
        let secrets = self.shared.secrets.clone();
        let signals = Signals::new(move |signal| {
            tell(match signal {
                Signal::Lost(error) => Signal::Lost(hidden(&secrets, error)),
                signal => signal,
            });
        });
        while AssertUnwindSafe(self.source.listen(&signals)).catch_unwind().await.is_err() {
            let when = "while it listened";
            self.shared.log_panic(when);
            signals.tell(Signal::Lost(panicked(self.shared.trigger_type, when)));
            tokio::time::sleep(push::LONGEST_REST).await;
        }
    }

    /// Samples every metric, concurrently; outcomes stand in the order of the plan. Takes no longer than the trigger's
    /// deadline and 250 ms, and never panics.
    pub async fn sample(&self) -> Vec<Outcome> {
        match self.shared.metrics.as_slice() {
            [only] => vec![self.sample_one(0, only).await],
            several => {
                join_all(several.iter().enumerate().map(|(at, metric)| self.sample_one(at, metric))).await
            }
        }
    }

    async fn sample_one(&self, at: usize, metric: &Metric) -> Outcome {
        let started = Instant::now();
        let sampling = self.source.sample(metric);
        let measured = contained(&self.shared, "while it was sampled", sampling).await;
        let result = measured.and_then(|measurement| reading(metric, measurement));
        let latency = started.elapsed();
        let subject = &self.shared.subjects[at];
        self.telemetry.sampled(subject, latency, result.as_ref());
        Outcome { name: subject.metric.clone(), latency, result }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics: Vec<&str> = self.shared.subjects.iter().map(|subject| subject.metric.as_str()).collect();
        f.debug_struct("Live")
            .field("trigger_type", &self.shared.trigger_type)
            .field("metrics", &metrics)
            .finish_non_exhaustive()
    }
}

fn reading(metric: &Metric, measured: Measurement) -> Result<Reading, Error> {
    let Measurement { value, active } = measured;
    if !value.is_finite() {
        return Err(Error::answer(format!("metric {} is {value}, not a number to scale on", metric.name)));
    }
    Ok(Reading { value, active: active.unwrap_or(value > metric.activation) })
}

impl Shared {
    fn log_panic(&self, when: &str) {
        let Context { object_kind, namespace, object_name, index, .. } = &*self.context;
        tracing::error!(
            object_kind,
            namespace,
            object_name,
            index,
            trigger = self.trigger_type,
            "panic {when}"
        );
    }
}

/// Runs a trigger's code: under its deadline, with panics and credentials kept in.
pub(crate) async fn contained<T>(
    shared: &Shared,
    when: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let guarded = AssertUnwindSafe(work).catch_unwind();
    let result = match tokio::time::timeout(shared.deadline + GRACE, guarded).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            shared.log_panic(when);
            Err(panicked(shared.trigger_type, when))
        }
        Err(_) => {
            let text = format!("trigger {}: no answer within {:?}", shared.trigger_type, shared.deadline);
            Err(Error::new(Kind::Timeout, text))
        }
    };
    result.map_err(|error| hidden(&shared.secrets, error))
}

#[cfg(test)]
mod tests;
