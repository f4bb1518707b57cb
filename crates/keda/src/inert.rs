//! Upstream's flags that have nothing to do here: taken off the command line before it is parsed, and said once in the log.
//!
//! Upstream's processes are built on libraries (klog, the API server's) whose flags manifests of years carry along. A
//! process that refuses one of them does not start, so all are taken; none is silently believed to work.

use std::{
    ffi::OsString,
    sync::{Mutex, PoisonError},
};

/// Whether a flag is followed by a value of its own when there is no `=`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Value,
    /// A Go boolean: a value only after `=`.
    Nothing,
}

/// klog (`k8s.io/klog/v2`, `klog.go`): they steer client-go's own logs, which do not exist here.
const KLOG: &[(&str, Takes)] = &[
    ("v", Takes::Value),
    ("vmodule", Takes::Value),
    ("logtostderr", Takes::Nothing),
    ("alsologtostderr", Takes::Nothing),
    ("stderrthreshold", Takes::Value),
    ("legacy_stderr_threshold_behavior", Takes::Nothing),
    ("alsologtostderrthreshold", Takes::Value),
    ("log_dir", Takes::Value),
    ("log_file", Takes::Value),
    ("log_file_max_size", Takes::Value),
    ("log_backtrace_at", Takes::Value),
    ("add_dir_header", Takes::Nothing),
    ("skip_headers", Takes::Nothing),
    ("skip_log_headers", Takes::Nothing),
    ("one_output", Takes::Nothing),
];

/// The API server's libraries (`k8s.io/apiserver/pkg/server/options`) and the adapter's own.
const API_SERVER: &[(&str, Takes)] = &[
    // One kubeconfig is used for everything; nothing is listed.
    ("authentication-kubeconfig", Takes::Value),
    ("authorization-kubeconfig", Takes::Value),
    ("lister-kubeconfig", Takes::Value),
    ("discovery-interval", Takes::Value),
    ("client-qps", Takes::Value),
    ("client-burst", Takes::Value),
    ("profiling", Takes::Nothing),
    ("contention-profiling", Takes::Nothing),
    ("debug-socket-path", Takes::Value),
    ("enable-priority-and-fairness", Takes::Nothing),
    ("permit-port-sharing", Takes::Nothing),
    ("permit-address-sharing", Takes::Nothing),
    // One certificate answers to every name.
    ("tls-sni-cert-key", Takes::Value),
    // There is no audit log: who asked stands in the log of the API server that passed the question on.
    ("audit-policy-file", Takes::Value),
    ("audit-log-batch-throttle-enable", Takes::Nothing),
    ("audit-log-compress", Takes::Nothing),
    ("audit-log-truncate-enabled", Takes::Nothing),
    ("audit-webhook-batch-throttle-enable", Takes::Nothing),
    ("audit-webhook-truncate-enabled", Takes::Nothing),
];

/// Flags that are many and alike: whatever begins like this takes a value.
const API_SERVER_FAMILIES: &[&str] = &["audit-log-", "audit-webhook-"];

/// Notes a flag that was parsed and does nothing.
pub(crate) fn note(flag: String) {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(flag);
}

/// What was taken off, to be said when there is a log.
static TAKEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The arguments without those flags that do nothing in this subcommand.
pub(crate) fn strip(arguments: Vec<OsString>) -> Vec<OsString> {
    let (kept, taken) = split(arguments);
    *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    kept
}

/// What is kept, and the names of what is not.
pub(crate) fn split(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let subcommand = arguments.get(1).and_then(|subcommand| subcommand.to_str()).unwrap_or_default();
    let tables: &[&[(&str, Takes)]] = match subcommand {
        "adapter" => &[KLOG, API_SERVER],
        "operator" | "webhooks" => &[KLOG],
        _ => return (arguments, Vec::new()),
    };
    let families = if subcommand == "adapter" { API_SERVER_FAMILIES } else { &[] };
    let takes = |name: &str| {
        let listed = tables.iter().flat_map(|table| table.iter()).find(|(listed, _)| *listed == name);
        let family = || families.iter().any(|family| name.starts_with(family)).then_some(Takes::Value);
        listed.map(|(_, takes)| *takes).or_else(family)
    };
    let (mut kept, mut taken) = (Vec::with_capacity(arguments.len()), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let flag = argument.to_str().and_then(|text| text.strip_prefix("--").or_else(|| short(text)));
        let (name, value) = flag.map_or(("", None), |flag| {
            flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)))
        });
        match takes(name).filter(|_| !name.is_empty()) {
            None => kept.push(argument),
            Some(takes) => {
                taken.push(format!("--{name}"));
                if takes == Takes::Value && value.is_none() {
                    arguments.next();
                }
            }
        }
    }
    (kept, taken)
}

/// `-v=4` and `-v 4`, which klog's users write.
fn short(text: &str) -> Option<&str> {
    text.strip_prefix('-').filter(|rest| *rest == "v" || rest.starts_with("v="))
}

/// Every flag that does nothing in a subcommand; families by an ellipsis.
#[cfg(test)]
pub(crate) fn names(subcommand: &str) -> Vec<String> {
    let libraries = if subcommand == "adapter" { API_SERVER } else { &[] };
    let mut names: Vec<String> = KLOG.iter().chain(libraries).map(|(name, _)| (*name).to_owned()).collect();
    if subcommand == "adapter" {
        names.extend(API_SERVER_FAMILIES.iter().map(|family| format!("{family}…")));
    }
    names
}

/// Says once what was taken off.
pub(crate) fn announce() {
    let taken = std::mem::take(&mut *TAKEN.lock().unwrap_or_else(PoisonError::into_inner));
    if !taken.is_empty() {
        tracing::info!(
            logger = "setup",
            flags = taken.join(" "),
            "these flags are accepted and have no effect here"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from).collect();
        let kept: Vec<_> = strip(arguments).into_iter().map(|word| word.into_string().unwrap()).collect();
        kept.join(" ")
    }

    #[test]
    fn flags_without_effect_go_with_their_values() {
        for (given, kept) in [
            ("keda adapter --secure-port=6443 --v=1 --logtostderr=true", "keda adapter --secure-port=6443"),
            ("keda adapter --v 1 --secure-port 6443", "keda adapter --secure-port 6443"),
            ("keda adapter --logtostderr --secure-port 6443", "keda adapter --secure-port 6443"),
            (
                "keda adapter --audit-log-path=/var/log/a --audit-policy-file /p --audit-log-compress",
                "keda adapter",
            ),
            ("keda adapter --audit-log-maxage 7 --tls-sni-cert-key a,b --profiling=false", "keda adapter"),
            ("keda operator -v=4 --leader-elect", "keda operator --leader-elect"),
            ("keda operator --audit-log-path=/a", "keda operator --audit-log-path=/a"),
            ("keda lint --v", "keda lint --v"),
            ("keda adapter --", "keda adapter --"),
        ] {
            assert_eq!(stripped(given), kept, "{given}");
        }
    }
}
