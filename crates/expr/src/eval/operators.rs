//! Operators on values (`vm/runtime/helpers[generated].go`): whole numbers wrap around, mixed ones become floats, `/` always
//! gives a float.

use std::cmp::Ordering;

use crate::ast::Binary;
use crate::budget::{Budget, Trouble};
use crate::value::{Key, Value};

pub(super) fn binary(
    operator: Binary,
    left: &Value,
    right: &Value,
    budget: &mut Budget,
) -> Result<Value, Trouble> {
    match operator {
        Binary::Equal => equal(left, right, budget).map(Value::Bool),
        Binary::NotEqual => equal(left, right, budget).map(|equal| Value::Bool(!equal)),
        Binary::Less => compare("<", left, right).map(|order| Value::Bool(order == Some(Ordering::Less))),
        Binary::More => compare(">", left, right).map(|order| Value::Bool(order == Some(Ordering::Greater))),
        Binary::AtMost => compare("<=", left, right)
            .map(|order| Value::Bool(matches!(order, Some(Ordering::Less | Ordering::Equal)))),
        Binary::AtLeast => compare(">=", left, right)
            .map(|order| Value::Bool(matches!(order, Some(Ordering::Greater | Ordering::Equal)))),
        Binary::Add => add(left, right, budget),
        Binary::Subtract => arithmetic("-", left, right, i64::wrapping_sub, |a, b| a - b),
        Binary::Multiply => arithmetic("*", left, right, i64::wrapping_mul, |a, b| a * b),
        Binary::Divide => match (left.number(), right.number()) {
            (Some(a), Some(b)) => Ok(Value::Float(a / b)),
            _ => Err(invalid("/", left, right)),
        },
        Binary::Modulo => match (left, right) {
            (Value::Int(_), Value::Int(0)) => Err("integer divide by zero".to_owned()),
            (Value::Int(a), Value::Int(b)) => Ok(Value::Int(a.wrapping_rem(*b))),
            _ => Err(invalid("%", left, right)),
        },
        Binary::Power => match (left.number(), right.number()) {
            (Some(a), Some(b)) => Ok(Value::Float(a.powf(b))),
            _ => Err(invalid("**", left, right)),
        },
        Binary::Range => match (left, right) {
            (Value::Int(from), Value::Int(to)) => range(*from, *to, budget),
            _ => Err(invalid("..", left, right)),
        },
        Binary::In => within(left, right, budget).map(Value::Bool),
        Binary::Contains => texts(operator, left, right, |text, part| text.contains(part)),
        Binary::StartsWith => texts(operator, left, right, |text, part| text.starts_with(part)),
        Binary::EndsWith => texts(operator, left, right, |text, part| text.ends_with(part)),
        // Decided before the right side was evaluated.
        Binary::Or | Binary::And | Binary::Coalesce => Err(invalid(operator.symbol(), left, right)),
    }
}

fn invalid(symbol: &str, left: &Value, right: &Value) -> Trouble {
    format!("invalid operation: {} {symbol} {}", left.go_type(), right.go_type())
}

/// `a + b` of numbers and of texts.
pub(super) fn add(left: &Value, right: &Value, budget: &mut Budget) -> Result<Value, Trouble> {
    if let (Value::Text(a), Value::Text(b)) = (left, right) {
        budget.hold_text(a.len() + b.len())?;
        return Ok(Value::text(&format!("{a}{b}")));
    }
    arithmetic("+", left, right, i64::wrapping_add, |a, b| a + b)
}

fn arithmetic(
    symbol: &str,
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> i64,
    float: fn(f64, f64) -> f64,
) -> Result<Value, Trouble> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Ok(Value::Int(whole(*a, *b))),
        _ => match (left.number(), right.number()) {
            (Some(a), Some(b)) => Ok(Value::Float(float(a, b))),
            _ => Err(invalid(symbol, left, right)),
        },
    }
}

/// How two numbers or two texts compare; `None` with NaN.
pub(super) fn compare(symbol: &str, left: &Value, right: &Value) -> Result<Option<Ordering>, Trouble> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        _ => match (left.number(), right.number()) {
            (Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
            _ => Err(invalid(symbol, left, right)),
        },
    }
}

/// Whether two values are equal; numbers by value, arrays element by element.
pub(super) fn equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Trouble> {
    budget.step(1)?;
    match (left, right) {
        (Value::Array(a), Value::Array(b)) => {
            if a.items.len() != b.items.len() {
                return Ok(false);
            }
            for (a, b) in a.items.iter().zip(b.items.iter()) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.entries.len() != b.entries.len() {
                return Ok(false);
            }
            for ((key, a), (other, b)) in a.entries.iter().zip(b.entries.iter()) {
                if key != other || !same(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        _ => match (left.number(), right.number()) {
            (Some(a), Some(b)) => Ok(a == b),
            _ => Ok(left == right),
        },
    }
}

/// Within maps Go compares types too.
fn same(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Trouble> {
    Ok(std::mem::discriminant(left) == std::mem::discriminant(right) && equal(left, right, budget)?)
}

fn range(from: i64, to: i64, budget: &mut Budget) -> Result<Value, Trouble> {
    let size = i128::from(to) - i128::from(from) + 1;
    let size = usize::try_from(size.max(0)).unwrap_or(usize::MAX);
    // Paid for before it is there.
    budget.step(size)?;
    budget.hold(size)?;
    let items = if size == 0 { Vec::new() } else { (from..=to).map(Value::Int).collect() };
    budget.array(items)
}

fn within(needle: &Value, haystack: &Value, budget: &mut Budget) -> Result<bool, Trouble> {
    match haystack {
        Value::Nil => Ok(false),
        Value::Array(list) => {
            for item in list.items.iter() {
                if equal(item, needle, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => Ok(Key::of(needle).is_some_and(|key| map.entries.contains_key(&key))),
        other => Err(format!("operator \"in\" not defined on {}", other.go_type())),
    }
}

fn texts(
    operator: Binary,
    left: &Value,
    right: &Value,
    test: fn(&str, &str) -> bool,
) -> Result<Value, Trouble> {
    match (left, right) {
        (Value::Text(text), Value::Text(part)) => Ok(Value::Bool(test(text, part))),
        (Value::Nil, _) | (_, Value::Nil) => Ok(Value::Bool(false)),
        _ => Err(invalid(operator.symbol(), left, right)),
    }
}
