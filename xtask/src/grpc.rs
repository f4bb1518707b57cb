//! The gRPC code of `crates/metrics-service`, from its .proto file.
//!
//! Everything is Rust (protox compiles, tonic-prost-build generates), so neither the build nor this task needs `protoc`.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::committed::File;

/// What goes in, relative to the workspace.
const PROTO: &str = "crates/metrics-service/proto/metrics.proto";
/// What comes out, relative to the workspace.
const OUTPUT: &str = "crates/metrics-service/src/generated/api.rs";

/// The text of [`OUTPUT`] for the workspace at `root`. Writes nothing there.
///
/// # Errors
/// When the .proto file is missing or wrong, or the temporary folder cannot be written.
fn render(root: &Path) -> Result<String> {
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

/// The one file.
///
/// # Errors
/// As [`render`].
pub(crate) fn files(root: &Path) -> Result<Vec<File>> {
    Ok(vec![File { path: OUTPUT.to_owned(), text: render(root)? }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committed;

    #[test]
    fn committed_code_is_what_the_proto_says() {
        let root = committed::root().unwrap();
        committed::check(&files(root).unwrap(), root).unwrap();
    }
}
