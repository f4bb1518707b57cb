//! No formula can hurt the process it runs in: every bound, and random formulas against all of them.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::time::{Duration, Instant};

use keda_expr::{Error, Program, Value, limits};
use proptest::prelude::*;

const NAMES: &[&str] = &["a", "b"];
const VALUES: &[Value] = &[Value::Float(6.0), Value::Nil];

/// The value of a formula, or why there is none.
fn value_of(formula: &str) -> Result<Value, Error> {
    Program::compile(formula, NAMES)?.run(VALUES)
}

/// The error's text; the whole thing must be quick, whatever the formula is.
fn refused(formula: &str) -> String {
    let started = Instant::now();
    let result = value_of(formula);
    assert!(result.is_err(), "{} is evaluated", formula.chars().take(100).collect::<String>());
    let error = result.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(5), "{error} took {:?}", started.elapsed());
    error
}

#[test]
fn length_depth_and_parts_are_bounded() {
    assert!(refused(&"a+".repeat(limits::LENGTH)).contains("at most 16384 are allowed"));
    assert!(refused(&format!("a{}", "+a".repeat(limits::DEPTH))).contains("nests deeper than 128"));
    assert!(value_of(&format!("a{}", "+a".repeat(limits::DEPTH - 2))).is_ok());
    for (open, close) in
        [("(", ")"), ("[", "]"), ("-", ""), ("!", ""), ("{a:", "}"), ("a?(", "):1"), ("abs(", ")")]
    {
        let deep = 2000;
        let text = format!("{}a{}", open.repeat(deep), close.repeat(deep));
        assert!(refused(&text).contains("nests deeper"), "{open}");
    }
    let chain = format!("{}{{1}}", "if a > 1 {1} else ".repeat(800));
    assert!(refused(&chain).contains("nests deeper"));
    let chained = "?.x".repeat(3000);
    assert!(refused(&format!("{{}}{chained}")).contains("nests deeper"));
    // A comparison in a row is doubled; within one another that would be without end.
    let mut doubled = "a".to_owned();
    for _ in 0..30 {
        doubled = format!("1 < ({doubled}) < 3 ? 1 : 0");
    }
    assert!(refused(&doubled).contains("maximum allowed nodes"));
    assert!(refused(&format!("[{}]", "1,".repeat(limits::LENGTH))).contains("bytes"));
}

#[test]
fn ranges_and_texts_are_paid_for_before_they_are_made() {
    for formula in [
        "len(1..1000000000)",
        "len(-9223372036854775807..9223372036854775807)",
        "len(0..9223372036854775807)",
        "len(repeat(\"x\", 9223372036854775807))",
        "len(repeat(repeat(\"0123456789\", 10000), 100000))",
        "len(replace(repeat(\"x\", 100000), \"x\", repeat(\"y\", 100000)))",
        "len(replace(repeat(\"x\", 100000), \"\", repeat(\"y\", 100000)))",
        "len(join(map(1..1000, repeat(\"x\", 10000))))",
        "len(split(repeat(\"x\", 1000000), \"\"))",
    ] {
        let error = refused(formula);
        assert!(error.contains("memory budget exceeded") || error.contains("steps"), "{formula}: {error}");
    }
    assert_eq!(value_of("len(1..10000)"), Ok(Value::Int(10_000)));
}

#[test]
fn loops_and_shared_arrays_end() {
    for formula in [
        "count(1..2000, count(1..2000, # > 1) > 1)",
        "sum(map(1..5000, sum(1..5000)))",
        "len(uniq(1..5000))",
        "reduce(1..30, #acc + #acc, \"x\") + string(reduce(1..90000, #acc + 1, 0))",
        "let x = 1..90; let y = map(x, x); let z = map(x, y); let w = map(x, z); len(string(w))",
        "let x = 1..90; let y = map(x, x); let z = map(x, y); let w = map(x, z); len(flatten(w))",
        "let x = 1..90; let y = map(x, x); let z = map(x, y); let w = map(x, z); mean(w)",
        "let x = 1..90; let y = map(x, x); let z = map(x, y); let w = map(x, z); w == map(x, z) ? 1 : 0",
        "let x = 1..90; let y = map(x, x); let z = map(x, y); let w = map(x, z); max(w)",
    ] {
        let error = refused(formula);
        assert!(error.contains("memory budget exceeded") || error.contains("steps"), "{formula}: {error}");
    }
}

#[test]
fn values_do_not_nest_without_end() {
    assert!(refused("reduce(1..1000, [#acc], 0)").contains("arrays and maps nest deeper than 64"));
    assert!(refused("reduce(1..1000, ({x: #acc}), 0)").contains("arrays and maps nest deeper than 64"));
}

/// Pieces that formulas are made of, and pieces that make no sense together.
const PIECES: &[&str] = &[
    "a",
    "b",
    "1",
    "2.5",
    "nil",
    "true",
    "\"x\"",
    "unknown",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "..",
    "??",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    "<",
    ">",
    "==",
    "&&",
    "||",
    "!",
    "not ",
    " in ",
    "let x = ",
    "if ",
    " else ",
    "#",
    "#acc",
    ".",
    "?.",
    "|",
    "len(",
    "sum(",
    "map(",
    "filter(",
    "count(",
    "reduce(",
    "max(",
    "repeat(",
    "split(",
    "replace(",
    "1..9",
    "[1, 2]",
    "{a: 1}",
    "# > 1",
    "9223372036854775807",
    "1e308",
    "get(",
    "sort(",
    "string(",
    "$env",
    "é",
    "\n",
];

/// Formulas that mostly make sense.
fn formula() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "0",
        "1",
        "2.5",
        "nil",
        "true",
        "\"text\"",
        "[1, 2]",
        "1..9",
        "{k: 1}",
        "-3",
        "9223372036854775807",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(8, 64, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "**", "==", "!=", "<", ">", "<=", ">=", "&&", "||", "in", "..",
            "contains",
        ]);
        let function = prop::sample::select(vec![
            "len", "sum", "max", "min", "mean", "median", "abs", "ceil", "floor", "round", "int", "float",
            "string", "type", "first", "last", "reverse", "uniq", "flatten", "sort", "keys", "values",
            "toPairs", "upper", "trim", "bitnot",
        ]);
        let over = prop::sample::select(vec![
            "map",
            "filter",
            "count",
            "sum",
            "all",
            "any",
            "none",
            "one",
            "find",
            "findIndex",
            "findLast",
            "groupBy",
            "sortBy",
            "reduce",
        ]);
        let predicate =
            prop::sample::select(vec!["#", "# > 1", "# + 1", "#index", "#acc", "nil", "[#, #]", "len(#)"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, operator, b)| format!("({a}) {operator} ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) ?? ({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            (function, inner.clone()).prop_map(|(function, a)| format!("{function}({a})")),
            (over, inner.clone(), predicate)
                .prop_map(|(over, a, predicate)| format!("{over}({a}, {predicate})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("let x = {a}; {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("repeat(string({a}), int({b}))")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn random_pieces_never_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let text: String = pieces.concat();
        let started = Instant::now();
        let _ = value_of(&text);
        prop_assert!(started.elapsed() < Duration::from_secs(5), "{text:?} took {:?}", started.elapsed());
    }

    #[test]
    fn random_texts_never_panic(text in "\\PC{0,60}") {
        let _ = value_of(&text);
    }

    #[test]
    fn random_formulas_never_panic_and_end(text in formula()) {
        let started = Instant::now();
        let result = value_of(&text);
        prop_assert!(started.elapsed() < Duration::from_secs(5), "{text:?} took {:?}", started.elapsed());
        // An error has its place within the formula.
        if let Err(error) = result {
            prop_assert!(error.position.column <= text.chars().count() + 1, "{text:?}: {error}");
        }
    }

    /// What was known before the formula ran holds when it has run.
    #[test]
    fn types_that_were_known_are_kept(text in formula()) {
        use keda_expr::Type;
        let Ok(program) = Program::compile(&text, &["a", "b"]) else { return Ok(()) };
        // Without nil among the variables, which every type may turn out to be.
        let Ok(value) = program.run(&[Value::Float(6.0), Value::Float(-1.5)]) else { return Ok(()) };
        let kept = match (program.result(), &value) {
            (_, Value::Nil) | (Type::Unknown | Type::Any | Type::Nil, _) => true,
            (Type::Float | Type::Int, Value::Int(_) | Value::Float(_)) => true,
            (Type::Bool, Value::Bool(_)) | (Type::Text, Value::Text(_)) => true,
            (Type::Array(_), Value::Array(_)) | (Type::Map { .. }, Value::Map(_)) => true,
            // The right side of && and || is not looked at again.
            (Type::Bool, _) => true,
            _ => false,
        };
        prop_assert!(kept, "{text}: {:?}, then {value:?}", program.result());
    }
}
