//! The fuzz targets: one for each parser, each a function over bytes that panics when a promise is broken.
//!
//! `tests/smoke.rs` runs them on the corpus and on what [`Mutator`] makes of it; `libfuzzer/` runs the same functions under
//! libFuzzer. README.md has the commands.

#![expect(clippy::panic, clippy::expect_used, reason = "a broken promise is a panic")]

mod mutator;
mod targets;

pub use mutator::Mutator;
use targets::{entries, manifests, texts, triggers};

/// One parser.
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Words that inputs are made of, for the mutator.
    pub words: &'static [&'static str],
    /// Feeds it.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "cron", words: texts::CRON, run: texts::cron },
    Target { name: "quantity", words: texts::NUMBERS, run: texts::quantity },
    Target { name: "duration", words: texts::NUMBERS, run: texts::duration },
    Target { name: "names", words: texts::NAMES, run: texts::names },
    Target { name: "selector", words: texts::SELECTORS, run: texts::selector },
    Target { name: "formula", words: texts::FORMULAS, run: texts::formula },
    Target { name: "json_path", words: entries::JSON, run: entries::json_path },
    Target { name: "prometheus", words: entries::JSON, run: entries::prometheus },
    Target { name: "resource", words: entries::JSON, run: entries::resource },
    Target { name: "protobuf", words: entries::PROTOBUF, run: entries::protobuf },
    Target { name: "trigger", words: triggers::WORDS, run: triggers::parse },
    Target { name: "manifest", words: manifests::WORDS, run: manifests::admission },
    Target { name: "lint", words: manifests::WORDS, run: manifests::lint },
];

/// A target by its name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
