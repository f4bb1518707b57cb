//! Files that are generated and committed.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// A file as a generator renders it.
pub(crate) struct File {
    /// Path in the workspace.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl File {
    /// Writes the file, and its folder.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub(crate) fn write(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        std::fs::write(&path, &self.text).with_context(|| format!("write {}", self.path))
    }

    /// Whether the file in the workspace has this text.
    fn is_current(&self, root: &Path) -> bool {
        std::fs::read_to_string(root.join(&self.path)).is_ok_and(|text| text == self.text)
    }
}

/// The workspace.
///
/// # Errors
/// This package is in no folder.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the xtask has no workspace")
}

/// Compares the files with those in the workspace.
///
/// # Errors
/// Some differ or are missing: their names, and what to do.
pub(crate) fn check(files: &[File], root: &Path) -> Result<()> {
    let stale: Vec<&str> =
        files.iter().filter(|file| !file.is_current(root)).map(|file| file.path.as_str()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    bail!("stale: {}; run `cargo xtask generate` and commit", stale.join(", "))
}

/// The paths of what is committed in a folder of the workspace, for tests that nothing outlives its origin.
#[cfg(test)]
pub(crate) fn files_in(root: &Path, folder: &str) -> std::collections::BTreeSet<String> {
    let entries = std::fs::read_dir(root.join(folder)).unwrap();
    entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_current_until_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let file = |text: &str| File { path: "some/folder/file".into(), text: text.into() };
        assert!(check(&[file("one")], root.path()).unwrap_err().to_string().contains("some/folder/file"));
        file("one").write(root.path()).unwrap();
        check(&[file("one")], root.path()).unwrap();
        check(&[file("two")], root.path()).unwrap_err();
    }
}
