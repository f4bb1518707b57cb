//! Logs as upstream prints them (zap through controller-runtime), so that what reads upstream's logs reads ours.
//!
//! Records come through `tracing`. [`Options`] are upstream's `--zap-*` flags. Everything goes to stderr, one write a record.
//!
//! * A record's logger is its field `logger`; else its target, through a short table of upstream's names.
//! * Levels: `error!`, `warn!`, `info!` are zap's; `debug!` is verbosity 1 and `trace!` verbosity 2. Crates that are not ours have to
//!   be one step louder to be heard.
//! * Fields of enclosing spans (ours only) follow the record's own.
//! * Outside devel mode and below verbosity 2, more than 100 records a second with the same level and message are thinned to 1 in 100,
//!   as upstream does.
//! * `--zap-stacktrace-level` is accepted and prints nothing: there are no stack traces here that would help anybody.

mod encode;
mod layer;
mod options;
mod sample;

pub use options::{Encoder, Level, Options, ParseError, StacktraceLevel, TimeEncoding};

use tracing_subscriber::layer::SubscriberExt;

/// Logging was already set up, by us or another library.
#[derive(Debug, thiserror::Error)]
#[error("logging is already set up")]
pub struct AlreadySet(#[from] tracing::subscriber::SetGlobalDefaultError);

/// Sets up logging for the whole process.
///
/// # Errors
/// When it was done before.
pub fn init(options: &Options) -> Result<(), AlreadySet> {
    let layer = layer::Zap::new(options, std::io::stderr());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
    Ok(())
}

#[cfg(test)]
mod tests;
