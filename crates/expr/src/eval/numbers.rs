//! Functions on numbers, and on arrays of them.

use std::cmp::Ordering;

use super::operators::compare;
use crate::budget::{Budget, Trouble};
use crate::value::Value;

/// Evaluates one of them; `None` where the function is none.
pub(super) fn call(
    function: &str,
    arguments: &[Value],
    budget: &mut Budget,
) -> Result<Option<Value>, Trouble> {
    let first = arguments.first().unwrap_or(&Value::Nil);
    let value = match function {
        "abs" => match first {
            Value::Int(number) => Value::Int(number.wrapping_abs()),
            Value::Float(number) if *number < 0.0 => Value::Float(-number),
            Value::Float(number) => Value::Float(*number),
            other => return Err(invalid(function, other)),
        },
        "ceil" => Value::Float(number(function, first)?.ceil()),
        "floor" => Value::Float(number(function, first)?.floor()),
        // Half away from zero, as Go.
        "round" => Value::Float(number(function, first)?.round()),
        "int" => int(first)?,
        "float" => float(first)?,
        "max" => extreme(function, arguments, Ordering::Less, budget)?,
        "min" => extreme(function, arguments, Ordering::Greater, budget)?,
        "mean" => {
            let numbers = numbers(function, arguments, budget)?;
            Value::Float(if numbers.is_empty() {
                0.0
            } else {
                numbers.iter().sum::<f64>() / numbers.len() as f64
            })
        }
        "median" => {
            let mut numbers = numbers(function, arguments, budget)?;
            numbers.sort_by(f64::total_cmp);
            Value::Float(middle(&numbers))
        }
        "bitand" | "bitor" | "bitxor" | "bitnand" | "bitshl" | "bitshr" | "bitushr" | "bitnot" => {
            bits(function, arguments)?
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn invalid(function: &str, value: &Value) -> Trouble {
    format!("invalid argument for {function} (type {})", value.go_type())
}

fn number(function: &str, value: &Value) -> Result<f64, Trouble> {
    value.number().ok_or_else(|| invalid(function, value))
}

/// Towards zero; what does not fit is the nearest that does.
fn int(value: &Value) -> Result<Value, Trouble> {
    match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        #[expect(clippy::cast_possible_truncation, reason = "that is what int() is for; the cast saturates")]
        Value::Float(number) => Ok(Value::Int(*number as i64)),
        Value::Text(text) => {
            text.parse().map(Value::Int).map_err(|_| format!("invalid operation: int({text})"))
        }
        other => Err(format!("invalid operation: int({})", other.go_type())),
    }
}

fn float(value: &Value) -> Result<Value, Trouble> {
    match value {
        Value::Text(text) => {
            text.parse().map(Value::Float).map_err(|_| format!("invalid operation: float({text})"))
        }
        other => other
            .number()
            .map(Value::Float)
            .ok_or_else(|| format!("invalid operation: float({})", other.go_type())),
    }
}

/// The first number than which no other is further away in `order`; nil where there is none.
fn extreme(
    function: &str,
    arguments: &[Value],
    order: Ordering,
    budget: &mut Budget,
) -> Result<Value, Trouble> {
    let mut found = Value::Nil;
    for argument in arguments {
        budget.step(1)?;
        let candidate = match argument {
            Value::Int(_) | Value::Float(_) => argument.clone(),
            Value::Array(list) => match extreme(function, &list.items, order, budget)? {
                Value::Nil => continue,
                number => number,
            },
            other => return Err(invalid(function, other)),
        };
        if found == Value::Nil || compare("<", &found, &candidate)? == Some(order) {
            found = candidate;
        }
    }
    Ok(found)
}

/// Every number in the arguments, arrays within arrays included.
fn numbers(function: &str, arguments: &[Value], budget: &mut Budget) -> Result<Vec<f64>, Trouble> {
    let mut found = Vec::new();
    gather(function, arguments, &mut found, budget)?;
    Ok(found)
}

fn gather(
    function: &str,
    values: &[Value],
    found: &mut Vec<f64>,
    budget: &mut Budget,
) -> Result<(), Trouble> {
    for value in values {
        budget.step(1)?;
        match value {
            Value::Array(list) => gather(function, &list.items, found, budget)?,
            other => found.push(number(function, other)?),
        }
    }
    Ok(())
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match (sorted.is_empty(), sorted.len() % 2) {
        (true, _) => 0.0,
        (_, 1) => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

fn bits(function: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    let whole = |at: usize| match arguments.get(at) {
        Some(Value::Int(number)) => Ok(*number),
        other => {
            let of = other.map_or("<nil>", Value::go_type);
            Err(format!("cannot use {of} as argument (type int) to call {function}"))
        }
    };
    let x = whole(0)?;
    if function == "bitnot" {
        return Ok(Value::Int(!x));
    }
    let y = whole(1)?;
    let shift = || match u32::try_from(y) {
        Ok(count) => Ok(count),
        Err(_) if y < 0 => Err(format!("invalid operation: negative shift count {y} (type int)")),
        Err(_) => Ok(u32::MAX),
    };
    Ok(Value::Int(match function {
        "bitand" => x & y,
        "bitor" => x | y,
        "bitxor" => x ^ y,
        "bitnand" => x & !y,
        "bitshl" => x.checked_shl(shift()?).unwrap_or(0),
        "bitshr" => x >> shift()?.min(63),
        // The bits of a negative number, as Go reads them.
        _ => x.cast_unsigned().checked_shr(shift()?).unwrap_or(0).cast_signed(),
    }))
}
