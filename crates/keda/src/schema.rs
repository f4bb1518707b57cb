//! `keda schema`.

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};
use clap::ValueEnum;
use keda_scalers::{editor, schema::Document};

/// What to print, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Print one JSON schema of all custom resources instead, for editors: it knows the parameters of every trigger type.
    #[arg(long, conflicts_with = "output")]
    crds: bool,
    /// How the parameters of triggers are written.
    #[arg(long, short, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

/// Prints the schema.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode> {
    let factories = keda_scalers::factories();
    let text = match (flags.crds, flags.output) {
        (true, _) => editor::pretty(&editor::all(&factories)),
        (false, Format::Yaml) => Document::of(&factories).yaml(),
        (false, Format::Json) => Document::of(&factories).json(),
    };
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
