//! The parameters of `cron` (core.md 9.2).

use keda_scaler::TriggerConfig;

/// What a manifest says about a `cron` trigger.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// When the window opens: minute, hour, day of month, month, day of week.
    #[param(from(metadata))]
    pub start: String,

    /// When the window closes, in the same form.
    #[param(from(metadata))]
    pub end: String,

    /// Time zone of both, by its IANA name, e.g. `Europe/Berlin`.
    #[param(from(metadata))]
    pub timezone: String,

    /// Replicas while the window is open; not 0.
    #[param(from(metadata))]
    pub desired_replicas: i64,
}
