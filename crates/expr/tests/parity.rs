//! Held against Go's expr: `tests/parity/table.jsonl` has its answer to each of several hundred expressions.
//!
//! The table is written by `tests/parity/main.go` (a Go program, with the version of expr that upstream pins).

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;

use keda_expr::{Program, Value};
use serde_json::{Value as Json, json};

const TABLE: &str = include_str!("parity/table.jsonl");

/// Where we differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("1 % 0", "found when it runs: nothing is computed beforehand"),
    ("$env", "only with a name: the whole of it is no number"),
    ("max", "a function without its parentheses is no value"),
];

/// The variables of the Go program.
fn variables() -> (Vec<&'static str>, Vec<Value>) {
    let known = [("a", 6.0), ("b", 2.5), ("c", -3.0), ("z", 0.0)];
    let mut names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    let mut values: Vec<_> = known.iter().map(|(_, value)| Value::Float(*value)).collect();
    names.push("n");
    values.push(Value::Nil);
    (names, values)
}

/// A value with its type, as the Go program writes it.
fn tagged(value: &Value) -> Json {
    match value {
        Value::Nil => json!("nil"),
        Value::Bool(value) => json!({ "bool": value }),
        Value::Int(value) => json!({ "int": value }),
        Value::Float(_) => json!({ "float": value.to_string() }),
        Value::Text(text) => json!({ "text": **text }),
        Value::Array(list) => json!({ "array": list.iter().map(tagged).collect::<Vec<_>>() }),
        Value::Map(map) => {
            let entries: Vec<_> =
                map.iter().map(|(key, value)| json!([key.to_string(), tagged(value)])).collect();
            json!({ "map": entries })
        }
    }
}

/// Numbers of a table entry may differ in their last digits: Go has a `pow` of its own.
fn alike(ours: &Json, theirs: &Json) -> bool {
    if theirs == &json!({ "map": "groups" }) {
        return ours.get("map").is_some();
    }
    if let (Some(ours), Some(theirs)) = (ours["float"].as_str(), theirs["float"].as_str()) {
        let number = |text: &str| text.replace("Inf", "inf").parse::<f64>().unwrap();
        let (ours, theirs) = (number(ours), number(theirs));
        let close = (ours - theirs).abs() <= theirs.abs() * 1e-14;
        return ours == theirs || close || ours.is_nan() && theirs.is_nan();
    }
    match (ours["array"].as_array(), theirs["array"].as_array()) {
        (Some(ours), Some(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        _ => ours == theirs,
    }
}

#[test]
fn every_expression_has_the_answer_of_gos_expr() {
    let (names, values) = variables();
    let differences: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in TABLE.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let expression = entry["expression"].as_str().unwrap();
        let theirs = &entry["plain"];
        count += 1;
        let program = Program::compile(expression, &names);
        let (ours, good) = match &program {
            Err(error) => (format!("refused: {error}"), theirs.get("refused").is_some()),
            Ok(program) => match program.run(&values) {
                Err(error) => (format!("failed: {error}"), theirs.get("failed").is_some()),
                Ok(value) => {
                    let value = tagged(&value);
                    let good = theirs.get("value").is_some_and(|theirs| alike(&value, theirs));
                    (value.to_string(), good)
                }
            },
        };
        if good == differences.contains_key(expression) {
            wrong.push(format!("{expression}\n    ours   {ours}\n    theirs {theirs}"));
        }
    }
    assert!(count >= 300, "{count} expressions");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn texts_that_users_meet_are_gos() {
    let (names, _) = variables();
    for line in TABLE.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let (expression, theirs) =
            (entry["expression"].as_str().unwrap(), entry["plain"]["refused"].as_str());
        let Some(theirs) = theirs else { continue };
        let known =
            ["unknown name", "invalid operation", "array elements", "non-bool", "builtin", "not enough"];
        // Operators that have two spellings are shown in one.
        let spelled = [" and ", " or ", "not ", "^"].iter().any(|word| theirs.contains(word));
        if spelled || !known.iter().any(|known| theirs.starts_with(known)) {
            continue;
        }
        let Err(ours) = Program::compile(expression, &names) else { panic!("{expression} is compiled") };
        assert_eq!(ours.to_string(), theirs, "{expression}");
    }
}
