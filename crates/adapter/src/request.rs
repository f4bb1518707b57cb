//! One metric for one request: from the operator, or from the last good answer while the operator is away.
//!
//! Away means: no connection, a connection that broke under the call (tried once more on a new one), `UNAVAILABLE`, or silence
//! through the whole deadline. Everything else that the operator says is passed on, errors above all.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use keda_api::{Quantity, external_metrics::API_VERSION};
use keda_metrics_service::api::{ExternalMetricValue, ExternalMetricValueList, ScaledObjectRef, Time};
use keda_telemetry::metrics::{self, code_name};
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use crate::{
    link::{Link, Live},
    samples::{Of, Samples},
    status::Status,
};

/// How long an answer from memory waits for a connection that was lost just now: operators that restart or hand over are back soon.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Source {
    link: Arc<Link>,
    samples: Arc<Samples>,
    calls: metrics::Method,
    deadline: Duration,
}

enum Failure {
    /// The operator answered with an error.
    Said(tonic::Status),
    /// The operator lives, but not for this call.
    Slow,
    /// The operator cannot be heard.
    Away(String),
}

impl Source {
    pub(crate) fn new(
        link: Arc<Link>,
        samples: Arc<Samples>,
        metrics: &metrics::Adapter,
        deadline: Duration,
    ) -> Self {
        let calls = metrics.grpc().method(metrics::Kind::Unary, "api.MetricsService", "GetMetrics");
        Self { link, samples, calls, deadline }
    }

    /// The metric's values as JSON. Takes no longer than `limit`, should that be less than what is usual.
    pub(crate) async fn values(&self, of: Of<'_>, limit: Option<Duration>) -> Result<Bytes, Status> {
        let until = Instant::now() + limit.map_or(self.deadline, |limit| limit.min(self.deadline));
        let mut trouble = None;
        let mut number = 0;
        for _ in 0..2 {
            let Some(live) = self.live(of, number, until).await else { break };
            number = live.number;
            match self.call(live, of, until).await {
                Ok(values) => {
                    let body = encode(&values).map_err(Status::internal)?;
                    self.samples.keep(of, &body);
                    return Ok(body);
                }
                Err(Failure::Said(status)) => {
                    self.samples.forget(of);
                    return Err(said(&status));
                }
                Err(Failure::Slow) => return Err(Status::internal(rpc(Code::DeadlineExceeded, TOO_LATE))),
                Err(Failure::Away(why)) => trouble = Some(why),
            }
        }
        self.samples.answer(of).ok_or_else(|| {
            let trouble = trouble.unwrap_or_else(|| self.link.trouble());
            Status::internal(format!("{NO_CONNECTION}: {trouble}"))
        })
    }

    /// A connection with a number above `number`; waits for one if that is worth it.
    async fn live(&self, of: Of<'_>, number: u64, until: Instant) -> Option<Live> {
        if let Some(live) = self.link.live().filter(|live| live.number > number) {
            return Some(live);
        }
        let patience = if self.samples.has(of) { PAUSE } else { self.deadline };
        // Later requests do not each wait anew: the HPA controller has few workers, and all of them would stand here.
        let left = patience.saturating_sub(self.link.away());
        let until = until.min(Instant::now() + left);
        timeout_at(until, self.link.newer_than(number)).await.ok()
    }

    async fn call(&self, live: Live, of: Of<'_>, until: Instant) -> Result<ExternalMetricValueList, Failure> {
        let began = Instant::now();
        let question = ScaledObjectRef {
            name: of.object.to_owned(),
            namespace: of.namespace.to_owned(),
            metric_name: of.metric.to_owned(),
        };
        let call = self.calls.call();
        let mut client = live.client.clone();
        match timeout_at(until, client.get_metrics(question)).await {
            Ok(Ok(values)) => {
                live.heard();
                call.end(Code::Ok as i32);
                Ok(values.into_inner())
            }
            Ok(Err(status)) => {
                call.end(status.code() as i32);
                // A status with a source was made here, from an error of the connection; the operator's own have none.
                match std::error::Error::source(&status) {
                    Some(source) => Err(Failure::Away(format!("{}: {source}", status.message()))),
                    // Perhaps the name leads to another operator by now.
                    None if status.code() == Code::Unavailable => {
                        self.link.distrust(&live);
                        Err(Failure::Away(rpc(Code::Unavailable, status.message())))
                    }
                    None => {
                        live.heard();
                        Err(Failure::Said(status))
                    }
                }
            }
            Err(_) => {
                call.end(Code::DeadlineExceeded as i32);
                if live.heard_after(began) {
                    return Err(Failure::Slow);
                }
                self.link.distrust(&live);
                Err(Failure::Away(rpc(Code::DeadlineExceeded, TOO_LATE)))
            }
        }
    }
}

/// Upstream's text, which users find in their HPA's events.
const NO_CONNECTION: &str =
    "timeout while waiting to establish gRPC connection to KEDA Metrics Service server";
const TOO_LATE: &str = "context deadline exceeded";

/// As Go prints a gRPC error.
fn rpc(code: Code, message: &str) -> String {
    format!("rpc error: code = {} desc = {message}", code_name(code as i32))
}

fn said(status: &tonic::Status) -> Status {
    let text = rpc(status.code(), status.message());
    // Upstream's operator says Unknown to everything, in these words.
    let message = status.message();
    let unknown = message.contains("no matching metrics found for ")
        || (message.contains("error getting scalers ") && message.ends_with("not found"));
    if status.code() == Code::NotFound || (status.code() == Code::Unknown && unknown) {
        Status::no_such_metric(text)
    } else {
        Status::internal(text)
    }
}

/// The bytes of an `ExternalMetricValueList`, in upstream's order of fields.
fn encode(values: &ExternalMetricValueList) -> Result<Bytes, String> {
    let mut body = BytesMut::with_capacity(160 + 128 * values.items.len());
    body.put_slice(b"{\"kind\":\"ExternalMetricValueList\",\"apiVersion\":\"");
    body.put_slice(API_VERSION.as_bytes());
    body.put_slice(b"\",\"metadata\":{},\"items\":[");
    for (i, value) in values.items.iter().enumerate() {
        if i > 0 {
            body.put_u8(b',');
        }
        encode_value(&mut body, value)?;
    }
    body.put_slice(b"]}\n");
    Ok(body.freeze())
}

fn encode_value(body: &mut BytesMut, value: &ExternalMetricValue) -> Result<(), String> {
    body.put_slice(b"{\"metricName\":");
    json(body, &value.metric_name)?;
    body.put_slice(b",\"metricLabels\":");
    if value.metric_labels.is_empty() {
        body.put_slice(b"null");
    } else {
        json(body, &value.metric_labels)?;
    }
    body.put_slice(b",\"timestamp\":");
    match value.timestamp {
        Some(Time { seconds, .. }) if seconds != 0 => {
            let time =
                jiff::Timestamp::from_second(seconds).map_err(|error| format!("timestamp: {error}"))?;
            body.put_slice(format!("\"{time}\"").as_bytes());
        }
        _ => body.put_slice(b"null"),
    }
    if let Some(seconds) = value.window {
        body.put_slice(format!(",\"window\":{seconds}").as_bytes());
    }
    let text = value.value.as_ref().map_or("", |value| value.string.as_str());
    let text = if text.is_empty() { "0" } else { text };
    let quantity: Quantity =
        text.parse().map_err(|error| format!("the operator's value {text:?} is not a quantity: {error}"))?;
    body.put_slice(format!(",\"value\":\"{quantity}\"}}").as_bytes());
    Ok(())
}

fn json<T: serde::Serialize>(body: &mut BytesMut, value: &T) -> Result<(), String> {
    serde_json::to_writer(body.writer(), value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> ExternalMetricValue {
        ExternalMetricValue {
            metric_name: "s0-x".to_owned(),
            timestamp: Some(Time { seconds: 1_795_519_675, nanos: 7 }),
            value: Some(keda_metrics_service::api::Quantity { string: text.to_owned() }),
            ..ExternalMetricValue::default()
        }
    }

    fn text(value: ExternalMetricValue) -> Result<String, String> {
        let list = ExternalMetricValueList { metadata: None, items: vec![value] };
        encode(&list).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    const HEAD: &str = "{\"kind\":\"ExternalMetricValueList\",\"apiVersion\":\"external.metrics.k8s.io/v1beta1\",\"metadata\":{},\"items\":[";

    #[test]
    fn upstreams_bytes() {
        let item = "{\"metricName\":\"s0-x\",\"metricLabels\":null,\"timestamp\":\"2026-11-24T11:27:55Z\",\"value\":\"2500m\"}";
        assert_eq!(text(value("2500m")).unwrap(), format!("{HEAD}{item}]}}\n"));
        assert_eq!(encode(&ExternalMetricValueList::default()).unwrap(), format!("{HEAD}]}}\n"));
    }

    #[test]
    fn optional_parts() {
        let mut full = value("");
        full.metric_labels.insert("a\"".to_owned(), "b".to_owned());
        full.window = Some(60);
        full.timestamp = None;
        let item = "{\"metricName\":\"s0-x\",\"metricLabels\":{\"a\\\"\":\"b\"},\"timestamp\":null,\"window\":60,\"value\":\"0\"}";
        assert_eq!(text(full).unwrap(), format!("{HEAD}{item}]}}\n"));
        assert!(text(value("lots")).unwrap_err().contains("is not a quantity"));
    }

    #[test]
    fn the_api_types_read_it() {
        let list: keda_api::external_metrics::ExternalMetricValueList =
            serde_json::from_str(&text(value("1500")).unwrap()).unwrap();
        assert_eq!(list.items[0].value.to_string(), "1500");
        assert_eq!(list.items[0].metric_name, "s0-x");
    }

    #[test]
    fn unknown_is_404() {
        let missing = "error when getting metric values ";
        for (code, message, expected) in [
            (Code::NotFound, format!("{missing}anything"), 404),
            (Code::Unknown, format!("{missing}no matching metrics found for s0-x"), 404),
            (
                Code::Unknown,
                format!("{missing}error getting scalers scaledobjects.keda.sh \"so\" not found"),
                404,
            ),
            (Code::Unknown, format!("{missing}metric:s0-x encountered error"), 500),
            (Code::Unknown, format!("{missing}error getting scalers secret is broken"), 500),
        ] {
            let status = said(&tonic::Status::new(code, message.clone()));
            assert_eq!(status.code.as_u16(), expected, "{message}");
            assert!(status.message.starts_with("rpc error: code = "), "{}", status.message);
            assert!(status.message.ends_with(&message), "{}", status.message);
        }
    }
}
