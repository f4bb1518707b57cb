//! Functions on texts. What they make is paid for before it is made.

use crate::budget::{Budget, Trouble};
use crate::value::Value;

/// Evaluates one of them; `None` where the function is none.
pub(super) fn call(
    function: &str,
    arguments: &[Value],
    budget: &mut Budget,
) -> Result<Option<Value>, Trouble> {
    let text = |at: usize| match arguments.get(at) {
        Some(Value::Text(text)) => Ok(&**text),
        other => {
            let of = other.map_or("<nil>", Value::go_type);
            Err(format!("cannot use {of} as argument (type string) to call {function}"))
        }
    };
    let count = |at: usize| match arguments.get(at) {
        None => Ok(None),
        Some(Value::Int(count)) => Ok(Some(*count)),
        Some(other) => Err(format!("invalid operation: int({})", other.go_type())),
    };
    let or_space = |at: usize| if arguments.len() > at { text(at) } else { Ok(" ") };
    // Whatever is done with a text looks at it once.
    for argument in arguments {
        if let Value::Text(text) = argument {
            budget.step(text.len() / 16)?;
        }
    }
    let value = match function {
        "string" => {
            let of = arguments.first().unwrap_or(&Value::Nil);
            pay_for_text(of, budget)?;
            Value::text(&of.to_string())
        }
        "type" => Value::text(match arguments.first().unwrap_or(&Value::Nil) {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::Array(_) => "array",
            Value::Map(_) => "map",
        }),
        "trim" if arguments.len() < 2 => budget.text(text(0)?.trim())?,
        "trim" => {
            let cut = text(1)?;
            budget.step(text(0)?.len().saturating_mul(cut.len()) / 16)?;
            budget.text(text(0)?.trim_matches(|c| cut.contains(c)))?
        }
        "trimPrefix" => budget.text(text(0)?.strip_prefix(or_space(1)?).unwrap_or(text(0)?))?,
        "trimSuffix" => budget.text(text(0)?.strip_suffix(or_space(1)?).unwrap_or(text(0)?))?,
        "upper" => budget.text(&text(0)?.to_uppercase())?,
        "lower" => budget.text(&text(0)?.to_lowercase())?,
        "split" => split(text(0)?, text(1)?, count(2)?, false, budget)?,
        "splitAfter" => split(text(0)?, text(1)?, count(2)?, true, budget)?,
        "replace" => replace(text(0)?, text(1)?, text(2)?, count(3)?, budget)?,
        "repeat" => {
            let times = count(1)?.unwrap_or(0);
            let times = usize::try_from(times).map_err(|_| {
                format!("invalid argument for repeat (expected positive integer, got {times})")
            })?;
            budget.hold_text(text(0)?.len().saturating_mul(times))?;
            Value::text(&text(0)?.repeat(times))
        }
        "join" => join(arguments, budget)?,
        "indexOf" => position(text(0)?.find(text(1)?)),
        "lastIndexOf" => position(text(0)?.rfind(text(1)?)),
        "hasPrefix" => Value::Bool(text(0)?.starts_with(text(1)?)),
        "hasSuffix" => Value::Bool(text(0)?.ends_with(text(1)?)),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn position(at: Option<usize>) -> Value {
    Value::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

/// Pays for the text of a value, which may hold the same array many times.
fn pay_for_text(value: &Value, budget: &mut Budget) -> Result<(), Trouble> {
    budget.step(1)?;
    match value {
        Value::Array(list) => list.items.iter().try_for_each(|item| pay_for_text(item, budget)),
        Value::Map(map) => map.entries.iter().try_for_each(|(key, item)| {
            pay_for_text(&key.value(), budget)?;
            pay_for_text(item, budget)
        }),
        Value::Text(text) => budget.hold_text(text.len()),
        // A float has up to three hundred digits.
        Value::Float(_) => budget.hold_text(320),
        _ => budget.hold_text(20),
    }
}

/// Go's `strings.SplitN`: a negative count is all of them, zero is none, else the last part is what is left.
fn split(
    text: &str,
    by: &str,
    count: Option<i64>,
    keep: bool,
    budget: &mut Budget,
) -> Result<Value, Trouble> {
    let most = match count {
        None => usize::MAX,
        Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
    };
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < most {
        let last = parts.len() + 1 == most;
        let at = if by.is_empty() { rest.chars().next().map(char::len_utf8) } else { rest.find(by) };
        let at = at.filter(|at| !last && (!by.is_empty() || *at < rest.len()));
        let (part, after) = match at {
            Some(at) if keep => rest.split_at(at + by.len()),
            Some(at) => (&rest[..at], &rest[at + by.len()..]),
            None => (rest, ""),
        };
        if by.is_empty() && part.is_empty() {
            break;
        }
        budget.step(1)?;
        parts.push(budget.text(part)?);
        if at.is_none() {
            break;
        }
        rest = after;
    }
    budget.array(parts)
}

fn replace(
    text: &str,
    old: &str,
    new: &str,
    count: Option<i64>,
    budget: &mut Budget,
) -> Result<Value, Trouble> {
    let most = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let places = text.matches(old).count().min(most);
    budget.step(places)?;
    budget.hold_text(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(Value::text(&text.replacen(old, new, places)))
}

fn join(arguments: &[Value], budget: &mut Budget) -> Result<Value, Trouble> {
    let glue = match arguments.get(1) {
        None => "",
        Some(Value::Text(glue)) => glue,
        Some(other) => return Err(format!("invalid argument for join (type {})", other.go_type())),
    };
    let Some(Value::Array(list)) = arguments.first() else {
        return Err("invalid argument for join".to_owned());
    };
    let mut parts = Vec::with_capacity(list.items.len());
    for item in list.items.iter() {
        budget.step(1)?;
        let Value::Text(part) = item else {
            return Err(format!("invalid argument for join (type {})", item.go_type()));
        };
        budget.hold_text(part.len() + glue.len())?;
        parts.push(&**part);
    }
    Ok(Value::text(&parts.join(glue)))
}
