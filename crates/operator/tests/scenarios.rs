//! Plays every scenario of `tests/scenarios`, each as a test of its own: `cargo test --test scenarios -- 6887`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "test code")]

mod harness;

use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = harness::files(&folder).expect("the folder of scenarios can be read");
    let trials = files
        .into_iter()
        .map(|(name, path)| Trial::test(name, move || harness::play_file(&path).map_err(Failed::from)))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
