//! `keda`: one executable for the operator, the metrics API server, the webhooks, and the tools for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    keda_tools::started(keda_tools::cli::run)
}
