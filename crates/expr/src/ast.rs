//! A formula as a tree.

use std::sync::Arc;

/// A part of a formula, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Byte of the text; what an error points at.
    pub(crate) offset: usize,
    /// How many parts stand within one another here, this one included.
    pub(crate) depth: usize,
    /// How many parts there are in all.
    pub(crate) size: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// A variable of the formula, of a `let`, or one that nobody knows yet.
    Name(Name),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `a ? b : c` and `if a { b } else { c }`.
    Choice(Box<Node>, Box<Node>, Box<Node>),
    /// `let name = value; rest`.
    Let {
        name: String,
        slot: usize,
        value: Box<Node>,
        rest: Box<Node>,
    },
    /// `a; b`: the last one counts.
    Sequence(Vec<Node>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// `base[key]` and `base.key`.
    Member {
        base: Box<Node>,
        key: Box<Node>,
        optional: bool,
    },
    /// A run of members of which one is optional: nil there is nil of the whole.
    Chain(Box<Node>),
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    /// A function of the language.
    Call {
        function: String,
        arguments: Vec<Node>,
    },
    /// The expression that a function applies to each element.
    Predicate(Box<Node>),
    Pointer(Pointer),
}

impl Kind {
    /// The parts that stand directly within this one.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match self {
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Name(_)
            | Self::Pointer(_) => Vec::new(),
            Self::Unary(_, operand) => vec![operand],
            Self::Binary(_, left, right) => vec![left, right],
            Self::Choice(condition, then, otherwise) => vec![condition, then, otherwise],
            Self::Let { value, rest, .. } => vec![value, rest],
            Self::Sequence(nodes) | Self::Array(nodes) => nodes.iter().collect(),
            Self::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Member { base, key, .. } => vec![base, key],
            Self::Chain(node) | Self::Predicate(node) => vec![node],
            Self::Slice { base, from, to } => {
                [Some(base), from.as_ref(), to.as_ref()].into_iter().flatten().map(|node| &**node).collect()
            }
            Self::Call { arguments, .. } => arguments.iter().collect(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Name {
    Unresolved(String),
    /// Position among the formula's variables.
    Variable(usize),
    /// Position among what `let` declared.
    Local(usize),
}

/// What a predicate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pointer {
    /// `#`: the element.
    Element,
    /// `#index`: its place.
    Index,
    /// `#acc`: what was reduced so far.
    Accumulator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Minus,
    Plus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    More,
    AtLeast,
    AtMost,
    In,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl Binary {
    /// The operator of a token.
    pub(crate) fn of(token: &str) -> Option<Self> {
        Some(match token {
            "or" | "||" => Self::Or,
            "and" | "&&" => Self::And,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            ">" => Self::More,
            ">=" => Self::AtLeast,
            "<=" => Self::AtMost,
            "in" => Self::In,
            "contains" => Self::Contains,
            "startsWith" => Self::StartsWith,
            "endsWith" => Self::EndsWith,
            ".." => Self::Range,
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Modulo,
            "**" | "^" => Self::Power,
            "??" => Self::Coalesce,
            _ => return None,
        })
    }

    /// As errors write it.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::In => "in",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }

    /// How tightly it binds; the pipe, which is no operator here, binds at 0.
    pub(crate) fn precedence(self) -> u16 {
        match self {
            Self::Or => 10,
            Self::And => 15,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::More
            | Self::AtLeast
            | Self::AtMost
            | Self::In
            | Self::Contains
            | Self::StartsWith
            | Self::EndsWith => 20,
            Self::Range => 25,
            Self::Add | Self::Subtract => 30,
            Self::Multiply | Self::Divide | Self::Modulo => 60,
            Self::Power => 100,
            Self::Coalesce => 500,
        }
    }

    /// Whether several in a row compare neighbours: `1 < a < 5`.
    pub(crate) fn chains(self) -> bool {
        matches!(self, Self::Less | Self::More | Self::AtLeast | Self::AtMost)
    }
}
