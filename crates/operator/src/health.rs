//! What the probes are told.
//!
//! `/healthz` answers as long as the process's runtime does. `/readyz` is honest: before the API server was reached and
//! the watches are in sync it says what is missing. A standby is ready: it does its duty by waiting, and a rolling
//! update that waits for it must go on.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where the process stands.
#[derive(Debug, Default)]
pub struct Health {
    stage: AtomicU8,
}

const STARTING: u8 = 0;
const STANDING_BY: u8 = 1;
const WORKING: u8 = 2;

impl Health {
    pub(crate) fn standing_by(&self) {
        self.stage.store(STANDING_BY, Ordering::Relaxed);
    }

    pub(crate) fn working(&self) {
        self.stage.store(WORKING, Ordering::Relaxed);
    }

    /// `Ok` when this replica does what it should; else what it waits for.
    ///
    /// # Errors
    /// The reason, for the probe's answer.
    pub fn ready(&self) -> Result<(), String> {
        match self.stage.load(Ordering::Relaxed) {
            STARTING => Err("the watches are not in sync with the API server yet".to_owned()),
            _ => Ok(()),
        }
    }
}
