//! Which of the executable's parts is meant.
//!
//! Upstream ships three binaries. This one does what they do when it is called by their names (a link is enough), and
//! `keda --flag…` is upstream's operator, so that upstream's chart and manifests can run this image unchanged.

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::Result;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};

use crate::{adapter, crds, demo, doctor, inert, lint, operator, schema, webhooks};

#[derive(Debug, Parser)]
#[command(
    name = "keda",
    version,
    about = "Kubernetes event-driven autoscaling",
    arg_required_else_help = true
)]
pub(crate) struct Cli {
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
///
/// # Errors
/// The process or the tool failed; the text says why. Arguments that do not parse end the process, as clap has it.
pub fn run(arguments: Vec<OsString>) -> Result<ExitCode> {
    let cli = parse::<Cli>(with_subcommand(arguments));
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

/// The flags that were given, do nothing, and were asked for something else than what happens anyway.
pub(crate) fn without_effect(command: &clap::Command, matches: &ArgMatches) -> Vec<String> {
    let given = matches.subcommand();
    let Some((command, given)) =
        given.and_then(|(name, given)| Some((command.find_subcommand(name)?, given)))
    else {
        return Vec::new();
    };
    let asked = |argument: &&Arg| {
        let id = argument.get_id().as_str();
        let raw = || given.get_raw(id).into_iter().flatten();
        let is_default = || raw().eq(argument.get_default_values().iter().map(|value| value.as_os_str()));
        let empty = || raw().all(|value| value.is_empty());
        given.value_source(id) == Some(ValueSource::CommandLine) && !is_default() && !empty()
    };
    let inert = command.get_arguments().filter(|argument| is_inert(argument)).filter(asked);
    inert.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
}

/// Whether a flag's help says that it does nothing.
pub(crate) fn is_inert(argument: &Arg) -> bool {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    help.starts_with("Without effect") || help.starts_with("Not supported yet")
}

fn parse<C: CommandFactory + FromArgMatches>(arguments: Vec<OsString>) -> C {
    let matches = C::command().get_matches_from(inert::strip(arguments));
    without_effect(&C::command(), &matches).into_iter().for_each(inert::note);
    C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

#[derive(Debug, Parser)]
#[command(name = "keda-adapter", version, about = "The metrics API server that HPAs ask")]
struct AdapterCli {
    #[command(subcommand)]
    command: AdapterCommand,
}

#[derive(Debug, Subcommand)]
enum AdapterCommand {
    /// Run the metrics API server that HPAs ask.
    Adapter(adapter::Flags),
}

/// Runs the metrics API server, with or without the subcommand's name before its flags.
///
/// # Errors
/// As [`run`].
pub fn run_adapter(mut arguments: Vec<OsString>) -> Result<ExitCode> {
    if !arguments.get(1).is_some_and(|first| ["adapter", "--version", "-V"].iter().any(|word| first == word))
    {
        arguments.insert(1.min(arguments.len()), "adapter".into());
    }
    let AdapterCommand::Adapter(flags) = parse::<AdapterCli>(arguments).command;
    adapter::run(flags)
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
    fn what_does_nothing_is_said_when_something_was_asked_of_it() {
        let said = |line: &str| {
            let arguments = line.split(' ').map(OsString::from).collect();
            without_effect(
                &Cli::command(),
                &Cli::command().get_matches_from(inert::strip(with_subcommand(arguments))),
            )
        };
        assert_eq!(said("keda operator --disable-compression=true --http-max-idle-conns=0"), [""; 0]);
        assert_eq!(
            said("keda operator --disable-compression=false --leader-elect"),
            ["--disable-compression"]
        );
        assert_eq!(said("keda operator --http-max-idle-conns=7"), ["--http-max-idle-conns"]);
        assert_eq!(said("keda webhooks --cache-miss-to-direct-client"), ["--cache-miss-to-direct-client"]);
        assert_eq!(said("keda webhooks --zap-stacktrace-level=error"), ["--zap-stacktrace-level"]);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
