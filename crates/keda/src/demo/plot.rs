//! What the page draws: the last minutes of samples and decisions, and whoever listens to them.
//!
//! Written by the serving loop, read by the page's handlers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

use super::print::Line;

/// Samples that are kept: at one a second, ten minutes.
const SAMPLES: usize = 600;
/// Decisions that are kept.
const DECISIONS: usize = 200;
/// News that a slow listener may be behind before it is shown everything anew.
const BEHIND: usize = 64;

/// How things are at one time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) time: Timestamp,
    /// The load that was set.
    pub(super) load: f64,
    /// The metric as the operator last read it.
    pub(super) value: Option<f64>,
    /// The value that one replica takes.
    pub(super) target: f64,
    /// Replicas that the workload should have.
    pub(super) replicas: i32,
    /// Replicas that are ready.
    pub(super) ready: i32,
}

/// Everything that is kept.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Kept {
    pub(super) samples: VecDeque<Sample>,
    pub(super) decisions: VecDeque<Line>,
}

/// One thing that a listener is told.
#[derive(Clone, Debug)]
pub(super) enum News {
    Sample(Sample),
    Decision(Line),
}

/// The kept history, shared.
#[derive(Clone)]
pub(super) struct Plot {
    kept: Arc<Mutex<Kept>>,
    news: broadcast::Sender<News>,
}

impl Plot {
    pub(super) fn new() -> Self {
        Plot { kept: Arc::default(), news: broadcast::Sender::new(BEHIND) }
    }

    pub(super) fn sample(&self, sample: Sample) {
        let mut kept = self.lock();
        push(&mut kept.samples, sample.clone(), SAMPLES);
        self.tell(News::Sample(sample));
    }

    pub(super) fn decision(&self, line: Line) {
        let mut kept = self.lock();
        push(&mut kept.decisions, line.clone(), DECISIONS);
        self.tell(News::Decision(line));
    }

    pub(super) fn kept(&self) -> Kept {
        self.lock().clone()
    }

    /// Everything so far, and everything from then on: nothing is missing in between, and nothing comes twice.
    pub(super) fn listen(&self) -> (Kept, broadcast::Receiver<News>) {
        let kept = self.lock();
        (kept.clone(), self.news.subscribe())
    }

    fn tell(&self, news: News) {
        // Nobody may be looking.
        let _unseen = self.news.send(news);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    if kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(new);
}
