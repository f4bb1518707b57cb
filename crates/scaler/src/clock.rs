//! The time a trigger sees.

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the wall time. Cheap to copy.
///
/// Production code uses [`Clock::system`]. Tests use [`Clock::tokio`], whose wall time advances with tokio's own clock, so
/// that hours of paused (virtual) time move cron windows and query times along with every timer.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    System,
    Tokio { start: Timestamp, origin: Instant },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that reads `start` now and follows tokio's clock from here on, paused or not.
    pub fn tokio(start: Timestamp) -> Self {
        Self(Kind::Tokio { start, origin: Instant::now() })
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Kind::System => Timestamp::now(),
            Kind::Tokio { start, origin } => start.saturating_add(origin.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_virtual_time() {
        let clock = Clock::tokio("2026-11-24T10:00:00Z".parse().unwrap());
        tokio::time::advance(Duration::from_secs(3 * 3600)).await;
        assert_eq!(clock.now().to_string(), "2026-11-24T13:00:00Z");
    }
}
