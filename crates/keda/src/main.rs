//! `keda`: one executable for the operator, the metrics API server, and the tools for people.

mod adapter;
mod cli;
mod crds;
mod debug;
mod demo;
mod doctor;
mod environment;
#[cfg(test)]
mod flags;
mod inert;
mod kubernetes;
mod logging;
mod operator;
mod probes;
mod requests;
mod schema;
mod shutdown;
mod webhooks;

use std::process::ExitCode;

fn main() -> ExitCode {
    keda_tls::install_provider();
    match cli::run(std::env::args_os().collect()) {
        Ok(code) => code,
        Err(error) => {
            // Logging may not be set up: the last words go where a person or the kubelet finds them.
            let _unseen =
                std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
