//! `keda lint`: what the API server, admission and the operator would say about manifests, without any of them.
//!
//! Objects are read from the files given (`lint/input.rs`, `lint/document.rs`), every one of ours is held against its CRD's
//! schema (`lint/schema.rs`) and against the rules of its kind (`lint/scaled_object.rs`, `lint/authentication.rs`), and every
//! trigger is resolved, parsed and planned by the code that the operator runs (`lint/triggers.rs`). References are looked up
//! among the files (`lint/files.rs`). Nothing is dialled, and no value of a Secret is ever printed.

mod authentication;
mod check;
mod document;
mod files;
mod input;
mod neighbours;
mod report;
mod requests;
mod scaled_job;
mod scaled_object;
mod schema;
mod triggers;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::ValueEnum;

pub use check::Options;
pub use input::Source;
pub use report::Report;

/// What to check, and how to say it.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Manifests: YAML or JSON files, folders of them, or - for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are written.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Objects that are referred to and not among the files are errors, as they would be in an empty cluster.
    #[arg(long)]
    strict: bool,
    /// Namespace of objects that name none.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// Where ClusterTriggerAuthentications find Secrets and ConfigMaps.
    #[arg(long, env = "KEDA_CLUSTER_OBJECT_NAMESPACE", default_value = "keda")]
    cluster_object_namespace: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Checks the files and prints the report; the exit code fails when any of them has an error.
///
/// # Errors
/// A file cannot be read, or the report cannot be written.
pub fn run(flags: &Flags) -> Result<ExitCode> {
    let sources = input::read(&flags.files)?;
    let options = Options {
        strict: flags.strict,
        namespace: flags.namespace.clone(),
        cluster_object_namespace: flags.cluster_object_namespace.clone(),
    };
    let report = report(&sources, &options)?;
    let text = match flags.output {
        Format::Text => report.text(),
        Format::Json => report.json()?,
    };
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")?;
    Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything there is to say about these texts.
///
/// # Errors
/// The schemas of our own kinds cannot be read: a defect.
pub fn report(sources: &[Source], options: &Options) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("start the runtime")?;
    runtime.block_on(check::check(sources, options))
}
