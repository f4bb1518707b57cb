//! One of the targets, by the variable `KEDA_FUZZ`, under libFuzzer.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<&keda_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("KEDA_FUZZ").unwrap_or_default();
    let names = || keda_fuzz::TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    keda_fuzz::target(&name).unwrap_or_else(|| panic!("KEDA_FUZZ is {name:?}, there are: {}", names()))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
