//! The next time of a schedule.
//!
//! The search walks forward in real time and looks at the wall clock of each place it stops, so that skipped and repeated
//! hours come out by themselves. It never walks over a change of the clocks: every step ends there at the latest.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::Schedule;

/// Years after which the search gives up.
const YEARS: i16 = 5;

impl Schedule {
    /// The first time after `after` (strictly) at which the schedule is due, in the zone of `after`. None if there is
    /// none until the end of the fifth year from then.
    pub fn next_after(&self, after: &Zoned) -> Option<Zoned> {
        // Fields that never match make every walk pointless.
        if [self.minute, self.hour, self.month].iter().any(|field| field.values == 0) {
            return None;
        }
        let zone = self.zone.as_ref().unwrap_or_else(|| after.time_zone());
        let mut walk = Walk::start(zone, after.timestamp())?;
        let last_year = walk.wall().year().saturating_add(YEARS);

        loop {
            let wall = walk.wall();
            if wall.year() > last_year {
                return None;
            }
            if !self.matches_day(wall.date()) {
                let day = self.next_day(wall.date(), last_year)?;
                walk.reach(day)?;
                continue;
            }
            let into_hour = 60 * i64::from(wall.minute()) + i64::from(wall.second());
            if !self.hour.has(wall.hour()) {
                walk.by(3600 - into_hour)?;
                continue;
            }
            // The minute that is due: this one at its very beginning, else a later one, else the next hour's first.
            let due = match self.minute.has(wall.minute()) && wall.second() == 0 {
                true => return Some(walk.at.to_zoned(after.time_zone().clone())),
                false => self.minute.after(wall.minute()).map_or(3600, |minute| 60 * i64::from(minute)),
            };
            walk.by(due - into_hour)?;
        }
    }

    /// Whether month and day match; of the two day fields one is enough if both are restricted.
    fn matches_day(&self, date: Date) -> bool {
        let by_month = self.day.has(date.day());
        let by_week = self.weekday.has(date.weekday().to_sunday_zero_offset());
        let either_counts = !self.day.star && !self.weekday.star;
        self.month.has(date.month()) && if either_counts { by_month || by_week } else { by_month && by_week }
    }

    /// The first matching date after `date`, not beyond the end of `last_year`.
    fn next_day(&self, date: Date, last_year: i16) -> Option<Date> {
        let mut day = date.tomorrow().ok()?;
        while day.year() <= last_year {
            if self.matches_day(day) {
                return Some(day);
            }
            day = match self.month.has(day.month()) {
                true => day.tomorrow().ok()?,
                false => day.last_of_month().tomorrow().ok()?,
            };
        }
        None
    }
}

/// A place in time that moves forward, and the next change of the clocks ahead of it.
struct Walk<'a> {
    zone: &'a TimeZone,
    at: Timestamp,
    change: Option<Timestamp>,
}

impl<'a> Walk<'a> {
    /// At the first whole second after `after`.
    fn start(zone: &'a TimeZone, after: Timestamp) -> Option<Self> {
        // Seconds count towards zero, so before 1970 a fraction has already moved up.
        let next = if after.subsec_nanosecond() < 0 { 0 } else { 1 };
        let at = Timestamp::from_second(after.as_second().checked_add(next)?).ok()?;
        let mut walk = Self { zone, at, change: None };
        walk.look_ahead();
        Some(walk)
    }

    fn look_ahead(&mut self) {
        self.change = self.zone.following(self.at).next().map(|transition| transition.timestamp());
    }

    fn wall(&self) -> DateTime {
        self.zone.to_datetime(self.at)
    }

    /// Moves by `seconds`, at least one, but not beyond the next change of the clocks.
    fn by(&mut self, seconds: i64) -> Option<()> {
        let target = self.at.checked_add(SignedDuration::from_secs(seconds.max(1))).ok()?;
        self.stop_at(target);
        Some(())
    }

    /// Moves to the first moment of `day`, but not beyond the next change of the clocks.
    fn reach(&mut self, day: Date) -> Option<()> {
        // Noon exists on every day that exists; the start of the day may not be midnight.
        let start = day.at(12, 0, 0, 0).to_zoned(self.zone.clone()).ok()?.start_of_day().ok()?;
        let later = self.at.checked_add(1.second()).ok()?;
        self.stop_at(start.timestamp().max(later));
        Some(())
    }

    fn stop_at(&mut self, target: Timestamp) {
        match self.change {
            Some(change) if change <= target => {
                self.at = change;
                self.look_ahead();
            }
            _ => self.at = target,
        }
    }
}
