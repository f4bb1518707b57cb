//! What an autoscaler remembers between syncs: what was proposed, and what was changed. A value, handed in and out.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use serde::Serialize;

use super::limit;

/// What the metrics proposed at one time, before any limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    /// When.
    pub at: Timestamp,
    /// How many replicas.
    pub replicas: i32,
}

/// A change of the target that the autoscaler made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// By how many replicas, positive in both directions.
    pub by: i32,
}

/// The memory of one autoscaler. The controller loses it when it restarts; so may its owner here.
///
/// It is kept as the controller keeps it: what is too old is not dropped, the next entry takes its place (one place an
/// entry, the last one first). Until then it is there, and a window or a period that is longer than those that made it
/// too old does count it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// Proposals, at least those that a stabilization window still covers. The first one is what the target had when it
    /// was first seen, so that it does not shrink at once.
    pub recommendations: Vec<Recommendation>,
    /// Changes to more replicas, at least those that a policy of this direction still covers.
    pub ups: Vec<Change>,
    /// Changes to fewer.
    pub downs: Vec<Change>,
}

impl History {
    /// Notes a change that was made. Without a behavior no policy counts changes, and none is kept.
    pub fn scaled(
        &mut self,
        from: i32,
        to: i32,
        now: Timestamp,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
    ) {
        let Some(behavior) = behavior else { return };
        let (up, down) = limit::longest_periods(behavior);
        let (changes, longest) = if to > from { (&mut self.ups, up) } else { (&mut self.downs, down) };
        let change = Change { at: now, by: to.saturating_sub(from).saturating_abs() };
        keep(changes, change, |old| now.duration_since(old.at) > longest);
    }

    pub(super) fn begin(&mut self, replicas: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push(Recommendation { at: now, replicas });
        }
    }

    /// Notes a proposal, in the place of one that no window (of `memory` at most) covers any more.
    pub(super) fn recommend(&mut self, replicas: i32, now: Timestamp, memory: SignedDuration) {
        let recommendation = Recommendation { at: now, replicas };
        keep(&mut self.recommendations, recommendation, |old| now.duration_since(old.at) > memory);
    }

    /// Replicas `period` ago: what there is now, less what came, plus what went.
    pub(super) fn replicas_before(&self, current: i32, period: SignedDuration, now: Timestamp) -> i32 {
        let sum = |changes: &[Change]| {
            let recent = changes.iter().filter(|change| now.duration_since(change.at) < period);
            recent.fold(0i32, |sum, change| sum.wrapping_add(change.by))
        };
        current.wrapping_sub(sum(&self.ups)).wrapping_add(sum(&self.downs))
    }
}

fn keep<T>(entries: &mut Vec<T>, new: T, is_old: impl Fn(&T) -> bool) {
    match entries.iter_mut().rev().find(|entry| is_old(entry)) {
        Some(old) => *old = new,
        None => entries.push(new),
    }
}
