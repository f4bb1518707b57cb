//! The texts to check.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// How deep folders are followed: a cycle of links ends somewhere.
const DEPTH: usize = 32;

/// One file's text.
pub struct Source {
    /// The name as it was given, or as it was found in a folder; `<stdin>` for standard input.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Reads the files, the manifests of the folders (sorted by name), and standard input for `-`.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read standard input")?;
            sources.push(Source { name: "<stdin>".to_owned(), text });
        } else if path.is_dir() {
            let before = sources.len();
            folder(path, DEPTH, &mut sources)?;
            if sources.len() == before {
                bail!("{}: no file ends in .yaml, .yml or .json", path.display());
            }
        } else {
            sources.push(file(path)?);
        }
    }
    Ok(sources)
}

fn file(path: &Path) -> Result<Source> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn folder(path: &Path, depth: usize, sources: &mut Vec<Source>) -> Result<()> {
    if depth == 0 {
        bail!("{}: folders are nested too deep", path.display());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("read {}", path.display()))?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            folder(&path, depth - 1, sources)?;
        } else if path
            .extension()
            .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known))
        {
            sources.push(file(&path)?);
        }
    }
    Ok(())
}
