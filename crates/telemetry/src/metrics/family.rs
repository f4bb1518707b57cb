//! Families and their series.
//!
//! Writers update atomics; the lock of a family is taken to find, add, remove or print series. Where a series is written often, keep its
//! handle ([`Gauge::series`] and its like) and no lock is taken at all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    table::{Definition, Kind},
    text::{Scrape, labels, number},
};

pub(crate) struct Family {
    pub(crate) definition: &'static Definition,
    /// By label text, so that printing is a walk.
    series: RwLock<BTreeMap<String, Series>>,
}

#[derive(Clone)]
struct Series {
    /// Values of the labels, for removal.
    values: Box<[Box<str>]>,
    cells: Arc<Cells>,
}

/// One series as it was at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Values of the labels, in the order of the definition.
    pub values: Box<[Box<str>]>,
    /// The number; of a histogram, the sum.
    pub value: f64,
    /// Of a histogram: how many fell into each bucket, and beyond the last.
    pub counts: Box<[u64]>,
}

/// A number, or a histogram.
struct Cells {
    /// The number, or the sum.
    value: Float,
    /// One a bucket and one beyond; empty for a number.
    counts: Box<[AtomicU64]>,
}

/// An f64 that many may add to.
struct Float(AtomicU64);

impl Float {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, more: f64) {
        let add = |old| Some((f64::from_bits(old) + more).to_bits());
        // Never fails: the function never declines.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Family {
    pub(crate) fn new(definition: &'static Definition) -> Self {
        Self { definition, series: RwLock::default() }
    }

    /// The series with these label values, added at zero when it is not there.
    fn series(&self, values: &[&str]) -> Arc<Cells> {
        let definition = self.definition;
        debug_assert_eq!(values.len(), definition.labels.len(), "labels of {}", definition.name);
        let key = labels(definition.labels, values);
        if let Some(found) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return found.cells.clone();
        }
        let new = || {
            let buckets = if let Kind::Histogram(bounds) = definition.kind { bounds.len() + 1 } else { 0 };
            let cells = Cells {
                value: Float(AtomicU64::new(0)),
                counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            };
            Series { values: values.iter().map(|v| (*v).into()).collect(), cells: Arc::new(cells) }
        };
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        series.entry(key).or_insert_with(new).cells.clone()
    }

    /// Drops the series in which every one of `pairs` (label, value) holds.
    fn remove(&self, pairs: &[(&str, &str)]) {
        let at: Option<Vec<_>> = pairs
            .iter()
            .map(|(label, value)| self.definition.labels.iter().position(|l| l == label).map(|i| (i, *value)))
            .collect();
        // A label that the family does not have matches nothing.
        let Some(at) = at else { return };
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        series.retain(|_, one| !at.iter().all(|(i, value)| &*one.values[*i] == *value));
    }

    pub(crate) fn render(&self, scrape: &mut Scrape) {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.is_empty() {
            return;
        }
        let name = self.definition.name;
        scrape.head(self.definition);
        for (labels, one) in &*series {
            match self.definition.kind {
                Kind::Gauge | Kind::Counter => scrape.sample(name, labels, one.cells.value.get()),
                Kind::Histogram(bounds) => self.render_histogram(scrape, labels, &one.cells, bounds),
            }
        }
    }

    /// Every series as it is now.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let sample = |one: &Series| Sample {
            values: one.values.clone(),
            value: one.cells.value.get(),
            counts: one.cells.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
        };
        series.values().map(sample).collect()
    }

    fn render_histogram(&self, scrape: &mut Scrape, labels: &str, cells: &Cells, bounds: &[f64]) {
        let name = format!("{}_bucket", self.definition.name);
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (i, count) in cells.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let mut text = format!("{labels}{comma}le=\"");
            number(&mut text, bounds.get(i).copied().unwrap_or(f64::INFINITY));
            text.push('"');
            scrape.sample(&name, &text, total as f64);
        }
        scrape.sample(&format!("{}_sum", self.definition.name), labels, cells.value.get());
        scrape.sample(&format!("{}_count", self.definition.name), labels, total as f64);
    }
}

impl Cells {
    fn observe(&self, bounds: &[f64], value: f64) {
        let at = bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.value.add(value);
    }
}

/// Values that go up and down. Cheap to clone. Label values are given in the order of the declaration.
#[derive(Clone)]
pub struct Gauge(pub(super) Arc<Family>);

/// One series of a [`Gauge`].
#[derive(Clone)]
pub struct GaugeSeries(Arc<Cells>);

impl Gauge {
    /// One series, at zero when it is new.
    pub fn series(&self, labels: &[&str]) -> GaugeSeries {
        GaugeSeries(self.0.series(labels))
    }

    /// Sets one series.
    pub fn set(&self, labels: &[&str], value: f64) {
        self.series(labels).set(value);
    }

    /// Adds to one series.
    pub fn add(&self, labels: &[&str], more: f64) {
        self.series(labels).add(more);
    }

    /// Drops the series in which every one of `pairs` (label, value) holds.
    pub fn remove(&self, pairs: &[(&str, &str)]) {
        self.0.remove(pairs);
    }
}

impl GaugeSeries {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.value.set(value);
    }

    /// Adds to it.
    pub fn add(&self, more: f64) {
        self.0.value.add(more);
    }
}

/// Values that only go up. Cheap to clone. Label values are given in the order of the declaration.
#[derive(Clone)]
pub struct Counter(pub(super) Arc<Family>);

/// One series of a [`Counter`].
#[derive(Clone)]
pub struct CounterSeries(Arc<Cells>);

impl Counter {
    /// One series, at zero when it is new.
    pub fn series(&self, labels: &[&str]) -> CounterSeries {
        CounterSeries(self.0.series(labels))
    }

    /// Counts one.
    pub fn inc(&self, labels: &[&str]) {
        self.series(labels).inc();
    }

    /// Drops the series in which every one of `pairs` (label, value) holds.
    pub fn remove(&self, pairs: &[(&str, &str)]) {
        self.0.remove(pairs);
    }
}

impl CounterSeries {
    /// Counts one.
    pub fn inc(&self) {
        self.0.value.add(1.0);
    }
}

/// Distributions. Cheap to clone. Label values are given in the order of the declaration.
#[derive(Clone)]
pub struct Histogram(pub(super) Arc<Family>);

/// One series of a [`Histogram`].
#[derive(Clone)]
pub struct HistogramSeries {
    cells: Arc<Cells>,
    bounds: &'static [f64],
}

impl Histogram {
    /// One series, empty when it is new.
    pub fn series(&self, labels: &[&str]) -> HistogramSeries {
        let bounds = if let Kind::Histogram(bounds) = self.0.definition.kind { bounds } else { &[] };
        HistogramSeries { cells: self.0.series(labels), bounds }
    }

    /// Records a value.
    pub fn observe(&self, labels: &[&str], value: f64) {
        self.series(labels).observe(value);
    }

    /// Drops the series in which every one of `pairs` (label, value) holds.
    pub fn remove(&self, pairs: &[(&str, &str)]) {
        self.0.remove(pairs);
    }
}

impl HistogramSeries {
    /// Records a value.
    pub fn observe(&self, value: f64) {
        self.cells.observe(self.bounds, value);
    }
}

macro_rules! debug_by_name {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.definition.name)
            }
        }
    )+};
}

debug_by_name!(Gauge, Counter, Histogram);

macro_rules! debug_by_value {
    ($($name:ident: $cells:tt),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.$cells.value.get())
            }
        }
    )+};
}

debug_by_value!(GaugeSeries: 0, CounterSeries: 0, HistogramSeries: cells);
