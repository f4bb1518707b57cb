//! What the trigger frame reports, as upstream's metrics.

use std::{sync::Arc, time::Duration};

use keda_scaler::{
    Error, Reading,
    telemetry::{Subject, Telemetry},
};
use keda_telemetry::metrics::{HttpRequest, Operator, Trigger};

/// Puts the frame's reports into the operator's metrics.
pub struct Instrument {
    metrics: Arc<Operator>,
}

impl Instrument {
    /// Reports into these metrics.
    #[must_use]
    pub fn new(metrics: Arc<Operator>) -> Self {
        Instrument { metrics }
    }
}

impl Telemetry for Instrument {
    fn sampled(&self, subject: &Subject, latency: Duration, result: Result<&Reading, &Error>) {
        let trigger = trigger(subject);
        self.metrics.latency(&trigger, latency);
        match result {
            Ok(reading) => {
                self.metrics.value(&trigger, reading.value);
                if !subject.feeds_formula {
                    self.metrics.active(&trigger, reading.active);
                }
                self.metrics.trigger_succeeded(&trigger);
            }
            Err(error) => {
                self.metrics.trigger_failed(&trigger);
                let code = error.code.map_or("", keda_scaler::Code::as_str);
                self.metrics.trigger_failed_by(&trigger, error.kind.as_str(), code);
            }
        }
    }

    fn empty_response(&self, subject: &Subject, ignored: bool) {
        self.metrics.empty_response(&trigger(subject), &subject.trigger_name, ignored);
    }

    fn http_request(&self, subject: &Subject, status: Option<u16>, latency: Duration) {
        let request = HttpRequest {
            namespace: &subject.namespace,
            scaled_resource: &subject.object_name,
            scaler: subject.trigger_type,
            trigger_name: &subject.trigger_name,
            metric_name: &subject.metric,
            status,
        };
        self.metrics.http_request(&request, latency);
    }
}

fn trigger(subject: &Subject) -> Trigger<'_> {
    Trigger {
        namespace: &subject.namespace,
        metric: &subject.metric,
        object: &subject.object_name,
        scaler: &subject.label,
        index: subject.trigger_index,
        job: subject.object_kind == "ScaledJob",
    }
}
