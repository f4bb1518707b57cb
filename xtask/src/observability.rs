//! `docs/observability.md`: metrics, OpenTelemetry and events, from the tables in `crates/telemetry` and `crates/cluster`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use keda_cluster::reasons::REASONS;
use keda_telemetry::metrics::table::{
    Attribute, Definition, HTTP_DURATION_LONG, Instrument, Life, Origin, PROCESSES,
};

use crate::committed::File;

/// The one page.
const PAGE: &str = "docs/observability.md";

/// Renders it.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a generator")]
pub(crate) fn render(_: &Path) -> Result<Vec<File>> {
    let text = format!("{HEAD}{}{PUSH}{}{EVENTS}{}", metrics(), instruments(), events());
    Ok(vec![File { path: PAGE.to_owned(), text }])
}

const HEAD: &str = "\
<!-- Generated from crates/telemetry/src/metrics/table and crates/cluster/src/reasons.rs by `cargo xtask generate observability`. Do not edit. -->

# Metrics, OpenTelemetry, events

What upstream has carries upstream's name, type and labels: dashboards, alerts and searches go on working. What is ours is marked so and
stands in families of its own, so that no label set of upstream's grows.

## Metrics

Prometheus' text format 0.0.4, on plain HTTP at `/metrics`: the operator and the webhooks on `--metrics-bind-address` (`:8080`), the metrics
API server on `--port` (8080). `--enable-prometheus-metrics=false` turns the operator's off.

How long a series stays: *process*, as long as the process runs; *object*, until the object that its labels name is deleted; *triggers*, until
then or until the object's triggers are others; *condition*, while what it tells of lasts. Upstream keeps series of deleted objects until it
restarts (kedacore/keda 6321, 6617).

Upstream's processes also show what their libraries count about themselves. There is no Go runtime here (`go_*`), there are no work queues
(`workqueue_*`, each object has a task of its own) and no API server library (`apiserver_*`, `authentication_*`, `authorization_*`; the metrics
API server has `keda_adapter_*` instead).
";

const PUSH: &str = "
## OpenTelemetry

`--enable-opentelemetry-metrics` makes the operator push to a collector. The standard variables say where and how:

| Variable | Default | |
|---|---|---|
| `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` | `grpc` means gRPC, everything else HTTP with protobuf |
| `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` | | address; over HTTP with its path, as it is |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | `https://localhost:4318`, gRPC `https://localhost:4317` | address; over HTTP `/v1/metrics` is appended |
| `OTEL_EXPORTER_OTLP_[METRICS_]INSECURE` | `false` | gRPC: no TLS for an address without a scheme |
| `OTEL_EXPORTER_OTLP_[METRICS_]HEADERS` | | `key=value,…`, percent-encoded |
| `OTEL_EXPORTER_OTLP_[METRICS_]TIMEOUT` | 10000 | milliseconds for one attempt |
| `OTEL_EXPORTER_OTLP_[METRICS_]COMPRESSION` | | nothing is compressed here; `gzip` is said once in the log |
| `OTEL_EXPORTER_OTLP_[METRICS_]CERTIFICATE` | | file of the CA to trust, instead of the system's and `--ca-dir` |
| `OTEL_EXPORTER_OTLP_[METRICS_]CLIENT_CERTIFICATE`, `…CLIENT_KEY` | | files of the certificate to show |
| `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative` | `delta` and `lowmemory`: counters and histograms as differences |
| `OTEL_METRIC_EXPORT_INTERVAL` | 60000 | milliseconds from push to push |
| `OTEL_METRIC_EXPORT_TIMEOUT` | 30000 | milliseconds for a push with its retries |
| `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | `service.name=unknown_service:keda` | attributes of the resource |

A collector that does not answer is said once in the log, and once more when it is back; nothing piles up meanwhile. With the shutdown the last
values are pushed. Every series is pushed each time, from the values that `/metrics` shows, as long as it lives; the meter's name is
`keda-open-telemetry-metrics`.
";

const EVENTS: &str = "
## Events

Written through `events.k8s.io/v1` by `keda-operator`, the webhooks' by `keda-admission`. The action is the reason, the note the message, cut
to the API's limit of 1024 bytes. What was just said about an object is not written again for ten minutes. Events of objects of the cluster
are in the namespace `default`.

| Reason | Type | About | When |
|---|---|---|---|
";

fn metrics() -> String {
    let mut text = String::new();
    for process in PROCESSES {
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            text,
            "\n### {}\n\n| Metric | Type | Labels | Series stay | |\n|---|---|---|---|---|\n",
            process.title
        );
        for definition in process.families.iter().flat_map(|families| families.iter()) {
            text.push_str(&row(definition));
        }
    }
    text
}

fn row(definition: &Definition) -> String {
    let Definition { name, labels, .. } = definition;
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let life = match definition.life {
        Life::Process => "process",
        Life::Triggers => "triggers",
        Life::Object => "object",
        Life::Condition => "condition",
    };
    let ours = if definition.origin == Origin::Ours { "*Ours.* " } else { "" };
    let long = std::ptr::eq(definition, &HTTP_DURATION_LONG);
    let flag = if long { "With `--enable-high-cardinality-metrics-labels`. " } else { "" };
    let help = definition.help.trim_end_matches('.');
    format!(
        "| `{name}` | {} | {} | {life} | {ours}{flag}{help} |\n",
        definition.type_name(),
        labels.join(" ")
    )
}

fn instruments() -> String {
    let mut text = String::from("\n| Instrument | Kind | Unit | Attributes | Of |\n|---|---|---|---|---|\n");
    let mut seen = Vec::new();
    for definition in PROCESSES.iter().flat_map(|process| process.families).flat_map(|it| it.iter()) {
        for instrument in definition.instruments {
            if !seen.contains(&instrument.name) {
                seen.push(instrument.name);
            }
        }
    }
    for name in seen {
        text.push_str(&instrument(name));
    }
    text
}

/// An instrument's row, of the family with most labels: some are declared twice, with few labels and with many.
fn instrument(name: &str) -> String {
    let families = PROCESSES.iter().flat_map(|process| process.families).flat_map(|it| it.iter());
    let with: Vec<(&Definition, &Instrument)> = families
        .flat_map(|definition| definition.instruments.iter().map(move |it| (*definition, it)))
        .filter(|(_, it)| it.name == name)
        .collect();
    let Some((definition, it)) = with.iter().max_by_key(|(definition, _)| definition.labels.len()) else {
        return String::new();
    };
    let few = with.iter().map(|(definition, _)| definition.labels).min_by_key(|labels| labels.len());
    let attribute = |attribute: &Attribute| {
        let (label, shown) = match *attribute {
            Attribute::Label(label) => (label, format!("`{label}`")),
            Attribute::Renamed(label, name) => (label, format!("`{name}`")),
            Attribute::ByType(label, object, job) => (label, format!("`{object}` or `{job}`")),
            Attribute::Is(label, name, _) => (label, format!("`{name}` (bool)")),
        };
        let always = few.is_none_or(|few| few.contains(&label));
        if always { shown } else { format!("({shown})") }
    };
    let attributes: Vec<String> = it.attributes.iter().map(attribute).collect();
    let deprecated = if it.deprecated { ", deprecated upstream" } else { "" };
    let unit = match (it.unit, it.points) {
        ("", keda_telemetry::metrics::table::Points::Milliseconds) => "(ms)",
        (unit, _) => unit,
    };
    format!(
        "| `{name}` | {}{deprecated} | {unit} | {} | `{}` |\n",
        it.points.describe(),
        attributes.join(" "),
        definition.name
    )
}

fn events() -> String {
    REASONS
        .iter()
        .map(|reason| {
            format!("| `{}` | {} | {} | {} |\n", reason.word, reason.kind, reason.about, reason.when)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committed;

    #[test]
    fn the_committed_page_is_what_the_tables_say() {
        let root = committed::root().unwrap();
        committed::check(&render(root).unwrap(), root).unwrap();
    }
}
