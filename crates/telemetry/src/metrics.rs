//! Metrics in Prometheus' classic text format.
//!
//! [`Registry`] holds families; [`Gauge`], [`Counter`] and [`Histogram`] are handles to them. A registry of our own, because series must
//! go away with the object that they are about ([`Gauge::remove`] by label), which upstream does not do (kedacore/keda 6321, 6617), and
//! because upstream has gauges named `*_total`, which stricter libraries refuse. Names and labels of each process are in one file each:
//! [`Operator`], [`Adapter`], [`Webhooks`].

mod adapter;
mod family;
mod grpc;
mod operator;
mod process;
mod text;
mod webhooks;

pub use adapter::Adapter;
pub use family::{Counter, CounterSeries, Gauge, GaugeSeries, Histogram, HistogramSeries};
pub use grpc::{Call, Grpc, Kind, Method, code_name};
pub use operator::{HttpRequest, Operator, Trigger};
pub use text::{CONTENT_TYPE, Scrape};
pub use webhooks::{InFlight, Webhooks};

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use family::Family;

/// Families by name, and functions that are asked at each scrape. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    families: RwLock<BTreeMap<&'static str, Arc<Family>>>,
    collectors: RwLock<Vec<Collector>>,
}

type Collector = Box<dyn Fn(&mut Scrape) + Send + Sync>;

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A family of values that go up and down. The first declaration of a name stays; a second one is the same family.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Gauge {
        Gauge(self.family(Family::gauge(name, help, labels)))
    }

    /// A family of values that only go up.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Counter {
        Counter(self.family(Family::counter(name, help, labels)))
    }

    /// A family of distributions. `buckets`: upper bounds, rising, without infinity.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        buckets: &'static [f64],
    ) -> Histogram {
        Histogram(self.family(Family::histogram(name, help, labels, buckets)))
    }

    /// Has `collect` write families of its own at each scrape, after the registry's.
    pub fn on_scrape(&self, collect: impl Fn(&mut Scrape) + Send + Sync + 'static) {
        self.inner.collectors.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(collect));
    }

    /// Adds `process_*` of this process: CPU, memory, open files, start.
    pub fn with_process(self) -> Self {
        self.on_scrape(process::collect);
        self
    }

    /// Everything, as text format 0.0.4: families by name, series by label values.
    pub fn render(&self) -> String {
        let mut scrape = Scrape::default();
        for family in self.inner.families.read().unwrap_or_else(PoisonError::into_inner).values() {
            family.render(&mut scrape);
        }
        for collect in &*self.inner.collectors.read().unwrap_or_else(PoisonError::into_inner) {
            collect(&mut scrape);
        }
        scrape.finish()
    }

    fn family(&self, family: Family) -> Arc<Family> {
        let mut families = self.inner.families.write().unwrap_or_else(PoisonError::into_inner);
        families.entry(family.name).or_insert_with(|| Arc::new(family)).clone()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let families = self.inner.families.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(families.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
