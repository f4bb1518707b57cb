//! The list of upstream's surprises (`docs/surprises.md`): every one is there, and what it names exists.
//!
//! The list is only worth something while its words lead somewhere: a test that was renamed, a row that was taken out of
//! `docs/differences.md`, or a number that nobody can find by searching for it are faults.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many surprises each list of facts about upstream has.
const LISTS: [(&str, u32); 4] = [("core 11", 40), ("core 12", 21), ("platform 8", 26), ("auth 9", 21)];

/// What users reported, as it must not reproduce: kedacore/keda's numbers, and one advisory.
const REPORTS: &str = "7998 8090 7615 6789 3810 3730 1449 7613 6442 5281 7676 2918 5083 5341 5807 4687 5248 5678 1257 8211 \
    7251 6201 7575 4862 6475 4212 2836 3065 1850 2244 7475 6053 6659 5666 7239 7411 6887 4413 4207 6176 7863 7838 7910 \
    7927 7798 7802 8124 6977 3977 5490 6762 5656 6665 6709 7204 7770 6157 5537 7329 7016 2488 7950 5090 1470 6321 6617 \
    7649 7669 7914 7347 3758 5577 5663 5572 8152 4262 5203 5006 5628 4219 4597 5491 6935 6706 4694 4966 7782 7697 7662 \
    7783 GHSA-c4p6-qg4m-9jmr 3668 4857 6026 4740 6107 5245 5185 6850 5487 6551 5542 6102";

/// One line of the list.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// A surprise's own, or the numbers of reports.
    ids: Vec<String>,
    here: String,
    /// What stands between backticks, as kind and name.
    held_by: Vec<(String, String)>,
    waits_for: String,
}

impl Entry {
    fn is_report(&self) -> bool {
        !LISTS.iter().any(|(list, _)| self.ids[0].starts_with(&format!("{list}.")))
    }
}

/// Reads the lines of the tables.
fn entries(page: &str) -> Vec<Entry> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells[0] != "Id")
        .map(|cells| {
            let [id, _, here, held_by] = cells[..] else { panic!("not four columns: {cells:?}") };
            let ids = if id.contains('.') { vec![id] } else { id.split(' ').collect() };
            let named = held_by.split('`').skip(1).step_by(2);
            Entry {
                ids: ids.into_iter().map(str::to_owned).collect(),
                here: here.to_owned(),
                held_by: named
                    .map(|name| {
                        name.split_once(": ").unwrap_or_else(|| panic!("{id}: `{name}` is no kind: name"))
                    })
                    .map(|(kind, name)| (kind.to_owned(), name.to_owned()))
                    .collect(),
                waits_for: held_by.split('`').step_by(2).collect::<String>().trim().to_owned(),
            }
        })
        .collect()
}

/// Where tests are, by the names under which the list knows the places.
struct Tree {
    root: PathBuf,
    /// Rows of the differences, without the marks of Markdown.
    rows: Vec<String>,
    /// Texts of files that may hold tests, by place.
    sources: BTreeMap<String, Vec<String>>,
}

impl Tree {
    fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        let differences = std::fs::read_to_string(root.join("docs/differences.md")).unwrap();
        let rows = differences.lines().filter(|line| line.starts_with("| ")).map(plain).collect();
        let mut tree = Self { root, rows, sources: BTreeMap::new() };
        for (place, folders, ending) in
            [("e2e", ["e2e/scenarios", "e2e/node"], "py"), ("deploy", ["deploy/tests", ""], "py")]
        {
            let mut texts = Vec::new();
            for folder in folders.iter().filter(|folder| !folder.is_empty()) {
                collect(&tree.root.join(folder), ending, &mut texts);
            }
            tree.sources.insert(place.to_owned(), texts);
        }
        for parent in ["crates", "scalers", "."] {
            for folder in std::fs::read_dir(tree.root.join(parent)).unwrap() {
                let folder = folder.unwrap().path();
                let place = folder.file_name().unwrap().to_str().unwrap().to_owned();
                if !folder.join("Cargo.toml").exists() {
                    continue;
                }
                let mut texts = Vec::new();
                for part in ["src", "tests"] {
                    collect(&folder.join(part), "rs", &mut texts);
                }
                tree.sources.entry(place).or_default().extend(texts);
            }
        }
        tree
    }

    /// The source of a test, with its name in front; `None` where there is none.
    fn test(&self, place: &str, name: &str) -> Option<String> {
        if place == "scenario" {
            return self.scenario(name);
        }
        let declared =
            if ["e2e", "deploy"].contains(&place) { format!("def {name}(") } else { format!("fn {name}(") };
        self.sources.get(place)?.iter().find(|text| text.contains(&declared)).cloned()
    }

    /// The one scenario whose file begins so.
    fn scenario(&self, number: &str) -> Option<String> {
        let folder = self.root.join("crates/operator/tests/scenarios");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
        let found: Vec<_> = files.filter(|file| name(file).starts_with(&format!("{number}-"))).collect();
        let [file] = &found[..] else { return None };
        Some(format!("{}\n{}", name(file), std::fs::read_to_string(file).unwrap()))
    }

    /// The name by which a search finds a test.
    fn known_as(&self, place: &str, name: &str) -> String {
        match place {
            "scenario" => self
                .scenario(name)
                .and_then(|text| text.lines().next().map(str::to_owned))
                .unwrap_or_default(),
            _ => name.to_owned(),
        }
    }
}

fn plain(line: &str) -> String {
    line.replace(['`', '*', '"'], "")
}

fn collect(folder: &Path, ending: &str, into: &mut Vec<String>) {
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for file in files {
        let file = file.unwrap().path();
        if file.is_dir() {
            collect(&file, ending, into);
        } else if file.extension().is_some_and(|found| found == ending) {
            into.push(std::fs::read_to_string(&file).unwrap());
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty())
}

/// Whether a text has an id: a number as a word of digits, another one in any case and with `_` for `-`.
fn mentions(text: &str, id: &str) -> bool {
    match id.bytes().all(|byte| byte.is_ascii_digit()) {
        true => words(text).any(|word| word == id),
        false => text.to_ascii_lowercase().replace('_', "-").contains(&id.to_ascii_lowercase()),
    }
}

/// What is wrong with an entry.
fn faults(entry: &Entry, tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let tests: Vec<_> = entry.held_by.iter().filter(|(kind, _)| kind != "row").collect();
    let rows: Vec<_> = entry.held_by.iter().filter(|(kind, _)| kind == "row").map(|(_, name)| name).collect();
    for (place, name) in &tests {
        if tree.test(place, name).is_none() {
            faults.push(format!("there is no test `{place}: {name}`"));
        }
    }
    for row in &rows {
        match tree.rows.iter().filter(|line| line.contains(&plain(row))).count() {
            1 => {}
            count => faults.push(format!("{count} rows of docs/differences.md hold {row:?}")),
        }
    }
    match entry.here.as_str() {
        "same" if tests.is_empty() => faults.push("no test is named".to_owned()),
        "different" if entry.is_report() && tests.is_empty() => faults.push("no test is named".to_owned()),
        "different" if !entry.is_report() && rows.is_empty() => {
            faults.push("no row of docs/differences.md is named".to_owned());
        }
        "later" if entry.waits_for.is_empty() => faults.push("it is not said what it waits for".to_owned()),
        "same" | "different" | "later" => {}
        other => faults.push(format!("{other:?} is neither same, different nor later")),
    }
    if entry.is_report() && entry.here != "later" {
        let names: Vec<_> = tests.iter().map(|(place, name)| tree.known_as(place, name)).collect();
        if !names.iter().any(|name| mentions(name, &entry.ids[0])) {
            faults.push(format!("{} is in no test's name", entry.ids[0]));
        }
        let sources: Vec<_> = tests.iter().filter_map(|(place, name)| tree.test(place, name)).collect();
        for id in &entry.ids {
            if !sources.iter().any(|text| mentions(text, id)) {
                faults.push(format!("{id} is nowhere in the tests' files"));
            }
        }
    }
    faults.iter().map(|fault| format!("{}: {fault}", entry.ids.join(" "))).collect()
}

/// Ids that are missing, unknown or there twice.
fn miscounted(entries: &[Entry]) -> Vec<String> {
    let surprises =
        LISTS.iter().flat_map(|(list, count)| (1..=*count).map(move |number| format!("{list}.{number}")));
    let wanted: BTreeSet<String> = surprises.chain(REPORTS.split_whitespace().map(str::to_owned)).collect();
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for id in entries.iter().flat_map(|entry| &entry.ids) {
        if !wanted.contains(id) {
            faults.push(format!("{id} is no surprise that is known"));
        } else if !seen.insert(id.clone()) {
            faults.push(format!("{id} is there twice"));
        }
    }
    faults.extend(wanted.difference(&seen).map(|id| format!("{id} is missing")));
    faults
}

#[test]
fn every_surprise_is_held_by_what_exists() {
    let tree = Tree::open();
    let page = std::fs::read_to_string(tree.root.join("docs/surprises.md")).unwrap();
    let entries = entries(&page);
    let mut found = miscounted(&entries);
    found.extend(entries.iter().flat_map(|entry| faults(entry, &tree)));
    assert!(found.is_empty(), "docs/surprises.md:\n{}", found.join("\n"));
}

#[test]
fn faults_are_noticed() {
    let tree = Tree::open();
    let line = |text: &str| entries(text).remove(0);
    let told = |text: &str| faults(&line(text), &tree).join("; ");
    assert_eq!(told("| 8124 | x | different | `scenario: 38` |"), "");
    assert_eq!(
        told("| core 11.1 | x | same | `core: no_such_test` |"),
        "core 11.1: there is no test `core: no_such_test`"
    );
    assert_eq!(
        told("| core 11.1 | x | different | `row: no such row` |"),
        "core 11.1: 0 rows of docs/differences.md hold \"no such row\""
    );
    assert_eq!(told("| core 11.1 | x | same | |"), "core 11.1: no test is named");
    assert_eq!(told("| core 11.1 | x | later | |"), "core 11.1: it is not said what it waits for");
    assert_eq!(
        told("| 1234 8124 | x | different | `scenario: 38` |"),
        "1234 8124: 1234 is in no test's name; 1234 8124: 1234 is nowhere in the tests' files"
    );
    let all = entries("| core 11.1 | x | same | |\n| core 11.1 | x | same | |\n| core 11.99 | x | same | |");
    let told = miscounted(&all).join("; ");
    assert!(told.contains("core 11.1 is there twice; core 11.99 is no surprise that is known"), "{told}");
    assert!(told.contains("auth 9.21 is missing") && told.contains("8124 is missing"), "{told}");
}
