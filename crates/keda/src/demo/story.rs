//! What happens to the load, and what must be seen for the demo to have worked.

use std::time::{Duration, Instant};

use keda_testkit::source::Prometheus;

use super::{print::Line, stage};

/// The load over time: seconds from the start, and the value that the source gives from then on.
const LOAD: [(u64, f64); 5] = [(0, 0.0), (3, 35.0), (11, 58.0), (19, 8.0), (25, 0.0)];

/// The stations of the cycle, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Station {
    Asleep,
    Awake,
    Scaled,
    Back,
}

pub(crate) struct Story {
    load: Option<Prometheus>,
    threshold: f64,
    started: Instant,
    value: Option<f64>,
    station: Station,
    most: i32,
}

impl Story {
    /// With an embedded source the story sets its load; without, it watches what a real one does.
    pub(crate) fn new(load: Option<Prometheus>, threshold: f64) -> Self {
        Story { load, threshold, started: Instant::now(), value: None, station: Station::Asleep, most: 0 }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The load that is set now.
    pub(crate) fn value(&self) -> Option<f64> {
        self.value
    }

    /// Sets the load that is due.
    pub(crate) fn advance(&mut self) {
        let Some(load) = &self.load else { return };
        let seconds = self.elapsed().as_secs();
        let due = LOAD
            .iter()
            .rev()
            .find(|(from, _)| *from <= seconds)
            .map(|(_, value)| value * self.threshold / 10.0);
        if due != self.value {
            self.value = due;
            load.set(stage::QUERY, due.unwrap_or_default());
        }
    }

    /// Follows the cycle; each station counts only after the one before it, and only if the right one acted.
    pub(crate) fn note(&mut self, line: &Line) {
        self.most = self.most.max(line.replicas);
        self.station = match (self.station, line.by, line.from, line.replicas) {
            (Station::Asleep, "operator", 0, to) if to > 0 => Station::Awake,
            (Station::Awake, "hpa", _, to) if to > 1 => Station::Scaled,
            (Station::Scaled, "operator", from, 0) if from > 0 => Station::Back,
            (station, ..) => station,
        };
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.station == Station::Back
    }

    pub(crate) fn summary(&self) -> String {
        format!("0 -> 1 by the operator, up to {} and down by the HPA, -> 0 by the operator", self.most)
    }

    /// What has not happened.
    pub(crate) fn missing(&self) -> &'static str {
        match self.station {
            Station::Asleep => "the operator did not wake the workload",
            Station::Awake => "the HPA did not scale it beyond one replica",
            Station::Scaled => "the operator did not put it back to zero",
            Station::Back => "nothing",
        }
    }
}
