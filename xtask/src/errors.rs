//! The pages in `docs/errors`, from the catalogue in `crates/scaler`.

use std::path::Path;

use anyhow::Result;
use keda_scaler::{Code, Entry};

use crate::committed::File;

/// Folder of the pages.
const FOLDER: &str = "docs/errors";

/// One page a code, and their list.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a generator")]
pub(crate) fn render(_: &Path) -> Result<Vec<File>> {
    let mut files = vec![file("README", &index())];
    files.extend(Code::ALL.iter().map(|code| file(code.as_str(), &page(*code))));
    Ok(files)
}

fn file(name: &str, text: &str) -> File {
    File {
        path: format!("{FOLDER}/{name}.md"),
        text: format!(
            "<!-- Generated from crates/scaler/src/catalogue.rs by `cargo xtask generate errors`. Do not edit. -->\n\n{text}"
        ),
    }
}

fn page(code: Code) -> String {
    let Entry { title, seen, cause, fix, .. } = code.entry();
    format!(
        "# {title}\n\nCode `{code}`. Seen as: *{seen}*.\n\n## Cause\n\n{cause}\n\n## What to do\n\n{fix}\n"
    )
}

fn index() -> String {
    let mut text = String::from(
        "# Errors\n\nThe text of an error carries its code in brackets, in the log, in the event and in the condition `Ready`. Each \
         code is a page: what it means and what to do.\n\n| Code | | Seen as |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let Entry { title, seen, .. } = code.entry();
        text.push_str(&format!("| [`{code}`]({code}.md) | {title} | {seen} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::committed;

    #[test]
    fn committed_pages_are_what_the_catalogue_says() {
        let root = committed::root().unwrap();
        committed::check(&render(root).unwrap(), root).unwrap();
    }

    #[test]
    fn no_page_outlives_its_code() {
        let root = committed::root().unwrap();
        let rendered: BTreeSet<String> = render(root).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(committed::files_in(root, FOLDER), rendered);
    }

    #[test]
    fn pages_link_only_to_pages() {
        let folder = committed::root().unwrap().join(FOLDER);
        for code in Code::ALL {
            for link in page(*code).split("](").skip(1) {
                let target = link.split(')').next().unwrap();
                let page = target.split('#').next().unwrap();
                assert!(folder.join(page).is_file(), "{code}: {target}");
            }
        }
    }
}
