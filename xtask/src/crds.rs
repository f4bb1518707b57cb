//! The custom resource definitions in `deploy/crds`, from the types of `crates/api`.

use std::path::Path;

use anyhow::{Context, Result};

use crate::committed::File;

/// Folder of the definitions.
const FOLDER: &str = "deploy/crds";

/// One file a definition, named as upstream names its own: `<group>_<plural>.yaml`.
pub(crate) fn render(_: &Path) -> Result<Vec<File>> {
    keda_api::crds::all()
        .iter()
        .map(|definition| {
            let name = definition.metadata.name.as_deref().context("a definition has no name")?;
            let (plural, group) = name.split_once('.').context("a definition's name has no group")?;
            let yaml = keda_api::crds::yaml_of(definition);
            Ok(File {
                path: format!("{FOLDER}/{group}_{plural}.yaml"),
                text: format!(
                    "# Generated from crates/api by `cargo xtask generate crds`. Do not edit.\n---\n{yaml}"
                ),
            })
        })
        .collect()
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
        assert_eq!(committed::files_in(root, FOLDER), rendered);
    }
}
