//! Numbers as upstream reads them: the text must be a JSON literal.
//!
//! Upstream hands the text to Go's `encoding/json`, so `5.0` is no integer, `1e3` is a float, and `+5`, `010`, `.5` and
//! `NaN` are nothing. The texts of its errors are what users find when they search; they are kept.

use std::str::FromStr;

/// Which literals fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits with an optional minus sign.
    Integer,
    /// Any JSON number.
    Float,
}

/// Reads a number. `go_type` is what errors call the target.
pub(super) fn parse<T: FromStr>(text: &str, kind: Kind, go_type: &str) -> Result<T, String> {
    let unfit = |what: &str| format!("json: cannot unmarshal {what} into Go value of type {go_type}");
    match literal(text)? {
        Literal::Other(what) => Err(unfit(what)),
        Literal::Number { integer } if kind == Kind::Integer && !integer => {
            Err(unfit(&format!("number {text}")))
        }
        Literal::Number { .. } => {
            let fits = text.parse::<f64>().is_ok_and(f64::is_finite);
            text.parse().ok().filter(|_| fits).ok_or_else(|| unfit(&format!("number {text}")))
        }
    }
}

enum Literal {
    Number { integer: bool },
    Other(&'static str),
}

/// What JSON value the text is, or Go's complaint that it is none.
fn literal(text: &str) -> Result<Literal, String> {
    let mut rest = text.chars();
    match rest.clone().next() {
        None => Err("unexpected end of JSON input".to_owned()),
        Some('-' | '0'..='9') => number(text),
        Some('"' | '{' | '[' | 't' | 'f' | 'n') => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(serde_json::Value::Null) => Ok(Literal::Other("null")),
            Ok(serde_json::Value::Bool(_)) => Ok(Literal::Other("bool")),
            Ok(serde_json::Value::String(_)) => Ok(Literal::Other("string")),
            Ok(serde_json::Value::Array(_)) => Ok(Literal::Other("array")),
            Ok(_) => Ok(Literal::Other("object")),
            Err(error) => Err(error.to_string()),
        },
        Some(_) => Err(format!("invalid character {} looking for beginning of value", quoted(rest.next()))),
    }
}

/// Walks over the number grammar of RFC 8259, section 6.
fn number(text: &str) -> Result<Literal, String> {
    let mut rest = text;
    let mut integer = true;
    if let Some(after) = rest.strip_prefix('-') {
        rest = digit_first(after, "in numeric literal")?;
    }
    rest = match rest.strip_prefix('0') {
        Some(after) => after,
        None => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
    };
    if let Some(after) = rest.strip_prefix('.') {
        integer = false;
        rest = digit_first(after, "after decimal point in numeric literal")?
            .trim_start_matches(|c: char| c.is_ascii_digit());
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        integer = false;
        let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
        rest = digit_first(unsigned, "in exponent of numeric literal")?
            .trim_start_matches(|c: char| c.is_ascii_digit());
    }
    match rest.chars().next() {
        None => Ok(Literal::Number { integer }),
        some => Err(format!("invalid character {} after top-level value", quoted(some))),
    }
}

/// `rest` if it begins with a digit.
fn digit_first<'t>(rest: &'t str, place: &str) -> Result<&'t str, String> {
    match rest.chars().next() {
        Some('0'..='9') => Ok(rest),
        None => Err("unexpected end of JSON input".to_owned()),
        other => Err(format!("invalid character {} {place}", quoted(other))),
    }
}

/// A character as Go's JSON errors show it.
fn quoted(character: Option<char>) -> String {
    match character {
        Some('\'') => r"'\''".to_owned(),
        Some('"') => "'\"'".to_owned(),
        Some(c) => format!("'{}'", c.escape_debug()),
        None => "''".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(text: &str) -> Result<f64, String> {
        parse(text, Kind::Float, "float64")
    }

    fn integer(text: &str) -> Result<i64, String> {
        parse(text, Kind::Integer, "int64")
    }

    #[test]
    fn floats_are_json_numbers() {
        for (text, value) in
            [("5", 5.0), ("-1.5", -1.5), ("1e3", 1000.0), ("0.25E-1", 0.025), ("99999999999999999999", 1e20)]
        {
            assert_eq!(float(text), Ok(value), "{text}");
        }
        for (text, error) in [
            ("+5", "invalid character '+' looking for beginning of value"),
            (".5", "invalid character '.' looking for beginning of value"),
            ("NaN", "invalid character 'N' looking for beginning of value"),
            ("010", "invalid character '1' after top-level value"),
            ("0x10", "invalid character 'x' after top-level value"),
            ("5m", "invalid character 'm' after top-level value"),
            ("1.", "unexpected end of JSON input"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1e+", "unexpected end of JSON input"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("1e999", "json: cannot unmarshal number 1e999 into Go value of type float64"),
            ("\"5\"", "json: cannot unmarshal string into Go value of type float64"),
            ("true", "json: cannot unmarshal bool into Go value of type float64"),
            ("null", "json: cannot unmarshal null into Go value of type float64"),
        ] {
            assert_eq!(float(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn integers_have_neither_fraction_nor_exponent() {
        assert_eq!(integer("-7"), Ok(-7));
        for text in ["5.0", "1e3", "99999999999999999999"] {
            assert_eq!(
                integer(text),
                Err(format!("json: cannot unmarshal number {text} into Go value of type int64"))
            );
        }
    }

    proptest::proptest! {
        /// The grammar is JSON's: what another JSON parser calls a number is one, and nothing else is.
        #[test]
        fn the_grammar_is_jsons(text in "[-+.0-9eE]{1,12}|[ -~]{0,6}") {
            let json = serde_json::from_str::<f64>(&text).ok().filter(|_| text.trim() == text);
            proptest::prop_assert_eq!(float(&text).ok(), json);
        }
    }
}
