//! What is known of a value before a formula runs.

use std::fmt;

/// A type, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nothing is known, for instance of `a ? 1 : "x"`.
    Unknown,
    /// Declared to be anything: an element of an array of mixed types. Says as little as [`Type::Unknown`], but anything
    /// can be assigned to it.
    Any,
    /// `nil`.
    Nil,
    /// A truth value.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A text.
    Text,
    /// An array of elements of a type.
    Array(Box<Type>),
    /// A map; its keys are texts, or anything.
    Map {
        /// Whether its keys are texts.
        text_keys: bool,
        /// Of its values.
        value: Box<Type>,
    },
}

impl Type {
    pub(crate) fn array(element: Type) -> Self {
        Self::Array(Box::new(element))
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Any)
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Of an array's elements, or a map's values.
    pub(crate) fn element(&self) -> Type {
        match self {
            Self::Array(element) => (**element).clone(),
            Self::Map { value, .. } => (**value).clone(),
            _ => Self::Unknown,
        }
    }

    /// Whether a value of this type fits where `other` is wanted.
    pub(crate) fn assignable_to(&self, other: &Type) -> bool {
        match (self, other) {
            (Self::Nil, other) => matches!(other, Self::Any | Self::Array(_) | Self::Map { .. }),
            (Self::Unknown, _) | (_, Self::Unknown | Self::Nil) => false,
            (_, Self::Any) => true,
            (Self::Array(_), Self::Array(_)) => true,
            (Self::Map { text_keys: a, .. }, Self::Map { text_keys: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }

    /// Whether the two can be compared with `==`.
    pub(crate) fn comparable_to(&self, other: &Type) -> bool {
        let unknown = self.is_unknown() || other.is_unknown();
        let nil = *self == Self::Nil || *other == Self::Nil;
        let alike = self.is_number() && other.is_number() || self.is_array() && other.is_array();
        unknown || nil || alike || self.assignable_to(other)
    }

    /// Whether an operator may turn out to be applicable: nothing is known of one side, and the other is one of what it
    /// takes, or unknown too.
    pub(crate) fn maybe(&self, other: &Type, takes: fn(&Type) -> bool) -> bool {
        match (self.is_unknown(), other.is_unknown()) {
            (true, true) => true,
            (true, false) => takes(other),
            (false, true) => takes(self),
            (false, false) => false,
        }
    }
}

/// As Go names it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown | Self::Nil => "unknown",
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Text => "string",
            Self::Array(_) => "[]interface {}",
            Self::Map { text_keys: true, .. } => "map[string]interface {}",
            Self::Map { text_keys: false, .. } => "map[interface {}]interface {}",
        })
    }
}
