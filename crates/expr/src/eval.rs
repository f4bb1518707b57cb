//! Evaluation: a walk over the checked tree, each step of which is paid for.

mod functions;
mod numbers;
mod operators;
mod predicates;
mod texts;

use crate::ast::{Binary, Kind, Name, Node, Pointer, Unary};
use crate::budget::{Budget, Trouble};
use crate::error::Fault;
use crate::value::{Key, List, Value};

/// Evaluates a checked formula.
pub(crate) fn run(root: &Node, slots: usize, variables: &[Value]) -> Result<Value, Fault> {
    let mut run =
        Run { variables, locals: vec![Value::Nil; slots], scopes: Vec::new(), budget: Budget::new() };
    run.node(root)
}

struct Run<'a> {
    variables: &'a [Value],
    locals: Vec<Value>,
    scopes: Vec<Scope>,
    budget: Budget,
}

/// Where a predicate is.
struct Scope {
    items: List,
    index: usize,
    accumulator: Value,
}

impl Run<'_> {
    fn node(&mut self, node: &Node) -> Result<Value, Fault> {
        let at = |trouble: Trouble| Fault::new(node.offset, trouble);
        self.budget.step(1).map_err(at)?;
        match &node.kind {
            Kind::Nil => Ok(Value::Nil),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(value) => Ok(Value::Int(*value)),
            Kind::Float(value) => Ok(Value::Float(*value)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Name(Name::Variable(at)) => Ok(self.variables.get(*at).cloned().unwrap_or_default()),
            Kind::Name(Name::Local(slot)) => Ok(self.locals.get(*slot).cloned().unwrap_or_default()),
            Kind::Name(Name::Unresolved(name)) => Err(at(format!("unknown name {name}"))),
            Kind::Unary(operator, operand) => {
                let value = self.node(operand)?;
                unary(*operator, value).map_err(at)
            }
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right, node.offset),
            Kind::Choice(condition, then, otherwise) => match self.node(condition)? {
                Value::Bool(true) => self.node(then),
                Value::Bool(false) => self.node(otherwise),
                other => Err(Fault::new(condition.offset, not_bool(&other))),
            },
            Kind::Let { slot, value, rest, .. } => {
                let value = self.node(value)?;
                if let Some(local) = self.locals.get_mut(*slot) {
                    *local = value;
                }
                self.node(rest)
            }
            Kind::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.node(node)?;
                }
                Ok(last)
            }
            Kind::Array(nodes) => {
                let items = nodes.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
                self.budget.array(items).map_err(at)
            }
            Kind::Map(pairs) => {
                let mut entries = std::collections::BTreeMap::new();
                for (key, value) in pairs {
                    let key = match self.node(key)? {
                        Value::Text(text) => Key::Text(text),
                        other => {
                            return Err(at(format!("a map key must be a string, not {}", other.go_type())));
                        }
                    };
                    entries.insert(key, self.node(value)?);
                }
                self.budget.map(entries).map_err(at)
            }
            // Outside a chain nothing is optional.
            Kind::Member { base, key, .. } => {
                let base = self.node(base)?;
                let key = self.node(key)?;
                fetch(&base, &key).map_err(at)
            }
            Kind::Chain(inner) => Ok(self.chain(inner)?.unwrap_or_default()),
            Kind::Slice { base, from, to } => self.slice(base, from.as_deref(), to.as_deref(), node.offset),
            Kind::Call { function, arguments } => self.call(function, arguments, node.offset),
            Kind::Predicate(body) => self.node(body),
            Kind::Pointer(pointer) => Ok(self.pointer(*pointer)),
        }
    }

    fn pointer(&self, pointer: Pointer) -> Value {
        let Some(scope) = self.scopes.last() else { return Value::Nil };
        match pointer {
            Pointer::Element => scope.items.items.get(scope.index).cloned().unwrap_or_default(),
            Pointer::Index => Value::Int(i64::try_from(scope.index).unwrap_or(i64::MAX)),
            Pointer::Accumulator => scope.accumulator.clone(),
        }
    }

    /// A run of members: `None` as soon as an optional one stands on nil.
    fn chain(&mut self, node: &Node) -> Result<Option<Value>, Fault> {
        let Kind::Member { base, key, optional } = &node.kind else { return self.node(node).map(Some) };
        let at = |trouble: Trouble| Fault::new(node.offset, trouble);
        self.budget.step(1).map_err(at)?;
        let Some(base) = self.chain(base)? else { return Ok(None) };
        if *optional && base == Value::Nil {
            return Ok(None);
        }
        let key = self.node(key)?;
        fetch(&base, &key).map(Some).map_err(at)
    }

    fn binary(&mut self, operator: Binary, left: &Node, right: &Node, offset: usize) -> Result<Value, Fault> {
        let first = self.node(left)?;
        match (operator, &first) {
            (Binary::Or, Value::Bool(true)) | (Binary::And, Value::Bool(false)) => return Ok(first),
            (Binary::Or | Binary::And, Value::Bool(_)) => return self.node(right),
            (Binary::Or | Binary::And, other) => return Err(Fault::new(left.offset, not_bool(other))),
            (Binary::Coalesce, Value::Nil) => return self.node(right),
            (Binary::Coalesce, _) => return Ok(first),
            _ => {}
        }
        let second = self.node(right)?;
        operators::binary(operator, &first, &second, &mut self.budget)
            .map_err(|trouble| Fault::new(offset, trouble))
    }

    fn slice(
        &mut self,
        base: &Node,
        from: Option<&Node>,
        to: Option<&Node>,
        offset: usize,
    ) -> Result<Value, Fault> {
        let base = self.node(base)?;
        let mut end = |node: Option<&Node>| match node {
            None => Ok(None),
            Some(node) => match self.node(node)? {
                Value::Int(index) => Ok(Some(index)),
                other => Err(Fault::new(node.offset, format!("invalid operation: int({})", other.go_type()))),
            },
        };
        let (from, to) = (end(from)?, end(to)?);
        let at = |trouble: Trouble| Fault::new(offset, trouble);
        match base {
            Value::Array(list) => {
                let (from, to) = bounds(list.items.len(), from, to);
                self.budget.array(list.items[from..to].to_vec()).map_err(at)
            }
            Value::Text(text) => {
                let (from, to) = bounds(text.len(), from, to);
                let part = String::from_utf8_lossy(&text.as_bytes()[from..to]);
                self.budget.text(&part).map_err(at)
            }
            other => Err(at(format!("cannot slice {}", other.go_type()))),
        }
    }
}

/// Both ends of a slice within `length`, counted from the end where they are negative.
fn bounds(length: usize, from: Option<i64>, to: Option<i64>) -> (usize, usize) {
    let within = |index: i64| {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let index = if index < 0 { length.saturating_add(index) } else { index };
        usize::try_from(index.clamp(0, length)).unwrap_or(0)
    };
    let to = to.map_or(length, within);
    (from.map_or(0, within).min(to), to)
}

/// `base[key]`.
pub(super) fn fetch(base: &Value, key: &Value) -> Result<Value, Trouble> {
    match (base, key) {
        (Value::Array(list), Value::Int(index)) => {
            let length = i64::try_from(list.items.len()).unwrap_or(i64::MAX);
            let from_start = if *index < 0 { length.saturating_add(*index) } else { *index };
            let item = usize::try_from(from_start).ok().and_then(|index| list.items.get(index));
            item.cloned()
                .ok_or_else(|| format!("index out of range: {from_start} (array length is {length})"))
        }
        (Value::Map(map), key) => {
            Ok(Key::of(key).and_then(|key| map.entries.get(&key).cloned()).unwrap_or_default())
        }
        (base, key) => Err(format!("cannot fetch {key} from {}", base.go_type())),
    }
}

fn unary(operator: Unary, value: Value) -> Result<Value, Trouble> {
    match (operator, value) {
        (Unary::Not, Value::Bool(value)) => Ok(Value::Bool(!value)),
        (Unary::Not, other) => Err(not_bool(&other)),
        (Unary::Minus, Value::Int(value)) => Ok(Value::Int(value.wrapping_neg())),
        (Unary::Minus, Value::Float(value)) => Ok(Value::Float(-value)),
        (Unary::Minus, other) => Err(format!("invalid operation: - {}", other.go_type())),
        (Unary::Plus, value) => Ok(value),
    }
}

fn not_bool(value: &Value) -> Trouble {
    format!("a bool is needed here, not {}", value.go_type())
}
