//! controller-runtime's metrics of reconciles.

use std::time::Instant;

use super::{Counter, CounterSeries, GaugeSeries, HistogramSeries, Registry, table};

/// The series of one controller, which appear at once (at zero). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reconciles {
    controller: &'static str,
    total: Counter,
    success: CounterSeries,
    errors: CounterSeries,
    panics: CounterSeries,
    seconds: HistogramSeries,
    active: GaugeSeries,
}

/// A reconcile under way. Dropped without an end, it was given up; dropped by a panic, it counts as one.
#[derive(Debug)]
#[must_use]
pub struct Reconciling {
    of: Reconciles,
    since: Instant,
}

impl Reconciles {
    pub(super) fn new(registry: &Registry, controller: &'static str, at_once: usize) -> Self {
        let name = &[controller];
        // A limit is far below 2^52.
        registry.gauge(&table::RECONCILES_AT_ONCE).set(name, at_once as f64);
        let total = registry.counter(&table::RECONCILES);
        for result in ["error", "requeue_after"] {
            total.series(&[controller, result]);
        }
        Self {
            controller,
            success: total.series(&[controller, "success"]),
            total,
            errors: registry.counter(&table::RECONCILE_ERRORS).series(name),
            panics: registry.counter(&table::RECONCILE_PANICS).series(name),
            seconds: registry.histogram(&table::RECONCILE_SECONDS).series(name),
            active: registry.gauge(&table::RECONCILES_ACTIVE).series(name),
        }
    }

    /// One begins.
    pub fn begin(&self) -> Reconciling {
        self.active.add(1.0);
        Reconciling { of: self.clone(), since: Instant::now() }
    }
}

impl Reconciling {
    /// It did what was wanted.
    pub fn succeeded(self) {
        self.of.success.inc();
    }

    /// It failed, and is tried again.
    pub fn failed(self) {
        self.of.errors.inc();
        self.of.total.inc(&[self.of.controller, "error"]);
    }
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        self.of.active.add(-1.0);
        self.of.seconds.observe(self.since.elapsed().as_secs_f64());
        if std::thread::panicking() {
            self.of.panics.inc();
        }
    }
}
