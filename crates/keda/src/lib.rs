//! What the executables `keda` and `keda-adapter` are made of: flags and wiring, one page a process, and the tools for people.

mod adapter;
pub mod cli;
mod crds;
mod debug;
mod demo;
mod doctor;
mod environment;
#[cfg(test)]
mod flags;
mod inert;
mod kubernetes;
pub mod lint;
mod logging;
mod operator;
mod probes;
mod requests;
mod schema;
mod shutdown;
mod webhooks;

use std::{ffi::OsString, process::ExitCode};

/// Runs a process with its arguments; its failure is said on standard error, as logging may not be set up by then.
pub fn started(run: impl FnOnce(Vec<OsString>) -> anyhow::Result<ExitCode>) -> ExitCode {
    keda_tls::install_provider();
    match run(std::env::args_os().collect()) {
        Ok(code) => code,
        Err(error) => {
            let _unseen =
                std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
