//! Every target for a second (or `KEDA_FUZZ_SECONDS`): its corpus first, then what a seeded mutator makes of it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test code")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use keda_fuzz::{Mutator, TARGETS, Target};

/// One input may take so long, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(5);

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn feed(target: &Target, input: &[u8], seed: u64) {
    let began = Instant::now();
    let fed = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let shown = || input.escape_ascii().to_string();
    assert!(fed.is_ok(), "{} (seed {seed}) panics on {}", target.name, shown());
    assert!(
        began.elapsed() < PATIENCE,
        "{} (seed {seed}) took {:?} for {}",
        target.name,
        began.elapsed(),
        shown()
    );
}

#[test]
fn every_target_keeps_its_promises_6102() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(variable("KEDA_FUZZ_SECONDS").unwrap_or(1));
    let seed = variable("KEDA_FUZZ_SEED").unwrap_or(20_261_124);
    let only = std::env::var("KEDA_FUZZ").ok();
    for target in TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| only == target.name)) {
        let inputs = corpus(target);
        assert!(inputs.len() >= 2, "{} has no corpus", target.name);
        for input in &inputs {
            feed(target, input, 0);
        }
        let mut mutator = Mutator::new(seed, inputs, target.words);
        let (began, mut runs) = (Instant::now(), 0_u64);
        while began.elapsed() < time {
            feed(target, &mutator.next_input(), seed);
            runs += 1;
        }
        eprintln!("{}: {runs} inputs", target.name);
        assert!(runs > 10, "{} is too slow: {runs} inputs", target.name);
    }
}
