//! Names and types, before a formula runs: what Go's checker refuses (`checker/checker.go`) is refused here.

mod functions;

use crate::ast::{Binary, Kind, Name, Node, Pointer, Unary};
use crate::error::Fault;
use crate::types::Type;

/// The name under which a formula finds its variables by text: `$env["my-trigger"]`.
const ENVIRONMENT: &str = "$env";

/// Checks a formula and resolves its names. Gives the type of the result, and how many values `let` declares at once.
pub(crate) fn check(root: &mut Node, variables: &[&str]) -> Result<(Type, usize), Fault> {
    let mut checker = Checker { variables, locals: Vec::new(), slots: 0, predicates: Vec::new() };
    let result = checker.visit(root)?;
    Ok((result, checker.slots))
}

struct Checker<'a> {
    variables: &'a [&'a str],
    locals: Vec<(String, Type)>,
    slots: usize,
    predicates: Vec<Scope>,
}

/// What `#` means at some place.
struct Scope {
    element: Type,
    index: bool,
    accumulator: bool,
}

fn is_text(of: &Type) -> bool {
    *of == Type::Text
}

fn is_bool(of: &Type) -> bool {
    *of == Type::Bool
}

fn is_int(of: &Type) -> bool {
    *of == Type::Int
}

fn is_number_or_text(of: &Type) -> bool {
    of.is_number() || is_text(of)
}

impl Checker<'_> {
    fn visit(&mut self, node: &mut Node) -> Result<Type, Fault> {
        let offset = node.offset;
        match &mut node.kind {
            Kind::Nil => Ok(Type::Nil),
            Kind::Bool(_) => Ok(Type::Bool),
            Kind::Int(_) => Ok(Type::Int),
            Kind::Float(_) => Ok(Type::Float),
            Kind::Text(_) => Ok(Type::Text),
            Kind::Name(name) => self.name(name, offset),
            Kind::Unary(operator, operand) => {
                let of = self.visit(operand)?;
                unary(*operator, &of).ok_or_else(|| {
                    let sign = match operator {
                        Unary::Not => "!",
                        Unary::Minus => "-",
                        Unary::Plus => "+",
                    };
                    Fault::new(offset, format!("invalid operation: {sign} (mismatched type {of})"))
                })
            }
            Kind::Binary(operator, left, right) => {
                let operator = *operator;
                let left = self.visit(left)?;
                let right = self.visit(right)?;
                binary(operator, &left, &right).map_err(|text| Fault::new(offset, text))
            }
            Kind::Choice(condition, then, otherwise) => {
                let of = self.visit(condition)?;
                if !is_bool(&of) && !of.is_unknown() {
                    let text = format!("non-bool expression (type {of}) used as condition");
                    return Err(Fault::new(condition.offset, text));
                }
                let (then, otherwise) = (self.visit(then)?, self.visit(otherwise)?);
                Ok(either(then, otherwise))
            }
            Kind::Let { name, slot, value, rest } => {
                self.declarable(name).map_err(|text| Fault::new(offset, text))?;
                let of = self.visit(value)?;
                *slot = self.locals.len();
                self.locals.push((name.clone(), of));
                self.slots = self.slots.max(self.locals.len());
                let result = self.visit(rest)?;
                self.locals.pop();
                Ok(result)
            }
            Kind::Sequence(nodes) => {
                let mut last = Type::Unknown;
                for node in nodes {
                    last = self.visit(node)?;
                }
                Ok(last)
            }
            Kind::Array(nodes) => {
                let mut types = Vec::with_capacity(nodes.len());
                for node in nodes {
                    types.push(self.visit(node)?);
                }
                let first = types.first().cloned().unwrap_or(Type::Unknown);
                let alike = types.iter().all(|of| same_kind(of, &first));
                Ok(Type::array(if alike { types.pop().unwrap_or(Type::Unknown) } else { Type::Any }))
            }
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Ok(Type::Map { text_keys: true, value: Box::new(Type::Any) })
            }
            Kind::Member { base, key, .. } => {
                if matches!(&base.kind, Kind::Name(Name::Unresolved(name)) if name == ENVIRONMENT) {
                    let resolved = self.by_text(key, offset)?;
                    node.kind = Kind::Name(Name::Variable(resolved));
                    return Ok(Type::Float);
                }
                let of = self.visit(base)?;
                let by = self.visit(key)?;
                member(&of, &by, key, offset)
            }
            Kind::Chain(node) => self.visit(node),
            Kind::Slice { base, from, to } => {
                let of = self.visit(base)?;
                if !(of.is_unknown() || of.is_array() || is_text(&of)) {
                    return Err(Fault::new(offset, format!("cannot slice {of}")));
                }
                for end in [from, to].into_iter().flatten() {
                    let index = self.visit(end)?;
                    if !is_int(&index) && !index.is_unknown() {
                        return Err(Fault::new(end.offset, format!("non-integer slice index {index}")));
                    }
                }
                Ok(of)
            }
            Kind::Call { function, arguments } => self.call(function, arguments, offset),
            Kind::Predicate(body) => self.visit(body),
            Kind::Pointer(pointer) => self.pointer(*pointer, offset),
        }
    }

    fn name(&self, name: &mut Name, offset: usize) -> Result<Type, Fault> {
        let Name::Unresolved(text) = name else { return Ok(Type::Float) };
        if let Some(slot) = self.locals.iter().rposition(|(local, _)| local == text) {
            *name = Name::Local(slot);
            return Ok(self.locals[slot].1.clone());
        }
        match self.variables.iter().position(|variable| variable == text) {
            Some(variable) => {
                *name = Name::Variable(variable);
                Ok(Type::Float)
            }
            None => Err(Fault::new(offset, format!("unknown name {text}"))),
        }
    }

    /// A variable that is named by a text.
    fn by_text(&self, key: &Node, offset: usize) -> Result<usize, Fault> {
        let Kind::Text(name) = &key.kind else {
            return Err(Fault::new(key.offset, "$env takes the name of a trigger as a text"));
        };
        let found = self.variables.iter().position(|variable| *variable == &**name);
        found.ok_or_else(|| Fault::new(offset, format!("unknown name {name}")))
    }

    fn declarable(&self, name: &str) -> Result<(), String> {
        if self.variables.contains(&name) {
            return Err(format!("cannot redeclare {name}"));
        }
        if functions::exists(name) {
            return Err(format!("cannot redeclare builtin {name}"));
        }
        if self.locals.iter().any(|(local, _)| local == name) {
            return Err(format!("cannot redeclare variable {name}"));
        }
        Ok(())
    }

    fn pointer(&self, pointer: Pointer, offset: usize) -> Result<Type, Fault> {
        let Some(scope) = self.predicates.last() else {
            return Err(Fault::new(offset, "cannot use pointer accessor outside predicate"));
        };
        match pointer {
            Pointer::Element => Ok(scope.element.clone()),
            Pointer::Index if scope.index => Ok(Type::Int),
            Pointer::Accumulator if scope.accumulator => Ok(Type::Unknown),
            Pointer::Index => Err(Fault::new(offset, "unknown pointer #index")),
            Pointer::Accumulator => Err(Fault::new(offset, "unknown pointer #acc")),
        }
    }
}

/// What an operator makes of its operand; `None` where it cannot.
fn unary(operator: Unary, of: &Type) -> Option<Type> {
    match operator {
        Unary::Not if is_bool(of) || of.is_unknown() => Some(Type::Bool),
        Unary::Minus | Unary::Plus if of.is_number() => Some(of.clone()),
        Unary::Minus | Unary::Plus if of.is_unknown() => Some(Type::Unknown),
        _ => None,
    }
}

/// What an operator makes of its operands.
fn binary(operator: Binary, left: &Type, right: &Type) -> Result<Type, String> {
    let numbers = left.is_number() && right.is_number();
    let texts = is_text(left) && is_text(right);
    let found = match operator {
        Binary::Equal | Binary::NotEqual => left.comparable_to(right).then_some(Type::Bool),
        Binary::Or | Binary::And => {
            (is_bool(left) && is_bool(right) || left.maybe(right, is_bool)).then_some(Type::Bool)
        }
        Binary::Less | Binary::More | Binary::AtLeast | Binary::AtMost => {
            (numbers || texts || left.maybe(right, is_number_or_text)).then_some(Type::Bool)
        }
        Binary::Add | Binary::Subtract | Binary::Multiply if numbers => Some(promoted(left, right)),
        Binary::Add if texts => Some(Type::Text),
        Binary::Add => left.maybe(right, is_number_or_text).then_some(Type::Unknown),
        Binary::Subtract | Binary::Multiply => left.maybe(right, Type::is_number).then_some(Type::Unknown),
        Binary::Divide | Binary::Power => {
            (numbers || left.maybe(right, Type::is_number)).then_some(Type::Float)
        }
        Binary::Modulo => (is_int(left) && is_int(right) || left.maybe(right, is_int)).then_some(Type::Int),
        Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            (texts || left.maybe(right, is_text)).then_some(Type::Bool)
        }
        Binary::Range => {
            (is_int(left) && is_int(right) || left.maybe(right, is_int)).then(|| Type::array(Type::Int))
        }
        Binary::Coalesce => Some(match (left, right) {
            (Type::Nil, right) => right.clone(),
            (left, Type::Nil) => left.clone(),
            (left, right) if right.assignable_to(left) => left.clone(),
            _ => Type::Unknown,
        }),
        Binary::In => within(left, right)?,
    };
    found.ok_or_else(|| {
        format!("invalid operation: {} (mismatched types {left} and {right})", operator.symbol())
    })
}

/// The type of `left in right`.
fn within(left: &Type, right: &Type) -> Result<Option<Type>, String> {
    match right {
        Type::Map { text_keys, .. } => match !text_keys || left.is_unknown() || is_text(left) {
            true => Ok(Some(Type::Bool)),
            false => Err(format!("cannot use {left} as type string in map key")),
        },
        Type::Array(element) => match left.comparable_to(element) {
            true => Ok(Some(Type::Bool)),
            false => Err(format!("cannot use {left} as type {element} in array")),
        },
        Type::Text if left.is_unknown() => Ok(Some(Type::Bool)),
        _ if right.is_unknown() => Ok(Some(Type::Bool)),
        _ => Ok(None),
    }
}

/// Of a sum: whole only when both are.
fn promoted(left: &Type, right: &Type) -> Type {
    if is_int(left) && is_int(right) { Type::Int } else { Type::Float }
}

/// Of a choice: known where both branches agree.
fn either(then: Type, otherwise: Type) -> Type {
    match (then, otherwise) {
        (Type::Nil, other) | (other, Type::Nil) => other,
        (Type::Array(a), Type::Array(b)) => {
            if a.assignable_to(&b) && b.assignable_to(&a) {
                Type::Array(a)
            } else {
                Type::array(Type::Any)
            }
        }
        (then, otherwise) if then.assignable_to(&otherwise) => then,
        _ => Type::Unknown,
    }
}

/// Whether Go has one kind for both.
fn same_kind(a: &Type, b: &Type) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// The type of `base[key]`.
fn member(base: &Type, by: &Type, key: &Node, offset: usize) -> Result<Type, Fault> {
    let name = match &key.kind {
        Kind::Text(name) => Some(name),
        _ => None,
    };
    match base {
        base if base.is_unknown() => Ok(Type::Unknown),
        Type::Nil if name.is_some() => {
            Err(Fault::new(offset, format!("type nil has no field {}", name.map_or("", |name| name))))
        }
        Type::Map { text_keys, value } => match !text_keys || is_text(by) || by.is_unknown() {
            true => Ok((**value).clone()),
            false => Err(Fault::new(key.offset, format!("cannot use {by} to get an element from {base}"))),
        },
        Type::Array(element) => match is_int(by) || by.is_unknown() {
            true => Ok((**element).clone()),
            false => Err(Fault::new(
                key.offset,
                format!("array elements can only be selected using an integer (got {by})"),
            )),
        },
        _ => Err(Fault::new(
            offset,
            match name {
                Some(name) => format!("type {base} has no field {name}"),
                None => format!("type {base}[{by}] is undefined"),
            },
        )),
    }
}
