//! The README's first command, as a user runs it: the whole cycle over sockets, and its lines.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Half a minute of real time: the demo runs the real processes, so nothing of it can be hurried.
#[test]
fn the_demo_shows_the_whole_cycle_and_says_who_did_what() {
    let demo = Command::new(env!("CARGO_BIN_EXE_keda"))
        .args(["demo", "--output", "json"])
        .stdin(Stdio::null())
        .output()
        .expect("the executable starts");
    let text = String::from_utf8(demo.stdout).expect("UTF-8");
    let errors = String::from_utf8_lossy(&demo.stderr);
    assert!(demo.status.success(), "{}\n{text}\n{errors}", demo.status);
    assert!(!text.contains('\u{1b}'), "no colour in a pipe: {text:?}");

    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        for member in ["time", "object", "replicas", "value", "target", "by", "reason"] {
            assert!(line.get(member).is_some(), "{member} is missing in {line}");
        }
        assert_eq!(line["object"], "demo/web");
    }
    let moves: Vec<(String, i64, i64)> = lines
        .iter()
        .map(|line| {
            let number = |member: &str| line[member].as_i64().unwrap_or_else(|| panic!("{member} in {line}"));
            (line["by"].as_str().unwrap_or_default().to_owned(), number("from"), number("replicas"))
        })
        .filter(|(_, from, to)| from != to)
        .collect();
    let by = |who: &str, from: i64, to: i64| (who.to_owned(), from, to);
    assert_eq!(moves.first(), Some(&by("operator", 0, 1)), "{moves:?}");
    assert_eq!(moves.get(1), Some(&by("hpa", 1, 4)), "35 at 10 a replica: {moves:?}");
    assert!(moves.contains(&by("hpa", 4, 6)), "58 at 10 a replica: {moves:?}");
    assert_eq!(moves.last(), Some(&by("operator", 1, 0)), "{moves:?}");
}

#[test]
fn crds_are_printed_for_kubectl() {
    let printed =
        Command::new(env!("CARGO_BIN_EXE_keda")).arg("crds").output().expect("the executable starts");
    assert!(printed.status.success());
    let text = String::from_utf8(printed.stdout).expect("UTF-8");
    for name in [
        "scaledobjects.keda.sh",
        "scaledjobs.keda.sh",
        "triggerauthentications.keda.sh",
        "clustertriggerauthentications.keda.sh",
        "cloudeventsources.eventing.keda.sh",
        "clustercloudeventsources.eventing.keda.sh",
    ] {
        assert!(text.contains(&format!("name: {name}")), "{name} is missing");
    }
}

#[test]
fn a_missing_watch_namespace_is_named() {
    let started = Command::new(env!("CARGO_BIN_EXE_keda"))
        .args(["--leader-elect=false", "--zap-encoder=console"])
        .env_remove("WATCH_NAMESPACE")
        .env("KUBECONFIG", "/nonexistent")
        .output()
        .expect("the executable starts");
    assert!(!started.status.success());
    let errors = String::from_utf8_lossy(&started.stderr);
    assert!(errors.contains("WATCH_NAMESPACE must be set"), "{errors}");
}

#[test]
fn start_failures_of_every_process_exit_1() {
    let cases: [&[&str]; 3] = [
        &["operator", "--leader-elect=false", "--health-probe-bind-address=0", "--metrics-bind-address=0"],
        &["adapter", "--secure-port=0"],
        &["webhooks", "--health-probe-bind-address=0", "--metrics-bind-address=0"],
    ];
    for arguments in cases {
        let started = Command::new(env!("CARGO_BIN_EXE_keda"))
            .args(arguments)
            .env("WATCH_NAMESPACE", "")
            .env("KUBECONFIG", "/nonexistent")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .output()
            .expect("the executable starts");
        let errors = String::from_utf8_lossy(&started.stderr);
        assert_eq!(started.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("/nonexistent") || errors.contains("kubeconfig"), "{arguments:?}: {errors}");
    }
}
