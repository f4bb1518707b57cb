//! `keda doctor`: walks a way that the operator goes, from the outside or in its pod, and says where it ends and what to do.
//!
//! `keda doctor azure` goes from the operator's identity to a workspace's answer (`doctor/azure.rs`). It uses the operator's own
//! code for each step, so that what it finds is what the operator finds. It changes nothing, and shows no token.

mod azure;
mod report;

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context, Result};
use clap::Subcommand;

/// What to examine.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The way from an Azure identity to a workspace's answer: identity, token, role, query.
    Azure(azure::Flags),
}

/// Examines; fails when something is wrong.
pub(crate) fn run(flags: Flags) -> Result<ExitCode> {
    let What::Azure(flags) = flags.what;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let report = runtime.block_on(azure::run(&flags))?;
    std::io::stdout().write_all(report.text().as_bytes()).context("write to standard output")?;
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
