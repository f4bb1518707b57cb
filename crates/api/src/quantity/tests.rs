//! Against facts, and properties.
//!
//! `testdata/quantities.jsonl` holds what apimachinery v0.37.1 answers for each text: `error`, or `canonical` with `kept`
//! where `String` after parsing differs from it, `MilliValue` and `Value` where they cannot overflow, and `AsFloat64Slow`.
//! Left out is where it contradicts itself: negative numbers that do not fit its short form round towards zero or past it,
//! others away from it as ours do; and powers of ten past `E` lose their exponent (kept in later versions, and here).

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fact {
    text: String,
    error: Option<String>,
    canonical: Option<String>,
    kept: Option<String>,
    milli: Option<i128>,
    whole: Option<i128>,
    float: Option<String>,
}

fn facts() -> Vec<Fact> {
    let lines = include_str!("../../testdata/quantities.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn parse(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// What differs between a fact and our answer.
fn differences(fact: &Fact) -> Vec<String> {
    let quantity: Quantity = match (fact.text.parse(), &fact.canonical) {
        (Ok(quantity), Some(_)) => quantity,
        (Ok(quantity), None) => return vec![format!("is {quantity}, expected {:?}", fact.error)],
        (Err(ParseQuantityError::Format), None) if fact.error.as_deref() == Some("format") => return vec![],
        (Err(ParseQuantityError::Suffix), None) if fact.error.as_deref() == Some("suffix") => return vec![],
        (Err(ParseQuantityError::Numeric), None) if fact.error.as_deref() == Some("numeric") => return vec![],
        (Err(error), _) => return vec![format!("{error}, expected {:?} {:?}", fact.error, fact.canonical)],
    };
    let float: Option<f64> = fact.float.as_ref().map(|text| text.replace("+Inf", "inf").parse().unwrap());
    let kept = Quantity::kept_text(&fact.text).ok();
    let mut differences = Vec::new();
    let mut check = |what: &str, agrees: bool| {
        if !agrees {
            differences.push(what.to_owned());
        }
    };
    check(&format!("prints {quantity}"), Some(quantity.to_string()) == fact.canonical);
    check(&format!("kept {kept:?}"), kept == fact.kept.clone().or_else(|| fact.canonical.clone()));
    check(&format!("milli {}", quantity.milli()), fact.milli.is_none_or(|milli| milli == quantity.milli()));
    check(&format!("whole {}", quantity.whole()), fact.whole.is_none_or(|whole| whole == quantity.whole()));
    check(&format!("float {}", quantity.as_f64()), float == Some(quantity.as_f64()));
    differences
}

#[test]
fn answers_as_apimachinery_does() {
    let wrong: Vec<String> = facts()
        .iter()
        .flat_map(|fact| differences(fact).into_iter().map(move |what| format!("{:?}: {what}", fact.text)))
        .collect();
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

/// core.md section 12, row 12: what the API server keeps of a target with three decimals.
#[test]
fn targets_with_three_decimals() {
    for (text, kept) in [
        ("2.500", "2.500"),
        ("1234567.891", "1234567.891"),
        ("0.002", "2m"),
        ("1000.000", "1k"),
        ("5.000", "5"),
    ] {
        assert_eq!(Quantity::kept_text(text).unwrap(), kept);
        assert_eq!(parse(kept), parse(text));
    }
}

#[test]
fn equal_numbers_are_equal_whatever_their_suffix() {
    assert_eq!(parse("1000m"), parse("1"));
    assert_eq!(parse("1Ki"), parse("1024"));
    assert_eq!(parse("1e3"), parse("1k"));
    assert_eq!(Quantity::from_milli(1500), parse("1.5"));
    assert_eq!(Quantity::from_milli(0), Quantity::ZERO);
    assert_eq!(Quantity::from(5), parse("5"));
    assert_eq!(Quantity::default(), parse("0"));
}

#[test]
fn thousandths_print_in_the_largest_suffix() {
    for (milli, text) in [
        (0, "0"),
        (1, "1m"),
        (1000, "1"),
        (2500, "2500m"),
        (-2500, "-2500m"),
        (1_000_000, "1k"),
        (1_500_000, "1500"),
    ] {
        assert_eq!(Quantity::from_milli(milli).to_string(), text);
    }
}

#[test]
fn sums_keep_the_suffixes_of_the_first() {
    assert_eq!(parse("1Ki").checked_add(parse("1k")).unwrap().to_string(), "2024");
    assert_eq!(parse("1Mi").checked_add(parse("1Mi")).unwrap().to_string(), "2Mi");
    assert_eq!(parse("0").checked_add(parse("1Mi")).unwrap().to_string(), "1Mi");
    assert_eq!(parse("1").checked_sub(parse("1500m")).unwrap().to_string(), "-500m");
    assert_eq!(parse("1500m").checked_mul(2).unwrap().to_string(), "3");
    assert_eq!(parse("1e400").checked_add(parse("1n")), None);
    assert_eq!(Quantity::from_milli(i128::MAX).checked_mul(2), None);
}

#[test]
fn what_is_too_long_is_an_error_and_what_is_too_large_saturates() {
    let digits = "9".repeat(39);
    assert_eq!(digits.parse::<Quantity>(), Err(ParseQuantityError::Digits));
    assert_eq!(format!("1{}", "0".repeat(39)).parse::<Quantity>().unwrap().to_string(), "1e39");
    assert_eq!(format!("{digits}Ki").parse::<Quantity>().unwrap(), parse("9223372036854775807"));
    assert_eq!("1e99999999999".parse::<Quantity>(), Err(ParseQuantityError::Suffix));
    assert_eq!(parse("1e400").milli(), i128::MAX);
    assert_eq!(parse("-1e400").milli(), i128::MIN);
    assert_eq!(parse("-1e400").as_f64(), f64::NEG_INFINITY);
    assert_eq!(parse("1000E").to_string(), "1e21");
}

#[test]
fn serde_reads_text_and_numbers_and_writes_text() {
    let read = |json: &str| serde_json::from_str::<Quantity>(json);
    assert_eq!(read("\" 1500m \"").unwrap(), parse("1.5"));
    assert_eq!(read("2").unwrap(), parse("2"));
    assert_eq!(read("-2").unwrap(), parse("-2"));
    assert_eq!(read("1.5").unwrap(), parse("1500m"));
    assert!(read("true").is_err());
    assert!(read("\"x\"").is_err());
    assert_eq!(serde_json::to_string(&parse("1.5")).unwrap(), "\"1500m\"");
    assert_eq!(WireQuantity::from(parse("1.5")), WireQuantity("1500m".into()));
    assert_eq!(Quantity::try_from(&WireQuantity("1.500".into())).unwrap(), parse("1.5"));
}

prop_compose! {
    fn any_quantity()(
        mantissa in any::<i64>(),
        exponent in -9i32..40,
        form in prop_oneof![Just(Form::Decimal), Just(Form::Exponent)],
    ) -> Quantity {
        Quantity::normal(mantissa.into(), exponent, form)
    }
}

proptest! {
    #[test]
    fn parsing_undoes_printing(quantity in any_quantity()) {
        prop_assert_eq!(parse(&quantity.to_string()), quantity);
    }

    #[test]
    fn canonical_text_is_its_own_canonical_text(text in "[+-]?[0-9]{0,12}(\\.[0-9]{0,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]|E[0-9])?") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            let canonical = quantity.to_string();
            prop_assert_eq!(parse(&canonical), quantity);
            prop_assert_eq!(parse(&canonical).to_string(), canonical);
            prop_assert_eq!(parse(&Quantity::kept_text(&text).unwrap()), quantity);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}") {
        let _ = text.parse::<Quantity>();
        let _ = Quantity::kept_text(&text);
    }

    #[test]
    fn order_is_that_of_the_numbers(a in any_quantity(), b in any_quantity()) {
        // Both have at most 19 digits and at most 40 zeros: compare in billionths as text of equal length.
        let billionths = |q: Quantity| {
            let digits = format!("{}{}", q.mantissa.unsigned_abs(), "0".repeat(usize::try_from(q.exponent + 9).unwrap()));
            (q.mantissa.signum(), format!("{digits:0>80}"))
        };
        let ((a_sign, a_digits), (b_sign, b_digits)) = (billionths(a), billionths(b));
        let digits = if a_sign < 0 { b_digits.cmp(&a_digits) } else { a_digits.cmp(&b_digits) };
        prop_assert_eq!(a.cmp(&b), a_sign.cmp(&b_sign).then(digits));
        prop_assert_eq!(b.cmp(&a), a.cmp(&b).reverse());
    }

    #[test]
    fn thousandths_round_away_from_zero(nanos in any::<i64>()) {
        let quantity = Quantity::normal(nanos.into(), NANO, Form::Decimal);
        let milli = Quantity::from_milli(quantity.milli());
        let off = milli.checked_sub(quantity).unwrap();
        prop_assert!(off.is_zero() || off.is_negative() == quantity.is_negative());
        prop_assert!(off < parse("1m") && off > parse("-1m"));
    }

    #[test]
    fn adding_then_subtracting_gives_the_same(a in any_quantity(), b in any_quantity()) {
        if let Some(sum) = a.checked_add(b) {
            prop_assert_eq!(sum.checked_sub(b), Some(a));
        }
    }
}
