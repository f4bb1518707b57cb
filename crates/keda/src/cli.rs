//! Which of the executable's parts is meant.
//!
//! Upstream ships three binaries. This one does what they do when it is called by their names (a link is enough), and
//! `keda --flag…` is upstream's operator, so that upstream's chart and manifests can run this image unchanged.

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use keda_tools::lint;

use crate::{adapter, crds, demo, doctor, inert, operator, schema, webhooks};

#[derive(Debug, Parser)]
#[command(
    name = "keda",
    version,
    about = "Kubernetes event-driven autoscaling",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: poll sources, scale workloads, keep their HPAs.
    Operator(operator::Flags),
    /// Run the metrics API server that HPAs ask.
    Adapter(adapter::Flags),
    /// Run the admission webhooks that the API server asks before it stores objects.
    Webhooks(webhooks::Flags),
    /// Print the custom resource definitions, ready for kubectl apply.
    Crds(crds::Flags),
    /// Check manifests without a cluster: schema, admission rules, every trigger.
    Lint(lint::Flags),
    /// Find out what is wrong with an installation, step by step.
    Doctor(doctor::Flags),
    /// Print the parameters of every trigger type, or schemas for editors.
    Schema(schema::Flags),
    /// Watch a workload go from zero to N and back, on an embedded cluster.
    Demo(demo::Flags),
}

/// Runs what the arguments ask for.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<ExitCode> {
    let cli = Cli::parse_from(inert::strip(with_subcommand(arguments)));
    match cli.command {
        Command::Operator(flags) => operator::run(flags),
        Command::Adapter(flags) => adapter::run(flags),
        Command::Webhooks(flags) => webhooks::run(flags),
        Command::Crds(flags) => crds::run(&flags),
        Command::Lint(flags) => lint::run(&flags),
        Command::Doctor(flags) => doctor::run(&flags),
        Command::Schema(flags) => schema::run(&flags),
        Command::Demo(flags) => demo::run(flags),
    }
}

/// Puts the subcommand in where the name of the link, or a leading flag, stands for it.
fn with_subcommand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    const OWN: [&str; 4] = ["--help", "-h", "--version", "-V"];
    let called = arguments.first().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let subcommand = match (called, first) {
        (Some("keda-adapter"), _) => "adapter",
        (Some("keda-admission-webhooks"), _) => "webhooks",
        (_, Some(flag)) if flag.starts_with("--") && !OWN.contains(&flag) => "operator",
        _ => return arguments,
    };
    arguments.insert(1, subcommand.into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &[&str]) -> Vec<String> {
        let given = arguments.iter().map(OsString::from).collect();
        with_subcommand(given).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn upstreams_names_and_command_lines_find_their_part() {
        assert_eq!(words(&["/keda", "--leader-elect"]), ["/keda", "operator", "--leader-elect"]);
        assert_eq!(
            words(&["/keda-adapter", "--secure-port=6443"]),
            ["/keda-adapter", "adapter", "--secure-port=6443"]
        );
        assert_eq!(
            words(&["/keda-admission-webhooks", "--port=9443"]),
            ["/keda-admission-webhooks", "webhooks", "--port=9443"]
        );
        assert_eq!(words(&["keda", "demo"]), ["keda", "demo"]);
        assert_eq!(words(&["keda", "--version"]), ["keda", "--version"]);
        assert_eq!(words(&["keda"]), ["keda"]);
    }

    /// The chart and upstream's manifests spell empty values out.
    #[test]
    fn empty_values_are_as_good_as_none() {
        for line in [
            "keda operator --filepath-auth-root-path= --profiling-bind-address= --k8s-cluster-name=",
            "keda adapter --tls-cert-file= --tls-private-key-file= --client-ca-file= --requestheader-client-ca-file= --metrics-service-grpc-authority= --tls-min-version=",
        ] {
            let arguments = line.split(' ').map(OsString::from).collect();
            let parsed = Cli::try_parse_from(inert::strip(with_subcommand(arguments)));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
