//! Functions of the language that take values: which one, and those on arrays and maps.

use std::collections::BTreeMap;

use super::predicates::{descending, list, sorted};
use super::{Run, fetch, numbers, operators, texts};
use crate::ast::Node;
use crate::budget::{Budget, Trouble};
use crate::error::Fault;
use crate::value::{Key, List, Value};

impl Run<'_> {
    pub(super) fn call(&mut self, function: &str, arguments: &[Node], offset: usize) -> Result<Value, Fault> {
        if let Some(value) = self.predicate_call(function, arguments, offset)? {
            return Ok(value);
        }
        let values = arguments.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        call(function, values, &mut self.budget).map_err(|trouble| Fault::new(offset, trouble))
    }
}

fn call(function: &str, arguments: Vec<Value>, budget: &mut Budget) -> Result<Value, Trouble> {
    if let Some(value) = numbers::call(function, &arguments, budget)? {
        return Ok(value);
    }
    if let Some(value) = texts::call(function, &arguments, budget)? {
        return Ok(value);
    }
    let mut arguments = arguments.into_iter();
    let first = arguments.next().unwrap_or_default();
    let second = arguments.next();
    match function {
        "len" => length(&first),
        "first" => Ok(fetch(&first, &Value::Int(0)).unwrap_or_default()),
        "last" => Ok(fetch(&first, &Value::Int(-1)).unwrap_or_default()),
        "get" => Ok(fetch(&first, &second.unwrap_or_default()).unwrap_or_default()),
        "take" => {
            let list = list(function, first)?;
            let Some(Value::Int(count)) = second else { return Err("cannot take these elements".to_owned()) };
            let count = usize::try_from(count)
                .map_err(|_| format!("cannot take {count} elements"))?
                .min(list.items.len());
            budget.array(list.items[..count].to_vec())
        }
        "keys" | "values" | "toPairs" => of_map(function, &first, budget),
        "fromPairs" => from_pairs(first, budget),
        "reverse" => {
            let list = list(function, first)?;
            budget.step(list.items.len())?;
            budget.array(list.items.iter().rev().cloned().collect())
        }
        "uniq" => uniq(&list(function, first)?, budget),
        "concat" => {
            let mut items = Vec::new();
            for value in [Some(first), second].into_iter().flatten().chain(arguments) {
                let list = list(function, value)?;
                budget.hold(list.items.len())?;
                items.extend(list.items.iter().cloned());
            }
            budget.array(items)
        }
        "flatten" => {
            let mut items = Vec::new();
            flatten(&list(function, first)?, &mut items, budget)?;
            budget.array(items)
        }
        "sort" => {
            let list = list(function, first)?;
            let sorted = sorted(list.items.to_vec(), descending(second.as_ref())?, |item| item, budget)?;
            budget.array(sorted)
        }
        other => Err(format!("unknown name {other}")),
    }
}

fn length(of: &Value) -> Result<Value, Trouble> {
    let length = match of {
        Value::Array(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Text(text) => text.chars().count(),
        other => return Err(format!("invalid argument for len (type {})", other.go_type())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn of_map(function: &str, map: &Value, budget: &mut Budget) -> Result<Value, Trouble> {
    let Value::Map(map) = map else { return Err(format!("cannot get {function} from {}", map.go_type())) };
    budget.step(map.entries.len())?;
    let mut items = Vec::with_capacity(map.entries.len());
    for (key, value) in map.entries.iter() {
        items.push(match function {
            "keys" => key.value(),
            "values" => value.clone(),
            _ => budget.array(vec![key.value(), value.clone()])?,
        });
    }
    budget.array(items)
}

fn from_pairs(pairs: Value, budget: &mut Budget) -> Result<Value, Trouble> {
    let mut entries = BTreeMap::new();
    for pair in list("transform", pairs)?.items.iter() {
        budget.step(1)?;
        let Value::Array(pair) = pair else { return Err(format!("invalid pair {}", pair.go_type())) };
        let [key, value] = pair.items.as_slice() else {
            return Err(format!("invalid pair length {}", pair.items.len()));
        };
        let key = Key::of(key).ok_or_else(|| format!("{} cannot be a key", key.go_type()))?;
        entries.insert(key, value.clone());
    }
    budget.map(entries)
}

fn uniq(list: &List, budget: &mut Budget) -> Result<Value, Trouble> {
    let mut items: Vec<Value> = Vec::new();
    for item in list.items.iter() {
        let mut known = false;
        for kept in &items {
            if operators::equal(item, kept, budget)? {
                known = true;
                break;
            }
        }
        if !known {
            items.push(item.clone());
        }
    }
    budget.array(items)
}

fn flatten(list: &List, into: &mut Vec<Value>, budget: &mut Budget) -> Result<(), Trouble> {
    for item in list.items.iter() {
        budget.step(1)?;
        match item {
            Value::Array(list) => flatten(list, into, budget)?,
            other => into.push(other.clone()),
        }
    }
    Ok(())
}
