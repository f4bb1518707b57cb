//! The `--zap-*` flags, and klog's, which upstream's manifests pass.

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
    /// Accepted, without effect.
    #[arg(long)]
    zap_stacktrace_level: Option<StacktraceLevel>,
    /// Development mode: console encoder, debug level.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    zap_devel: bool,
    #[command(flatten)]
    klog: KlogFlags,
}

/// klog's flags: they steer client-go's own logs, which do not exist here. Accepted so that upstream's command lines work.
#[derive(Debug, clap::Args)]
struct KlogFlags {
    /// Accepted, without effect.
    #[arg(short = 'v', long, hide = true, allow_hyphen_values = true)]
    v: Option<String>,
    /// Accepted, without effect.
    #[arg(long, hide = true)]
    vmodule: Option<String>,
    /// Accepted, without effect: logs go to standard error.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    logtostderr: Option<String>,
    /// Accepted, without effect.
    #[arg(long, hide = true)]
    stderrthreshold: Option<String>,
    /// Accepted, without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    alsologtostderr: Option<String>,
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
        Ok(logs::init(&options)?)
    }
}
