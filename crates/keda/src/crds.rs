//! `keda crds`.

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};

/// No flags so far.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {}

/// Prints every CRD as one YAML stream.
pub(crate) fn run(_flags: &Flags) -> Result<ExitCode> {
    std::io::stdout().write_all(keda_api::crds::yaml().as_bytes()).context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
