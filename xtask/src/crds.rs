//! The custom resource definitions in `deploy/crds` and in the Helm chart, from the types of `crates/api`.

use std::path::Path;

use anyhow::{Context, Result};

use crate::committed::File;

/// Folders of the definitions. A chart holds no file of another folder: packaged, a link would lead nowhere.
const FOLDERS: [&str; 2] = ["deploy/crds", "deploy/chart/keda/files/crds"];

/// One file a definition, named as upstream names its own: `<group>_<plural>.yaml`.
pub(crate) fn render(_: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for definition in &keda_api::crds::all() {
        let name = definition.metadata.name.as_deref().context("a definition has no name")?;
        let (plural, group) = name.split_once('.').context("a definition's name has no group")?;
        let yaml = keda_api::crds::yaml_of(definition);
        let text =
            format!("# Generated from crates/api by `cargo xtask generate crds`. Do not edit.\n---\n{yaml}");
        for folder in FOLDERS {
            files.push(File { path: format!("{folder}/{group}_{plural}.yaml"), text: text.clone() });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::committed;

    #[test]
    fn committed_definitions_are_what_the_types_say() {
        let root = committed::root().unwrap();
        committed::check(&render(root).unwrap(), root).unwrap();
    }

    #[test]
    fn no_other_definition_is_committed() {
        let root = committed::root().unwrap();
        let rendered: BTreeSet<String> = render(root).unwrap().into_iter().map(|file| file.path).collect();
        let committed = FOLDERS.into_iter().flat_map(|folder| committed::files_in(root, folder)).collect();
        assert_eq!(rendered, committed);
    }
}
