#![expect(clippy::needless_pass_by_value, reason = "json!() is written where it is used")]

use serde_json::{Value as Json, json};

use super::*;
use crate::fallback;

/// The answers of Go's expr, cast and tried as upstream does (`crates/expr/tests/parity/main.go`).
const TABLE: &str = include_str!("../../../expr/tests/parity/table.jsonl");

fn spec(modifiers: Json) -> ScaledObjectSpec {
    let trigger = |name: &str| json!({ "type": "prometheus", "name": name, "metadata": {} });
    serde_json::from_value(json!({
        "scaleTargetRef": { "name": "web" },
        "triggers": [
            trigger("a"), trigger("b"), trigger("c"), trigger("z"), trigger("n"),
            { "type": "prometheus", "metadata": {} },
            { "type": "cpu", "name": "load", "metadata": {} },
        ],
        "advanced": { "scalingModifiers": modifiers },
    }))
    .unwrap()
}

fn formula(formula: &str) -> Result<Modifiers, Error> {
    modifiers(&spec(json!({ "formula": formula, "target": "2" }))).map(|modifiers| modifiers.expect("given"))
}

fn read(value: f64) -> Answer {
    Answer::Read { value, active: false }
}

/// The values of the Go program, `n` being nil.
fn answers() -> Vec<(Option<&'static str>, Answer)> {
    vec![
        (Some("a"), read(6.0)),
        (Some("b"), read(2.5)),
        (Some("c"), read(-3.0)),
        (Some("z"), read(0.0)),
        (Some("n"), Answer::Nil),
        (None, read(99.0)),
    ]
}

fn composed(
    modifiers: &Modifiers,
    answers: &[(Option<&str>, Answer)],
    plan: Option<&Plan>,
) -> Result<Composite, String> {
    modifiers.compose(answers.iter().map(|(name, answer)| (*name, answer)), plan, &Workload::default())
}

fn plan() -> Plan {
    let spec: ScaledObjectSpec = serde_json::from_value(json!({
        "scaleTargetRef": { "name": "web" },
        "triggers": [{ "type": "prometheus", "metadata": {} }],
        "fallback": { "failureThreshold": 1, "replicas": 4 },
    }))
    .unwrap();
    fallback::plan(&spec).unwrap().unwrap()
}

#[test]
fn formulas_have_upstreams_results() {
    let mut wrong = Vec::new();
    for line in TABLE.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let (text, theirs) = (entry["expression"].as_str().unwrap(), &entry["keda"]);
        let value = &theirs["value"];
        let number = value["float"].as_str().map(|text| text.replace("Inf", "inf").parse::<f64>().unwrap());
        let ours = formula(text).map(|modifiers| composed(&modifiers, &answers(), Some(&plan())));
        let good = match &ours {
            Err(_) => theirs.get("refused").is_some(),
            Ok(Ok(composite)) => match (&composite.fallen, number) {
                (Some(_), _) => *value == json!("nil"),
                (None, Some(number)) => (composite.value - number).abs() <= number.abs() * 1e-14,
                (None, None) => false,
            },
            // No number to scale on; upstream lets infinity pass.
            Ok(Err(_)) => theirs.get("failed").is_some() || number.is_some_and(|number| !number.is_finite()),
        };
        if good == DIFFERENCES.iter().any(|(known, _)| *known == text) {
            wrong.push(format!("{text}\n    ours   {ours:?}\n    theirs {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where our results differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("1; 2", "upstream writes float( ) around the text, which a semicolon does not survive"),
    ("1; 2;", "the same"),
    ("a; b", "the same"),
    ("a // a comment", "the same: the comment takes the parenthesis along"),
];

#[test]
fn errors_name_the_field_the_formula_and_the_place() {
    let text = |modifiers| super::modifiers(&spec(modifiers)).unwrap_err().to_string();
    assert_eq!(text(json!({ "target": "2" })), "error ScalingModifiers.Formula is mandatory");
    assert_eq!(
        text(json!({ "formula": "a" })),
        "error validating formula in ScalingModifiers\nformula is given but target is empty"
    );
    assert_eq!(
        text(json!({ "formula": "a + queue", "target": "2" })),
        "error validating formula in ScalingModifiers\nunknown name queue (1:5), in \"a + queue\"; the formula knows the \
         triggers named a, b, c, z, n"
    );
    assert_eq!(
        text(json!({ "formula": "a > 1", "target": "2" })),
        "error validating formula in ScalingModifiers\nthe result of \"a > 1\" is bool, not a number"
    );
    assert_eq!(
        text(json!({ "formula": "a % 2", "target": "2" })),
        "error validating formula in ScalingModifiers\ninvalid operation: % (mismatched types float64 and int) (1:3), in \
         \"a % 2\""
    );
    for (target, why) in [
        ("0", "\"0\" is not above 0"),
        ("-1", "\"-1\" is not above 0"),
        ("NaN", "\"NaN\" is not above 0"),
        ("0.0001", "\"0.0001\" is below what three decimals can show"),
        ("many", "strconv.ParseFloat: parsing \"many\": invalid syntax"),
        ("inf", "strconv.ParseFloat: parsing \"inf\": invalid syntax"),
    ] {
        assert_eq!(
            text(json!({ "formula": "a", "target": target })),
            format!(
                "error validating target in ScalingModifiers\nerror converting target for scalingModifiers \
                 (string->float) to valid target: {why}"
            )
        );
    }
    assert_eq!(
        text(json!({ "formula": "a", "target": "2", "activationTarget": "x" })),
        "error validating activationTarget in ScalingModifiers\n\"x\" is not a number"
    );
    assert!(
        text(json!({ "formula": "a", "target": "2", "metricType": "Utilization" }))
            .contains("is Utilization, but")
    );
    // The trigger is there, and has no value that a formula could see.
    assert!(text(json!({ "formula": "load", "target": "2" })).contains("unknown name load (1:1)"));
    assert_eq!(super::modifiers(&spec(json!({}))).map(|none| none.is_none()), Ok(true));
    assert_eq!(super::modifiers(&spec(json!({ "formula": "" }))).map(|none| none.is_none()), Ok(true));
}

#[test]
fn the_metric_of_the_hpa() {
    let made = |modifiers| super::modifiers(&spec(modifiers)).unwrap().unwrap().spec();
    assert_eq!(
        made(json!({ "formula": "a", "target": "2.5" })),
        MetricSpec::External {
            name: "composite-metric".to_owned(),
            target_type: TargetType::AverageValue,
            target: "2.5".parse().unwrap(),
        }
    );
    let value = made(json!({ "formula": "a", "target": "1e3", "metricType": "Value" }));
    assert_eq!((value.target_type(), value.target().to_string().as_str()), (TargetType::Value, "1k"));
}

#[test]
fn activity_is_the_formulas_and_strict() {
    let made = |activation: &str| {
        let modifiers = json!({ "formula": "a", "target": "2", "activationTarget": activation });
        super::modifiers(&spec(modifiers)).unwrap().unwrap()
    };
    let active =
        |activation, value| composed(&made(activation), &[(Some("a"), read(value))], None).unwrap().active;
    assert!(!active("", 0.0) && active("", 0.001));
    assert!(!active("5", 5.0) && active("5", 5.1) && active("-1", 0.0));
}

/// Core.md 12.19: upstream hands a negative result on, and the HPA scales out on it.
#[test]
fn negative_results_are_zero_for_the_hpa() {
    let composite = composed(&formula("z - a").unwrap(), &answers(), None).unwrap();
    assert_eq!(
        (composite.value, composite.quantity.to_string(), composite.active),
        (-6.0, "0".to_owned(), false)
    );
}

/// Issue 7475, and core.md 11.28: a failing formula is an error, which says where.
#[test]
fn a_formula_without_a_number_is_an_error_7475() {
    let error = |text: &str| composed(&formula(text).unwrap(), &answers(), None).unwrap_err();
    assert_eq!(
        error("a + n"),
        "error trying to run custom formula \"a + n\": invalid operation: float64 + <nil> (1:3)"
    );
    assert_eq!(
        error("a / z"),
        "error trying to run custom formula \"a / z\": the result is +Inf, not a number to scale on"
    );
    assert!(error("z / z").contains("the result is NaN"));
    assert!(
        error("[1, 2][int(a)]").contains("index out of range: 6 (array length is 2) (1:7)"),
        "{}",
        error("[1, 2][int(a)]")
    );
    assert!(
        error("n").contains("the result is <nil>, not a number"),
        "nil is a result only where ?? deals with it"
    );
}

/// Issue 5666: while a trigger falls back, its fallback is the composite, whatever the others say.
#[test]
fn a_fallback_stands_for_the_whole_formula_5666() {
    let fallen = FallenBack { replicas: 3, cause: Cause::Failures { failures: 2, threshold: 1 } };
    let answer = Answer::FallsBack { value: "6".parse().unwrap(), fallen: fallen.clone() };
    let modifiers = formula("a + b").unwrap();
    for other in [read(100.0), Answer::Failed("down".to_owned())] {
        let composite =
            composed(&modifiers, &[(Some("a"), other), (Some("b"), answer.clone())], Some(&plan())).unwrap();
        assert_eq!((composite.quantity.to_string(), composite.active), ("6".to_owned(), true));
        assert_eq!(composite.fallen, Some(fallen.clone()));
    }
    let before = [(Some("a"), read(1.0)), (Some("b"), Answer::Failed("down".to_owned()))];
    assert_eq!(composed(&modifiers, &before, Some(&plan())).unwrap_err(), "down");
}

#[test]
fn nil_falls_back_to_replicas_where_there_are_any() {
    let modifiers = formula("n ?? n").unwrap();
    let composite = composed(&modifiers, &answers(), Some(&plan())).unwrap();
    assert_eq!(
        (composite.quantity.to_string(), composite.active),
        ("8".to_owned(), true),
        "4 replicas of target 2"
    );
    assert_eq!(composite.fallen, Some(FallenBack { replicas: 4, cause: Cause::NilFormula }));
    assert_eq!(
        composed(&modifiers, &answers(), None).unwrap_err(),
        "scalingModifiers formula evaluated to nil but no fallback is configured"
    );
}

#[test]
fn the_last_of_several_metrics_of_a_trigger_counts() {
    let twice = [(Some("a"), read(1.0)), (Some("a"), read(7.0))];
    assert_eq!(composed(&formula("a").unwrap(), &twice, None).unwrap().value, 7.0);
}
