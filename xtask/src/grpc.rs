//! The gRPC code of `crates/metrics-service`, from its .proto file.
//!
//! Everything is Rust (protox compiles, tonic-prost-build generates), so neither the build nor this task needs `protoc`.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// What goes in, relative to the workspace.
const PROTO: &str = "crates/metrics-service/proto/metrics.proto";
/// What comes out, relative to the workspace.
pub(crate) const OUTPUT: &str = "crates/metrics-service/src/generated/api.rs";

/// The text of [`OUTPUT`] for the workspace at `root`. Writes nothing there.
///
/// # Errors
/// When the .proto file is missing or wrong, or the temporary folder cannot be written.
pub(crate) fn render(root: &Path) -> Result<String> {
    let proto = root.join(PROTO);
    let folder = proto.parent().context("the .proto file has no folder")?;
    let descriptors = protox::compile([&proto], [folder]).with_context(|| format!("compile {PROTO}"))?;
    let out = tempfile::tempdir().context("make a temporary folder")?;
    tonic_prost_build::configure()
        .out_dir(out.path())
        .btree_map(".")
        .build_transport(false)
        .compile_fds(descriptors)
        .with_context(|| format!("generate from {PROTO}"))?;
    let code = fs::read_to_string(out.path().join("api.rs")).context("read the generated code")?;
    Ok(format!("// Generated from {PROTO} by `cargo xtask generate grpc`. Do not edit.\n\n{code}"))
}

/// Writes [`OUTPUT`].
///
/// # Errors
/// As [`render`], or when the file cannot be written.
pub(crate) fn generate(root: &Path) -> Result<()> {
    let output = root.join(OUTPUT);
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    fs::write(&output, render(root)?).with_context(|| format!("write {OUTPUT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_code_is_what_the_proto_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let committed = fs::read_to_string(root.join(OUTPUT)).unwrap();
        assert!(
            committed == render(root).unwrap(),
            "{OUTPUT} is stale: run `cargo xtask generate grpc` and commit it"
        );
    }
}
