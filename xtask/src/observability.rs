//! `docs/observability.md`: metrics and events, from the tables in `crates/telemetry` and `crates/cluster`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use keda_cluster::reasons::REASONS;
use keda_telemetry::metrics::table::{Definition, HTTP_DURATION_LONG, Life, Origin, PROCESSES};

use crate::committed::File;

/// The one page.
const PAGE: &str = "docs/observability.md";

/// Renders it.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a generator")]
pub(crate) fn render(_: &Path) -> Result<Vec<File>> {
    let text = format!("{HEAD}{}{EVENTS}{}", metrics(), events());
    Ok(vec![File { path: PAGE.to_owned(), text }])
}

const HEAD: &str = "\
<!-- Generated from crates/telemetry/src/metrics/table and crates/cluster/src/reasons.rs by `cargo xtask generate observability`. Do not edit. -->

# Metrics and events

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
