//! The `--zap-*` flags.

use anyhow::Result;
use keda_telemetry::logs::{self, Encoder, Level, StacktraceLevel, TimeEncoding};

/// Flags about logs (platform.md §1.6).
#[derive(Debug, clap::Args)]
pub(crate) struct LogFlags {
    /// Level: debug, info, error, panic, or an integer above 0.
    #[arg(long)]
    zap_log_level: Option<Level>,
    /// Encoder: json or console.
    #[arg(long)]
    zap_encoder: Option<Encoder>,
    /// Time encoding: epoch, millis, nano, iso8601, rfc3339 or rfc3339nano.
    #[arg(long)]
    zap_time_encoding: Option<TimeEncoding>,
    /// Without effect: no stack traces are printed.
    #[arg(long)]
    zap_stacktrace_level: Option<StacktraceLevel>,
    /// Development mode: console encoder, debug level.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    zap_devel: bool,
}

impl LogFlags {
    /// Sets up logging for the process.
    pub(crate) fn init(&self) -> Result<()> {
        let options = logs::Options {
            devel: self.zap_devel,
            encoder: self.zap_encoder,
            level: self.zap_log_level,
            time: self.zap_time_encoding.unwrap_or_default(),
            stacktrace: self.zap_stacktrace_level,
        };
        logs::init(&options)?;
        crate::inert::announce();
        Ok(())
    }
}
