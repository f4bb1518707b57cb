//! The dependency rule of the workspace (ARCHITECTURE.md), read from the manifests: who may know whom.
//!
//! What a crate may depend on follows from what it is: `core` decides and does nothing, a trigger reaches the cluster only
//! through the reader in its environment, the two processes meet in the executable.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The crates of ours that a crate may depend on. Tests may use the testkit besides ([`TEST_ONLY`]).
const RULE: &[(&str, &[&str])] = &[
    ("keda-api", &[]),
    ("keda-expr", &[]),
    ("keda-core", &["keda-api", "keda-expr"]),
    ("keda-scaler-macros", &[]),
    ("keda-scaler", &["keda-api", "keda-core", "keda-scaler-macros"]),
    ("keda-scalers", &["keda-api", "keda-scaler", "keda-scalers-*"]),
    ("keda-scalers-*", &["keda-api", "keda-core", "keda-scaler"]),
    ("keda-auth", &["keda-api", "keda-core", "keda-scaler"]),
    ("keda-cluster", &["keda-api", "keda-core", "keda-scaler"]),
    ("keda-telemetry", &["keda-api"]),
    ("keda-otlp", &["keda-telemetry"]),
    ("keda-tls", &[]),
    ("keda-metrics-service", &[]),
    ("keda-testkit", &["keda-api", "keda-core", "keda-tls"]),
    (
        "keda-operator",
        &[
            "keda-api",
            "keda-auth",
            "keda-cluster",
            "keda-core",
            "keda-metrics-service",
            "keda-scaler",
            "keda-scalers-*",
            "keda-telemetry",
            "keda-tls",
        ],
    ),
    ("keda-adapter", &["keda-api", "keda-metrics-service", "keda-telemetry", "keda-tls"]),
    (
        "keda-webhooks",
        &[
            "keda-api",
            "keda-cluster",
            "keda-core",
            "keda-scaler",
            "keda-scalers-*",
            "keda-telemetry",
            "keda-tls",
        ],
    ),
    ("keda", &["keda-*"]),
    ("keda-benches", &["keda-*"]),
    ("keda-fuzz", &["keda", "keda-*"]),
    ("xtask", &["keda-*"]),
];

/// What tests of any crate above the triggers' frame may use.
const TEST_ONLY: &str = "keda-testkit";

/// What tests of triggers may use besides: the clouds in memory of `keda-auth`, which verify what a trigger signs.
const CLOUDS: (&str, &str) = ("keda-scalers-*", "keda-auth");

/// Crates below the triggers, which have no tests against a cluster either.
const PURE: &[&str] = &["keda-api", "keda-core", "keda-expr", "keda-scaler-macros"];

/// The crates that talk to the API server.
const KUBE: &[&str] = &[
    "keda-cluster",
    "keda-operator",
    "keda-adapter",
    "keda-webhooks",
    "keda-testkit",
    "keda",
    "keda-benches",
];

/// What a crate that only decides does not know.
const NOT_IN_CORE: &[&str] =
    &["async-trait", "axum", "futures", "hyper", "kube", "reqwest", "tokio", "tokio-util", "tonic", "tower"];

struct Manifest {
    name: String,
    /// Dependencies of the product, and of its build.
    normal: Table,
    /// Dependencies of its tests.
    test: Table,
}

impl Manifest {
    fn read(path: &Path) -> Self {
        let manifest: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let mut tables = vec![&manifest];
        tables.extend(
            manifest
                .get("target")
                .and_then(Value::as_table)
                .into_iter()
                .flat_map(|targets| targets.values().filter_map(Value::as_table)),
        );
        let merged = |sections: &[&str]| -> Table {
            let sections =
                tables.iter().flat_map(|table| sections.iter().filter_map(|name| table.get(*name)));
            sections
                .filter_map(Value::as_table)
                .flatten()
                .map(|(name, value)| real_name(name, value))
                .collect()
        };
        Self {
            name: manifest["package"]["name"].as_str().unwrap().to_owned(),
            normal: merged(&["dependencies", "build-dependencies"]),
            test: merged(&["dev-dependencies"]),
        }
    }
}

/// A dependency by the name of its package, which may be renamed.
fn real_name(name: &str, value: &Value) -> (String, Value) {
    let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
    (package.to_owned(), value.clone())
}

fn workspace() -> Vec<Manifest> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace: Table = std::fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let folders = members.iter().flat_map(|member| -> Vec<PathBuf> {
        match member.as_str().unwrap().strip_suffix("/*") {
            Some(parent) => {
                std::fs::read_dir(root.join(parent)).unwrap().map(|entry| entry.unwrap().path()).collect()
            }
            None => vec![root.join(member.as_str().unwrap())],
        }
    });
    folders.map(|folder| Manifest::read(&folder.join("Cargo.toml"))).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    RULE.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, allowed)| *allowed)
}

/// Names of our crates in a table of dependencies.
fn ours(dependencies: &Table) -> impl Iterator<Item = &String> {
    dependencies.keys().filter(|name| name.starts_with("keda-") || *name == "keda")
}

#[test]
fn crates_know_only_whom_they_may() {
    let mut wrong = Vec::new();
    for manifest in workspace() {
        let Some(allowed) = allowed(&manifest.name) else {
            wrong.push(format!("{} has no place in the rule: give it one", manifest.name));
            continue;
        };
        let may = |name: &str| allowed.iter().any(|pattern| matches(pattern, name));
        wrong.extend(
            ours(&manifest.normal)
                .filter(|name| !may(name))
                .map(|name| format!("{} must not depend on {name}", manifest.name)),
        );
        let pure = PURE.contains(&manifest.name.as_str());
        let cloud = matches(CLOUDS.0, &manifest.name);
        let test_only = |name: &str| !pure && name == TEST_ONLY || cloud && name == CLOUDS.1;
        wrong.extend(
            ours(&manifest.test)
                .filter(|name| !may(name) && !test_only(name))
                .map(|name| format!("tests of {} must not depend on {name}", manifest.name)),
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_processes_meet_in_the_executable_only() {
    let both: Vec<String> = workspace()
        .into_iter()
        .filter(|manifest| {
            ["keda-operator", "keda-adapter", "keda-webhooks"]
                .iter()
                .filter(|name| manifest.normal.contains_key(**name))
                .count()
                > 1
        })
        .map(|manifest| manifest.name)
        .collect();
    assert_eq!(both, ["keda"]);
}

#[test]
fn few_crates_have_a_client_of_the_api_server() {
    let users: BTreeMap<String, Value> = workspace()
        .into_iter()
        .filter_map(|manifest| Some((manifest.name, manifest.normal.get("kube")?.clone())))
        .collect();
    let clients: BTreeSet<&str> =
        users.keys().map(String::as_str).filter(|name| *name != "keda-api").collect();
    let wrong: Vec<_> = clients.iter().filter(|name| !KUBE.contains(name)).collect();
    assert!(wrong.is_empty(), "these must not depend on kube: {wrong:?}");

    // The workspace's entry has the client; the types need the derive.
    let derive = &users["keda-api"];
    assert_eq!(derive["features"], Value::from(vec!["derive"]));
    assert_eq!(derive["default-features"], Value::from(false));
}

#[test]
fn core_has_no_runtime_and_no_client() {
    let workspace = workspace();
    let core = workspace.iter().find(|manifest| manifest.name == "keda-core").unwrap();
    let wrong: Vec<&str> = NOT_IN_CORE
        .iter()
        .copied()
        .filter(|name| core.normal.contains_key(*name) || core.test.contains_key(*name))
        .collect();
    assert!(wrong.is_empty(), "keda-core must not depend on {wrong:?}");
}

/// The rule is about names: see that they are read.
#[test]
fn manifests_are_read_with_their_renames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Cargo.toml");
    let text = r#"
        [package]
        name = "x"
        [dependencies]
        core = { package = "keda-core", path = "../core" }
        [target.'cfg(unix)'.dependencies]
        kube = "5"
        [dev-dependencies]
        keda-testkit.workspace = true
    "#;
    std::fs::write(&path, text).unwrap();
    let manifest = Manifest::read(&path);
    assert_eq!(manifest.name, "x");
    assert_eq!(manifest.normal.keys().collect::<Vec<_>>(), ["keda-core", "kube"]);
    assert_eq!(manifest.test.keys().collect::<Vec<_>>(), ["keda-testkit"]);
}
