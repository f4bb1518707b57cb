//! `keda lint` as a user runs it: manifests in, text and JSON out, held against what is committed beside them.
//!
//! `KEDA_BLESS=1 cargo test -p keda --test lint` writes the expectations anew; read the difference before committing it.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// In every Secret of the cases: it must never come out.
const SECRET: &str = "hunter2";

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")
}

fn lint(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keda"))
        .arg("lint")
        .args(arguments)
        .current_dir(folder)
        .env_remove("KEDA_CLUSTER_OBJECT_NAMESPACE")
        .stdin(Stdio::null())
        .output()
        .expect("the executable starts")
}

/// The text without the list of all trigger types, which grows.
fn without_types(text: &str) -> String {
    const BEFORE: &str = "available are: ";
    let mut pieces = text.split(BEFORE);
    let mut short = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(['"', '\n']).unwrap_or(piece.len());
        short.extend([BEFORE, "(all types)", &piece[end..]]);
    }
    short
}

/// Runs one case and compares its output with a file.
fn check(case: &str, arguments: &[&str], expected: &str, code: i32) {
    let folder = cases().join(case);
    let manifests: Vec<String> = std::fs::read_dir(&folder)
        .expect("the case has a folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .filter(|name| !name.starts_with("expected"))
        .collect();
    let mut all: Vec<&str> = manifests.iter().map(String::as_str).collect();
    all.extend(arguments);
    let output = lint(&folder, &all);
    let text = without_types(&String::from_utf8(output.stdout).expect("UTF-8"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    assert!(!text.contains(SECRET), "a secret came out:\n{text}");
    let path = folder.join(expected);
    if std::env::var_os("KEDA_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the expectation is written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{case}: {}", path.display());
    assert_eq!(output.status.code(), Some(code), "{case}");
}

#[test]
fn sound_manifests() {
    check("sound", &[], "expected.txt", 0);
    check("sound", &["--output", "json"], "expected.json", 0);
    check("sound", &["--strict"], "expected.txt", 0);
}

#[test]
fn scaled_jobs() {
    check("scaled-jobs", &[], "expected.txt", 1);
}

#[test]
fn parameters_of_triggers() {
    check("parameters", &[], "expected.txt", 1);
    check("parameters", &["--output", "json"], "expected.json", 1);
}

#[test]
fn event_sources() {
    check("events", &[], "expected.txt", 1);
}

#[test]
fn references_to_other_objects() {
    check("references", &[], "expected.txt", 1);
    check("references", &["--strict"], "expected-strict.txt", 1);
    check("references", &["--output", "json"], "expected.json", 1);
}

#[test]
fn identities_and_what_only_the_operator_has() {
    check("identities", &[], "expected.txt", 1);
    check("identities", &["--strict"], "expected.txt", 1);
}

#[test]
fn schemas_and_broken_documents() {
    check("schema", &[], "expected.txt", 1);
}

#[test]
fn formulas_and_fallbacks() {
    check("formulas", &[], "expected.txt", 1);
}

#[test]
fn rules_of_admission() {
    check("rules", &[], "expected.txt", 1);
}

#[test]
fn requests_for_cpu_and_memory() {
    check("requests", &[], "expected.txt", 1);
}

#[test]
fn lists_and_the_other_kinds() {
    check("kinds", &[], "expected.txt", 1);
}

/// The examples of the reference pages are what they say: accepted.
#[test]
fn the_sample_of_every_trigger() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scalers");
    let mut samples = 0;
    for family in std::fs::read_dir(root).expect("the families").map(|entry| entry.expect("readable").path())
    {
        let triggers = std::fs::read_dir(family.join("src")).expect("a family has triggers");
        for folder in triggers
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.join("sample.yaml").exists())
        {
            samples += 1;
            let output = lint(&folder, &["sample.yaml", "--output", "json"]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}\n{text}", folder.display());
            let entries: Vec<Value> = serde_json::from_str(&text).expect("JSON");
            let triggers = entries.iter().filter(|entry| !entry["trigger"].is_null());
            for trigger in triggers {
                assert_eq!(trigger["verdict"], "ok", "{trigger}");
                // The metrics of external scalers are theirs to say.
                let known = !trigger["trigger"].as_str().is_some_and(|name| name.starts_with("external"));
                assert_eq!(
                    trigger["metricNames"].as_array().is_some_and(|names| !names.is_empty()),
                    known,
                    "{trigger}"
                );
            }
        }
    }
    assert!(samples >= 2, "{samples} samples found");
}

#[test]
fn standard_input_and_folders() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keda"))
        .args(["lint", "-", "--output", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the executable starts");
    let manifest = std::fs::read(cases().join("sound/web.yaml")).expect("the manifest");
    child.stdin.take().expect("a pipe").write_all(&manifest).expect("the executable reads");
    let output = child.wait_with_output().expect("the executable ends");
    assert!(output.status.success());
    let entries: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(entries.iter().all(|entry| entry["file"] == "<stdin>"), "{entries:?}");
    for member in ["object", "trigger", "index", "verdict", "errors", "metricNames", "targets"] {
        assert!(entries.iter().all(|entry| entry.get(member).is_some()), "{member}");
    }

    let folder = lint(&cases(), &["sound"]);
    let text = String::from_utf8_lossy(&folder.stdout);
    assert!(text.contains("sound/web.yaml:"), "{text}");
    let nothing = lint(&cases(), &["no-such-file.yaml"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no-such-file.yaml"));
}
