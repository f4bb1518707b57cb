//! What is wrong with a formula, and where.

use std::fmt;

/// Why a formula cannot be used, or has no value. Shown as Go's expr shows it: `unknown name topics (1:9)`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({position})")]
pub struct Error {
    /// What is wrong, in the words of Go's expr where it has any.
    pub message: String,
    /// Where.
    pub position: Position,
}

/// A place in a formula: line and column, both from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// An error whose place is still an offset.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    /// Byte of the formula's text.
    pub(crate) offset: usize,
}

impl Fault {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), offset }
    }

    /// With the offset as line and column of this text.
    pub(crate) fn at(self, text: &str) -> Error {
        Error { message: self.message, position: position(text, self.offset) }
    }
}

/// Line and column of a byte.
pub(crate) fn position(text: &str, offset: usize) -> Position {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line, column }
}
