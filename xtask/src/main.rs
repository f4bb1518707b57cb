//! Developer tasks: what is generated and committed.
//!
//! `cargo xtask generate [WHAT]` writes it, `cargo xtask check [WHAT]` fails when what is committed differs. Each generator is
//! a module that renders files; a test in it checks its own. The dependency rule between the crates is a test of this
//! package too.

mod committed;
mod crds;
mod docs;
mod errors;
mod grpc;
mod observability;
mod schemas;

use std::path::Path;

use anyhow::{Context, Result, bail};

use committed::File;

/// Renders files for the workspace at the given root. Writes nothing.
type Generator = fn(&Path) -> Result<Vec<File>>;

/// Every generator, by its word on the command line.
const GENERATORS: &[(&str, Generator)] = &[
    ("crds", crds::render),
    ("docs", docs::render),
    ("errors", errors::render),
    ("grpc", grpc::files),
    ("observability", observability::render),
    ("schemas", schemas::render),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (verb, what) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [verb @ ("generate" | "check")] => (verb, None),
        [verb @ ("generate" | "check"), what] => (verb, Some(what)),
        _ => return usage(),
    };
    let chosen = GENERATORS.iter().filter(|(word, _)| what.is_none_or(|what| what == *word));
    let root = committed::root()?;
    let mut files = Vec::new();
    for (word, render) in chosen {
        files.extend(render(root).with_context(|| format!("generate {word}"))?);
    }
    if files.is_empty() {
        return usage();
    }
    match verb {
        "generate" => files.iter().try_for_each(|file| file.write(root)),
        _ => committed::check(&files, root),
    }
}

fn usage() -> Result<()> {
    let words: Vec<&str> = GENERATORS.iter().map(|(word, _)| *word).collect();
    bail!("usage: cargo xtask generate|check [{}]", words.join("|"))
}
