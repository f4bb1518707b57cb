//! `keda doctor`: walks a way that the operator goes, from the outside or in its pod, and says where it ends and what to do.
//!
//! Without a subcommand it goes over the installation: definitions, processes, leader, metrics API, certificates, admission,
//! permissions (`doctor/installation.rs`). `keda doctor azure` goes from the operator's identity to a workspace's answer
//! (`doctor/azure.rs`); it uses the operator's own code for each step, so that what it finds is what the operator finds. Neither
//! changes anything, and neither shows a token or a key.

mod azure;
mod installation;
mod report;

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};

/// What to examine.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    installation: installation::Whereabouts,
    /// A table for people, or JSON for programs.
    #[arg(long, short, value_enum, default_value_t, global = true)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The way from an Azure identity to a workspace's answer: identity, token, role, query.
    Azure(azure::Flags),
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// Examines; fails when something is wrong.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let report = match &flags.what {
        Some(What::Azure(azure)) => runtime.block_on(azure::run(azure))?,
        None => runtime.block_on(installation::run(&flags.installation))?,
    };
    let text = match flags.output {
        Output::Text => report.text(),
        Output::Json => format!("{:#}\n", report.json()),
    };
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")?;
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
