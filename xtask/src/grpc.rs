//! The gRPC code of the crates that speak it, from their .proto files.
//!
//! Everything is Rust (protox compiles, tonic-prost-build generates), so neither the build nor this task needs `protoc`.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::committed::File;

/// What goes in and what comes out, relative to the workspace, and what protobuf calls the package.
const SERVICES: &[(&str, &str, &str)] = &[
    ("crates/metrics-service/proto/metrics.proto", "crates/metrics-service/src/generated/api.rs", "api"),
    (
        "crates/otlp/proto/metrics_service.proto",
        "crates/otlp/src/generated/otlp.rs",
        "opentelemetry.proto.collector.metrics.v1",
    ),
    (
        "scalers/grpc/proto/externalscaler.proto",
        "scalers/grpc/src/generated/externalscaler.rs",
        "externalscaler",
    ),
];

/// The code of one .proto file in the workspace at `root`. Writes nothing there.
///
/// # Errors
/// When the .proto file is missing or wrong, or the temporary folder cannot be written.
fn render(root: &Path, given: &str, package: &str) -> Result<String> {
    let proto = root.join(given);
    let folder = proto.parent().context("the .proto file has no folder")?;
    let descriptors = protox::compile([&proto], [folder]).with_context(|| format!("compile {given}"))?;
    let out = tempfile::tempdir().context("make a temporary folder")?;
    tonic_prost_build::configure()
        .out_dir(out.path())
        .btree_map(".")
        .build_transport(false)
        .compile_fds(descriptors)
        .with_context(|| format!("generate from {given}"))?;
    let code =
        fs::read_to_string(out.path().join(format!("{package}.rs"))).context("read the generated code")?;
    Ok(format!("// Generated from {given} by `cargo xtask generate grpc`. Do not edit.\n\n{code}"))
}

/// A file a service.
///
/// # Errors
/// As [`render`].
pub(crate) fn files(root: &Path) -> Result<Vec<File>> {
    let file = |(proto, output, package): &(&str, &str, &str)| {
        Ok(File { path: (*output).to_owned(), text: render(root, proto, package)? })
    };
    SERVICES.iter().map(file).collect()
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
