//! Functions that apply an expression to each element of an array.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Run, Scope, not_bool, operators};
use crate::ast::Node;
use crate::error::Fault;
use crate::value::{Key, List, Value};

impl Run<'_> {
    /// Evaluates one of them; `None` where the function is none.
    pub(super) fn predicate_call(
        &mut self,
        function: &str,
        arguments: &[Node],
        offset: usize,
    ) -> Result<Option<Value>, Fault> {
        if !matches!(
            function,
            "all"
                | "none"
                | "any"
                | "one"
                | "filter"
                | "map"
                | "count"
                | "sum"
                | "find"
                | "findLast"
                | "findIndex"
                | "findLastIndex"
                | "groupBy"
                | "sortBy"
                | "reduce"
        ) {
            return Ok(None);
        }
        let [collection, rest @ ..] = arguments else { return Ok(Some(Value::Nil)) };
        let items = match self.node(collection)? {
            Value::Array(items) => items,
            other => {
                let text = format!("builtin {function} takes only array (got {})", other.go_type());
                return Err(Fault::new(collection.offset, text));
            }
        };
        let predicate = rest.first();
        let extra = rest.get(1).map(|node| self.node(node)).transpose()?;
        let backwards = function.starts_with("findLast");
        let indices: Vec<usize> = match backwards {
            true => (0..items.items.len()).rev().collect(),
            false => (0..items.items.len()).collect(),
        };
        self.scopes.push(Scope { items, index: 0, accumulator: Value::Nil });
        let result = self.apply(function, &indices, predicate, extra, offset);
        self.scopes.pop();
        result.map(Some)
    }

    /// The predicate on the element at `index`, or that element.
    fn each(&mut self, index: usize, predicate: Option<&Node>, offset: usize) -> Result<Value, Fault> {
        if let Some(scope) = self.scopes.last_mut() {
            scope.index = index;
        }
        match predicate {
            Some(predicate) => self.node(predicate),
            None => {
                self.budget.step(1).map_err(|trouble| Fault::new(offset, trouble))?;
                Ok(self.element(index))
            }
        }
    }

    fn element(&self, index: usize) -> Value {
        self.scopes.last().and_then(|scope| scope.items.items.get(index)).cloned().unwrap_or_default()
    }

    fn apply(
        &mut self,
        function: &str,
        indices: &[usize],
        predicate: Option<&Node>,
        extra: Option<Value>,
        offset: usize,
    ) -> Result<Value, Fault> {
        let at = |trouble| Fault::new(offset, trouble);
        match function {
            "map" => {
                let values = indices.iter().map(|index| self.each(*index, predicate, offset));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                self.budget.array(values).map_err(at)
            }
            "sum" => {
                let mut sum = Value::Int(0);
                for index in indices {
                    let value = self.each(*index, predicate, offset)?;
                    sum = operators::add(&value, &sum, &mut self.budget).map_err(at)?;
                }
                Ok(sum)
            }
            "reduce" => self.reduce(indices, predicate, extra, offset),
            "groupBy" => self.group(indices, predicate, offset),
            "sortBy" => self.sort(indices, predicate, extra.as_ref(), offset),
            _ => self.judge(function, indices, predicate, offset),
        }
    }

    /// Those whose predicate is true or false.
    fn judge(
        &mut self,
        function: &str,
        indices: &[usize],
        predicate: Option<&Node>,
        offset: usize,
    ) -> Result<Value, Fault> {
        let mut chosen = Vec::new();
        for index in indices {
            let holds = match self.each(*index, predicate, offset)? {
                Value::Bool(holds) => holds,
                other => return Err(Fault::new(offset, not_bool(&other))),
            };
            match (function, holds) {
                ("all", false) | ("none", true) => return Ok(Value::Bool(false)),
                ("any", true) => return Ok(Value::Bool(true)),
                ("find" | "findLast", true) => return Ok(self.element(*index)),
                ("findIndex" | "findLastIndex", true) => {
                    return Ok(Value::Int(i64::try_from(*index).unwrap_or(i64::MAX)));
                }
                (_, true) => chosen.push(*index),
                (_, false) => {}
            }
        }
        Ok(match function {
            "all" | "none" => Value::Bool(true),
            "any" => Value::Bool(false),
            "one" => Value::Bool(chosen.len() == 1),
            "count" => Value::Int(i64::try_from(chosen.len()).unwrap_or(i64::MAX)),
            "filter" => {
                let values = chosen.iter().map(|index| self.element(*index)).collect();
                return self.budget.array(values).map_err(|trouble| Fault::new(offset, trouble));
            }
            _ => Value::Nil,
        })
    }

    fn reduce(
        &mut self,
        indices: &[usize],
        predicate: Option<&Node>,
        initial: Option<Value>,
        offset: usize,
    ) -> Result<Value, Fault> {
        let (mut accumulator, rest) = match (initial, indices) {
            (Some(initial), indices) => (initial, indices),
            (None, [first, rest @ ..]) => (self.element(*first), rest),
            (None, []) => return Err(Fault::new(offset, "reduce of empty array with no initial value")),
        };
        for index in rest {
            if let Some(scope) = self.scopes.last_mut() {
                scope.accumulator = accumulator;
            }
            accumulator = self.each(*index, predicate, offset)?;
        }
        Ok(accumulator)
    }

    fn group(&mut self, indices: &[usize], predicate: Option<&Node>, offset: usize) -> Result<Value, Fault> {
        let mut groups: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for index in indices {
            let value = self.each(*index, predicate, offset)?;
            let key = Key::of(&value)
                .ok_or_else(|| Fault::new(offset, format!("groupBy cannot group by {}", value.go_type())))?;
            groups.entry(key).or_default().push(self.element(*index));
        }
        let mut entries = BTreeMap::new();
        for (key, values) in groups {
            entries.insert(key, self.budget.array(values).map_err(|trouble| Fault::new(offset, trouble))?);
        }
        self.budget.map(entries).map_err(|trouble| Fault::new(offset, trouble))
    }

    fn sort(
        &mut self,
        indices: &[usize],
        predicate: Option<&Node>,
        order: Option<&Value>,
        offset: usize,
    ) -> Result<Value, Fault> {
        let mut pairs = Vec::with_capacity(indices.len());
        for index in indices {
            let value = self.each(*index, predicate, offset)?;
            pairs.push((value, self.element(*index)));
        }
        let sorted = descending(order)
            .and_then(|descending| sorted(pairs, descending, |pair| &pair.0, &mut self.budget));
        let values = sorted.map_err(|trouble| Fault::new(offset, trouble))?;
        let values = values.into_iter().map(|(_, element)| element).collect();
        self.budget.array(values).map_err(|trouble| Fault::new(offset, trouble))
    }
}

/// The order that a word names.
pub(super) fn descending(order: Option<&Value>) -> Result<bool, String> {
    match order {
        None => Ok(false),
        Some(Value::Text(word)) if &**word == "asc" => Ok(false),
        Some(Value::Text(word)) if &**word == "desc" => Ok(true),
        Some(other) => Err(format!("invalid order {other}, expected asc or desc")),
    }
}

/// Sorts by a key; keys that cannot be compared are an error.
pub(super) fn sorted<T>(
    mut items: Vec<T>,
    descending: bool,
    key: impl Fn(&T) -> &Value,
    budget: &mut crate::budget::Budget,
) -> Result<Vec<T>, String> {
    let rounds = usize::try_from(items.len().checked_ilog2().unwrap_or(0)).unwrap_or(0) + 1;
    budget.step(items.len().saturating_mul(rounds))?;
    let mut trouble = None;
    items.sort_by(|a, b| {
        let (a, b) = if descending { (key(b), key(a)) } else { (key(a), key(b)) };
        match operators::compare("<", a, b) {
            Ok(order) => order.unwrap_or(Ordering::Equal),
            Err(found) => {
                trouble.get_or_insert(found);
                Ordering::Equal
            }
        }
    });
    trouble.map_or(Ok(items), Err)
}

/// For functions that take an array.
pub(super) fn list(function: &str, value: Value) -> Result<List, String> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(format!("cannot {function} {}", other.go_type())),
    }
}
