//! Wall time that follows tokio's clock.
//!
//! A clock is a start time and the tokio instant at which it began to run. Under `tokio::time::pause` it therefore
//! stands still or jumps with virtual time, and on a normal runtime it is an ordinary wall clock. The server stamps
//! objects with it, so that hours of timestamps in a test are as exact as the test's own sleeps.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Wall time: a start and what has passed of tokio's time since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    origin: Instant,
}

impl Clock {
    /// The start of clocks that nobody sets: 2026-01-01T00:00:00Z, a Thursday, so that logged times read easily.
    pub const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

    /// A clock that reads `start` now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: Instant::now() }
    }

    /// A clock that reads the machine's time now and follows tokio's from here on.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// The time at which this clock started.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// What has passed since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.start.checked_add(self.elapsed()).unwrap_or(Timestamp::MAX)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::starting_at(Self::START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_virtual_time() {
        let clock = Clock::default();
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00Z");
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T03:00:00Z");
    }
}
