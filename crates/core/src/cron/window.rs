//! The rule of the cron trigger: active between a start and an end.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Schedule;

/// A start, an end, and the zone they are meant in.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// When the window opens.
    pub start: Schedule,
    /// When it closes.
    pub end: Schedule,
    /// The zone, for schedules that do not bring their own.
    pub zone: TimeZone,
}

impl Window {
    /// Whether `now` is inside, by upstream's rule (`pkg/scalers/cron_scaler.go`): the next end comes no later than the
    /// next start.
    ///
    /// A start that never comes leaves the window open for ever; an end that never comes, with a start that does, leaves
    /// it shut.
    pub fn active(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        match (self.start.next_after(&now), self.end.next_after(&now)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(start), Some(end)) => end.timestamp() <= start.timestamp(),
        }
    }

    /// The next moment after `now` at which [`Window::active`] can change: the next start or end, whichever is first.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        [&self.start, &self.end]
            .into_iter()
            .filter_map(|schedule| schedule.next_after(&now))
            .map(|next| next.timestamp())
            .min()
    }
}
