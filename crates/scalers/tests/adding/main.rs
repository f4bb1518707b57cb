//! The example of CONTRIBUTING.md is a family of triggers: its code blocks are the files of the folder beside this one,
//! which is compiled here, held to the contract, and found by the registry.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;

use keda_scaler::{Context, Parameters, Registry};

keda_scaler::scalers! { backlog }

/// The code block that follows the line ``**`name`**``.
fn block<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, after) = page.split_once(&format!("**`{name}`**")).unwrap();
    let (_, after) = after.split_once("```").unwrap();
    let (_, text) = after.split_once('\n').unwrap();
    text.split_once("\n```").unwrap().0
}

#[test]
fn contributing_shows_these_files() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../../CONTRIBUTING.md")).unwrap();
    let mut shown = 0;
    for file in here.join("tests/adding/backlog").read_dir().unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(block(&page, name).trim_end(), text.trim_end(), "CONTRIBUTING.md shows another {name}");
        shown += 1;
    }
    assert_eq!(shown, 5);
}

#[test]
fn one_word_in_the_list_is_all_it_takes() {
    let registry = Registry::new(&[&FAMILY]);
    assert_eq!(registry.types().collect::<Vec<_>>(), ["backlog"]);
    let error = registry.parse("backlog", &Parameters::default(), &Context::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error parsing backlog metadata: missing required parameter \"serverAddress\" in [triggerMetadata]\n\
         missing required parameter \"queue\" in [triggerMetadata]"
    );
}
