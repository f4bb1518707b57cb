//! Every metric of every process: the only place that spells names, labels, types and help texts.
//!
//! Families are declared in the files beside this one, a file a process. What can be pushed by OpenTelemetry says so here too
//! ([`Instrument`]), so one value has one home and two spellings. `docs/observability.md` is written from these lists
//! (`cargo xtask generate observability`), a [`super::Registry`] takes nothing that is not defined like this.

mod adapter;
mod grpc;
mod operator;
mod process;
mod webhooks;

pub use adapter::*;
pub use grpc::*;
pub use operator::*;
pub use process::*;
pub use webhooks::*;

/// A family of series.
#[derive(Debug)]
pub struct Definition {
    /// The name in Prometheus' text format.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The type.
    pub kind: Kind,
    /// The labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// Whether upstream has it: then name, type and labels are upstream's.
    pub origin: Origin,
    /// How long a series stays.
    pub life: Life,
    /// What OpenTelemetry pushes of it.
    pub instruments: &'static [Instrument],
}

/// Types of families.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// Counts by size: the upper bounds, rising, without infinity.
    Histogram(&'static [f64]),
}

/// Where a family comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Upstream has it, or a library of upstream's processes.
    Upstream,
    /// It is ours.
    Ours,
}

/// How long a series stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// As long as the process.
    Process,
    /// Until the object that its labels name is deleted, or its triggers become others.
    Triggers,
    /// Until the object that its labels name is deleted.
    Object,
    /// While what it tells of lasts.
    Condition,
}

impl Definition {
    const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind, labels, origin: Origin::Upstream, life: Life::Process, instruments: &[] }
    }

    /// A gauge of upstream's that lives as long as the process.
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, labels, help)
    }

    /// A counter of upstream's that lives as long as the process.
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self::new(Kind::Counter, name, labels, help)
    }

    /// A histogram of upstream's that lives as long as the process.
    pub const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        buckets: &'static [f64],
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Histogram(buckets), name, labels, help)
    }

    /// The same, ours.
    #[must_use]
    pub const fn ours(mut self) -> Self {
        self.origin = Origin::Ours;
        self
    }

    /// The same, with series that go sooner.
    #[must_use]
    pub const fn until(mut self, life: Life) -> Self {
        self.life = life;
        self
    }

    /// The same, pushed by OpenTelemetry.
    #[must_use]
    pub const fn pushed(mut self, instruments: &'static [Instrument]) -> Self {
        self.instruments = instruments;
        self
    }

    /// The word of the type in the text format.
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram(_) => "histogram",
        }
    }
}

/// What OpenTelemetry pushes of a family (`pkg/metricscollector/opentelemetry.go`).
#[derive(Debug)]
pub struct Instrument {
    /// Its name.
    pub name: &'static str,
    /// Its description.
    pub description: &'static str,
    /// Its unit, or empty.
    pub unit: &'static str,
    /// Its data points.
    pub points: Points,
    /// How labels become attributes. A label that the family does not have is left out.
    pub attributes: &'static [Attribute],
    /// Upstream announces its end.
    pub deprecated: bool,
}

/// Kinds of data points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Points {
    /// A gauge of floats.
    Gauge,
    /// A gauge of whole numbers.
    WholeGauge,
    /// A gauge of floats that shows seconds as whole milliseconds.
    Milliseconds,
    /// A monotonic sum of whole numbers.
    Counter,
    /// A sum of whole numbers that goes both ways.
    UpDownCounter,
    /// A histogram with the family's bounds.
    Histogram,
}

impl Points {
    /// In words, for the reference page.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Gauge | Self::Milliseconds => "gauge, float",
            Self::WholeGauge => "gauge, int",
            Self::Counter => "counter",
            Self::UpDownCounter => "up-down counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One attribute of a data point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The label under its own name.
    Label(&'static str),
    /// The label under another name.
    Renamed(&'static str, &'static str),
    /// The label under one of two names, by the label `type`: of a ScaledObject, of a ScaledJob.
    ByType(&'static str, &'static str, &'static str),
    /// Whether the label has this value: label, name, value.
    Is(&'static str, &'static str, &'static str),
}

impl Instrument {
    const fn new(
        points: Points,
        name: &'static str,
        attributes: &'static [Attribute],
        description: &'static str,
    ) -> Self {
        Self { name, description, unit: "", points, attributes, deprecated: false }
    }

    const fn seconds(mut self) -> Self {
        self.unit = "s";
        self
    }

    const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }
}

/// The families of one process, for the reference page and for tests.
#[derive(Debug)]
pub struct Process {
    /// The process: its name and where it shows its metrics.
    pub title: &'static str,
    /// Its families, in the order of the page.
    pub families: &'static [&'static [&'static Definition]],
}

/// Every process.
pub const PROCESSES: &[Process] = &[
    Process { title: "Operator", families: &[OPERATOR, GRPC_SERVER, CLIENT, PROCESS] },
    Process { title: "Metrics API server", families: &[ADAPTER, GRPC_CLIENT, CLIENT, PROCESS] },
    Process { title: "Admission webhooks", families: &[WEBHOOKS, CLIENT, PROCESS] },
];

#[cfg(test)]
mod tests;
