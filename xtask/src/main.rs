//! Developer tasks: `cargo xtask generate [WHAT]` writes what is generated and committed. Each generator is a module with a test that
//! fails when its committed output is stale.

mod grpc;

use std::path::Path;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the xtask has no workspace")?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate"] | ["generate", "grpc"] => grpc::generate(root),
        _ => bail!("usage: cargo xtask generate [grpc]"),
    }
}
