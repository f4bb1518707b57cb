//! The reference pages in `docs/triggers`, from the declarations of the triggers and the texts beside them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use keda_scaler::Factory;
use keda_scalers::page;

use crate::committed::File;

/// Folder of the pages.
const FOLDER: &str = "docs/triggers";
/// Where families of triggers are.
const FAMILIES: &str = "scalers";

/// One page a trigger, and their list.
pub(crate) fn render(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut summaries = Vec::new();
    let factories = keda_scalers::factories();
    for factory in &factories {
        let folder = folder(root, factory)?;
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let introduction = read("docs.md")?;
        let text = page::render(factory, &introduction, &read("sample.yaml")?);
        let from = folder.strip_prefix(root).unwrap_or(&folder).display();
        files.push(file(&format!("{}.md", factory.trigger_type()), &format!("{from} by"), &text));
        summaries.push(page::summary(&introduction));
    }
    let mut summaries = summaries.into_iter();
    let index = page::index(&factories, |_| summaries.next().unwrap_or_default());
    files.push(file("README.md", "scalers/ by", &index));
    Ok(files)
}

fn file(name: &str, from: &str, text: &str) -> File {
    File {
        path: format!("{FOLDER}/{name}"),
        text: format!("<!-- Generated from {from} `cargo xtask generate docs`. Do not edit. -->\n\n{text}"),
    }
}

/// The folder of a trigger: that of its type's name in one of the families.
fn folder(root: &Path, factory: &Factory) -> Result<PathBuf> {
    let module = factory.trigger_type().replace('-', "_");
    let families = std::fs::read_dir(root.join(FAMILIES)).with_context(|| format!("read {FAMILIES}"))?;
    families
        .filter_map(|family| Some(family.ok()?.path().join("src").join(&module)))
        .find(|folder| folder.is_dir())
        .with_context(|| format!("no folder {module} in any family under {FAMILIES}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::committed;

    #[test]
    fn committed_pages_are_what_the_triggers_declare() {
        let root = committed::root().unwrap();
        committed::check(&render(root).unwrap(), root).unwrap();
    }

    #[test]
    fn no_page_outlives_its_trigger() {
        let root = committed::root().unwrap();
        let rendered: BTreeSet<String> = render(root).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(committed::files_in(root, FOLDER), rendered);
    }
}
