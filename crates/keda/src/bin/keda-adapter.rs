//! `keda-adapter`: the metrics API server alone, with nothing of the rest in memory.
//!
//! `keda adapter` is the same process in the larger executable; the image has both (docs/adr/0016-two-executables.md).

use std::process::ExitCode;

fn main() -> ExitCode {
    keda_tools::started(keda_tools::cli::run_adapter)
}
