//! The functions of the language: which there are, what they take, what they give (`builtin/builtin.go`).

use super::{Checker, Scope, is_bool, is_int, is_text};
use crate::ast::Node;
use crate::error::Fault;
use crate::parse::unsupported;
use crate::types::Type;

/// Functions of a fixed signature: what they take, how many of it must be there, and what they give.
const PLAIN: &[(&str, &[Takes], usize, Gives)] = &[
    ("string", &[Takes::Anything], 1, Gives::Text),
    ("type", &[Takes::Anything], 1, Gives::Text),
    ("trim", &[Takes::Text, Takes::Text], 1, Gives::Text),
    ("trimPrefix", &[Takes::Text, Takes::Text], 1, Gives::Text),
    ("trimSuffix", &[Takes::Text, Takes::Text], 1, Gives::Text),
    ("upper", &[Takes::Text], 1, Gives::Text),
    ("lower", &[Takes::Text], 1, Gives::Text),
    ("split", &[Takes::Text, Takes::Text, Takes::Int], 2, Gives::Texts),
    ("splitAfter", &[Takes::Text, Takes::Text, Takes::Int], 2, Gives::Texts),
    ("replace", &[Takes::Text, Takes::Text, Takes::Text, Takes::Int], 3, Gives::Text),
    ("repeat", &[Takes::Text, Takes::Int], 2, Gives::Text),
    ("join", &[Takes::Array, Takes::Text], 1, Gives::Text),
    ("indexOf", &[Takes::Text, Takes::Text], 2, Gives::Int),
    ("lastIndexOf", &[Takes::Text, Takes::Text], 2, Gives::Int),
    ("hasPrefix", &[Takes::Text, Takes::Text], 2, Gives::Bool),
    ("hasSuffix", &[Takes::Text, Takes::Text], 2, Gives::Bool),
    ("sort", &[Takes::Array, Takes::Text], 1, Gives::Array),
    ("bitand", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitor", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitxor", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitnand", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitshl", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitshr", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitushr", &[Takes::Int, Takes::Int], 2, Gives::Int),
    ("bitnot", &[Takes::Int], 1, Gives::Int),
];

/// What a function takes in one place.
#[derive(Clone, Copy)]
enum Takes {
    Anything,
    Text,
    Int,
    Array,
}

impl Takes {
    fn accepts(self, of: &Type) -> bool {
        of.is_unknown()
            || match self {
                Self::Anything => true,
                Self::Text => is_text(of),
                Self::Int => is_int(of),
                Self::Array => of.is_array(),
            }
    }

    fn go_type(self) -> &'static str {
        match self {
            Self::Anything => "interface {}",
            Self::Text => "string",
            Self::Int => "int",
            Self::Array => "[]interface {}",
        }
    }
}

/// What a function gives.
#[derive(Clone, Copy)]
enum Gives {
    Text,
    Texts,
    Int,
    Bool,
    Array,
}

/// Functions whose arguments decide about the result, and those that apply an expression to each element.
const OTHERS: &[&str] = &[
    "abs",
    "all",
    "any",
    "ceil",
    "concat",
    "count",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "first",
    "flatten",
    "float",
    "floor",
    "fromPairs",
    "get",
    "groupBy",
    "int",
    "keys",
    "last",
    "len",
    "map",
    "max",
    "mean",
    "median",
    "min",
    "none",
    "one",
    "reduce",
    "reverse",
    "round",
    "sortBy",
    "sum",
    "take",
    "toPairs",
    "uniq",
    "values",
];

/// Functions of Go's expr that are not here.
const MISSING: &[&str] =
    &["date", "duration", "fromBase64", "fromJSON", "now", "timezone", "toBase64", "toJSON"];

/// Whether Go's expr has a function of this name.
pub(super) fn exists(name: &str) -> bool {
    PLAIN.iter().any(|(known, ..)| *known == name) || OTHERS.contains(&name) || MISSING.contains(&name)
}

/// Of a map with any keys.
fn any_map(value: Type) -> Type {
    Type::Map { text_keys: false, value: Box::new(value) }
}

fn any_array() -> Type {
    Type::array(Type::Any)
}

/// Go has no type for nil, and says so in its own way.
fn shown(of: &Type) -> String {
    if *of == Type::Nil { "nil".to_owned() } else { of.to_string() }
}

impl Checker<'_> {
    /// The type of a function's result.
    pub(super) fn call(
        &mut self,
        function: &str,
        arguments: &mut [Node],
        offset: usize,
    ) -> Result<Type, Fault> {
        if MISSING.contains(&function) {
            return Err(Fault::new(offset, unsupported(&format!("function {function}"))));
        }
        if let Some((_, takes, least, gives)) = PLAIN.iter().find(|(name, ..)| *name == function) {
            return self.plain(function, arguments, offset, (takes, *least, *gives));
        }
        match function {
            "all" | "none" | "any" | "one" | "filter" | "map" | "count" | "sum" | "find" | "findLast"
            | "findIndex" | "findLastIndex" | "groupBy" | "sortBy" | "reduce" => {
                return self.predicate_call(function, arguments);
            }
            _ => {}
        }
        if !OTHERS.contains(&function) {
            let callable =
                self.locals.iter().any(|(local, _)| local == function) || self.variables.contains(&function);
            let text = match callable {
                true => format!("{function} is not callable"),
                false => format!("unknown name {function}"),
            };
            return Err(Fault::new(offset, text));
        }
        let mut types = Vec::with_capacity(arguments.len());
        for argument in arguments.iter_mut() {
            types.push(self.visit(argument)?);
        }
        computed(function, &types).map_err(|text| Fault::new(offset, text))
    }

    fn plain(
        &mut self,
        function: &str,
        arguments: &mut [Node],
        offset: usize,
        (takes, least, gives): (&[Takes], usize, Gives),
    ) -> Result<Type, Fault> {
        if arguments.len() < least {
            return Err(Fault::new(offset, format!("not enough arguments to call {function}")));
        }
        if arguments.len() > takes.len() {
            return Err(Fault::new(offset, format!("too many arguments to call {function}")));
        }
        for (argument, takes) in arguments.iter_mut().zip(takes) {
            let of = self.visit(argument)?;
            if !takes.accepts(&of) {
                let text = format!(
                    "cannot use {} as argument (type {}) to call {function}",
                    shown(&of),
                    takes.go_type()
                );
                return Err(Fault::new(argument.offset, text));
            }
        }
        Ok(match gives {
            Gives::Text => Type::Text,
            Gives::Texts => Type::array(Type::Text),
            Gives::Int => Type::Int,
            Gives::Bool => Type::Bool,
            Gives::Array => any_array(),
        })
    }

    /// A function that applies an expression to each element.
    fn predicate_call(&mut self, function: &str, arguments: &mut [Node]) -> Result<Type, Fault> {
        let [collection, rest @ ..] = arguments else { return Ok(Type::Unknown) };
        let over = self.visit(collection)?;
        if !over.is_array() && !over.is_unknown() {
            let text = format!("builtin {function} takes only array (got {over})");
            return Err(Fault::new(collection.offset, text));
        }
        let element = over.element();
        let [predicate, rest @ ..] = rest else {
            return Ok(if function == "count" { Type::Int } else { element });
        };
        self.predicates.push(Scope {
            element: element.clone(),
            index: matches!(function, "map" | "reduce"),
            accumulator: function == "reduce",
        });
        let gives = self.visit(predicate)?;
        self.predicates.pop();
        if gives == Type::Nil && !matches!(function, "sum" | "reduce") {
            return Err(Fault::new(predicate.offset, "predicate should has one input and one output param"));
        }
        let judges = !matches!(function, "map" | "sum" | "groupBy" | "sortBy" | "reduce");
        if judges && !is_bool(&gives) && !gives.is_unknown() {
            return Err(Fault::new(
                predicate.offset,
                format!("predicate should return boolean (got {gives})"),
            ));
        }
        if let Some(extra) = rest.first_mut() {
            let of = self.visit(extra)?;
            if function == "sortBy" && !is_text(&of) && !of.is_unknown() {
                let text = format!("sortBy order argument must be a string (got {of})");
                return Err(Fault::new(extra.offset, text));
            }
        }
        Ok(match function {
            "all" | "none" | "any" | "one" => Type::Bool,
            "filter" if over.is_unknown() => any_array(),
            "filter" => Type::array(element),
            "map" => Type::array(gives),
            "count" | "findIndex" | "findLastIndex" => Type::Int,
            "sum" if gives.is_unknown() => Type::Any,
            "sum" | "reduce" => gives,
            "groupBy" => any_map(Type::array(element)),
            "sortBy" => over,
            // find, findLast
            _ => element,
        })
    }
}

/// Functions whose arguments decide about the result.
fn computed(function: &str, types: &[Type]) -> Result<Type, String> {
    let count = |wanted: usize| match types.len() == wanted {
        true => Ok(()),
        false => Err(format!("invalid number of arguments (expected {wanted}, got {})", types.len())),
    };
    let first = types.first().cloned().unwrap_or(Type::Nil);
    let invalid = |of: &Type| format!("invalid argument for {function} (type {})", shown(of));
    match function {
        "max" | "min" | "mean" | "median" => aggregate(function, types, first),
        "concat" if types.is_empty() => {
            Err("invalid number of arguments (expected at least 1, got 0)".to_owned())
        }
        "concat" => match types.iter().find(|of| !(of.is_array() || of.is_unknown())) {
            Some(of) => Err(format!("cannot concat {}", shown(of))),
            None => Ok(any_array()),
        },
        "take" => {
            count(2)?;
            if !(first.is_array() || first.is_unknown()) {
                return Err(format!("cannot take from {}", shown(&first)));
            }
            match &types[1] {
                n if is_int(n) || n.is_unknown() => Ok(first),
                n => Err(format!("cannot take {} elements", shown(n))),
            }
        }
        "get" => {
            count(2)?;
            get(&first, &types[1])
        }
        _ => {
            count(1)?;
            let unknown = first.is_unknown();
            match function {
                "len"
                    if unknown
                        || first.is_array()
                        || is_text(&first)
                        || matches!(first, Type::Map { .. }) =>
                {
                    Ok(Type::Int)
                }
                "abs" if unknown || first.is_number() => Ok(if unknown { Type::Any } else { first }),
                "ceil" | "floor" | "round" if unknown || first.is_number() => Ok(Type::Float),
                "int" if unknown || first.is_number() || is_text(&first) => Ok(Type::Int),
                "float" if unknown || first.is_number() || is_text(&first) => Ok(Type::Float),
                "first" | "last" if unknown || first.is_array() => Ok(Type::Any),
                "first" | "last" => Err(format!("cannot get {function} element from {}", shown(&first))),
                "keys" | "values" | "toPairs" if unknown || matches!(first, Type::Map { .. }) => {
                    Ok(any_array())
                }
                "keys" | "values" => Err(format!("cannot get {function} from {}", shown(&first))),
                "toPairs" => Err(format!("cannot transform {} to pairs", shown(&first))),
                "fromPairs" if unknown || first.is_array() => Ok(any_map(Type::Any)),
                "fromPairs" => Err(format!("cannot transform {} from pairs", shown(&first))),
                "reverse" | "uniq" | "flatten" if unknown || first.is_array() => Ok(any_array()),
                "reverse" | "uniq" | "flatten" => Err(format!("cannot {function} {}", shown(&first))),
                _ => Err(invalid(&first)),
            }
        }
    }
}

fn aggregate(function: &str, types: &[Type], first: Type) -> Result<Type, String> {
    if types.is_empty() {
        return Err(format!("not enough arguments to call {function}"));
    }
    for of in types {
        if of.is_unknown() || of.is_array() {
            return Ok(Type::Any);
        }
        if !of.is_number() {
            return Err(format!("invalid argument for {function} (type {})", shown(of)));
        }
    }
    Ok(first)
}

fn get(base: &Type, by: &Type) -> Result<Type, String> {
    match base {
        base if base.is_unknown() => Ok(Type::Unknown),
        Type::Array(element) => match is_int(by) || by.is_unknown() {
            true => Ok((**element).clone()),
            false => Err(format!("non-integer slice index {by}")),
        },
        Type::Map { text_keys, value } => match !text_keys || is_text(by) || by.is_unknown() {
            true => Ok((**value).clone()),
            false => Err(format!("cannot use {by} to get an element from {base}")),
        },
        base => Err(format!("type {} does not support indexing", shown(base))),
    }
}
