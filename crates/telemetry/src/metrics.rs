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
mod reconciles;
pub mod table;
mod text;
mod webhooks;

pub use adapter::Adapter;
pub use family::{Counter, CounterSeries, Gauge, GaugeSeries, Histogram, HistogramSeries, Sample};
pub use grpc::{Call, Grpc, Kind, Method, code_name};
pub use operator::{HttpRequest, Operator, Trigger};
pub use reconciles::{Reconciles, Reconciling};
pub use text::{CONTENT_TYPE, Scrape};
pub use webhooks::{InFlight, Webhooks};

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use family::Family;
use table::Definition;

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
    pub fn gauge(&self, definition: &'static Definition) -> Gauge {
        debug_assert_eq!(definition.type_name(), "gauge", "{}", definition.name);
        Gauge(self.family(definition))
    }

    /// A family of values that only go up.
    pub fn counter(&self, definition: &'static Definition) -> Counter {
        debug_assert_eq!(definition.type_name(), "counter", "{}", definition.name);
        Counter(self.family(definition))
    }

    /// A family of distributions.
    pub fn histogram(&self, definition: &'static Definition) -> Histogram {
        debug_assert_eq!(definition.type_name(), "histogram", "{}", definition.name);
        Histogram(self.family(definition))
    }

    /// What OpenTelemetry pushes: families that have instruments, with their series as they are now.
    pub fn pushed(&self) -> Vec<(&'static Definition, Vec<Sample>)> {
        let families = self.inner.families.read().unwrap_or_else(PoisonError::into_inner);
        let pushed = families.values().filter(|family| !family.definition.instruments.is_empty());
        pushed.map(|family| (family.definition, family.samples())).collect()
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

    fn family(&self, definition: &'static Definition) -> Arc<Family> {
        let mut families = self.inner.families.write().unwrap_or_else(PoisonError::into_inner);
        families.entry(definition.name).or_insert_with(|| Arc::new(Family::new(definition))).clone()
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
