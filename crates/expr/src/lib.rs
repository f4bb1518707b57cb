//! The language of `scalingModifiers.formula`: that of Go's expr (github.com/expr-lang/expr, v1.17), for people one does
//! not trust.
//!
//! A formula is written by whoever may create a ScaledObject, and runs in the process that scales everybody's workloads.
//! So this evaluator has the grammar, the types and the answers of Go's expr, and a bound on everything: the text's
//! length, its depth, the steps of one evaluation, what it may hold in memory ([`limits`]). Why it is our own: see
//! `docs/adr/0012-expressions.md`.
//!
//! ```
//! use keda_expr::{Program, Value};
//!
//! let program = Program::compile("max(queue, 2 * topic) > 10 ? queue + topic : 1", &["queue", "topic"])?;
//! assert_eq!(program.run(&[Value::Float(4.0), Value::Float(7.0)])?, Value::Float(11.0));
//!
//! let error = Program::compile("queue + topics", &["queue", "topic"]).unwrap_err();
//! assert_eq!(error.to_string(), "unknown name topics (1:9)");
//! # Ok::<(), keda_expr::Error>(())
//! ```
//!
//! Not there, and refused by name when the formula is compiled: dates and durations, regular expressions, JSON, base64
//! and byte strings.

mod ast;
mod budget;
mod check;
mod error;
mod eval;
mod lex;
pub mod limits;
mod parse;
mod types;
mod value;

pub use error::{Error, Position};
pub use types::Type;
pub use value::{List, Map, Value};

/// A formula that was parsed and checked. Cheap to run, as often as one likes.
#[derive(Debug)]
pub struct Program {
    text: Box<str>,
    root: ast::Node,
    result: Type,
    slots: usize,
}

impl Program {
    /// Parses and checks a formula over variables of these names, each of which is a float (or nil when it runs).
    ///
    /// # Errors
    /// The first thing that is wrong: grammar, an unknown name, types that do not go together, or a limit.
    pub fn compile(formula: &str, variables: &[&str]) -> Result<Self, Error> {
        let mut root = parse::parse(formula).map_err(|fault| fault.at(formula))?;
        let (result, slots) = check::check(&mut root, variables).map_err(|fault| fault.at(formula))?;
        Ok(Self { text: formula.into(), root, result, slots })
    }

    /// The type of the result, as far as it is known before the formula runs.
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// Evaluates the formula; `variables` in the order of the names it was compiled with.
    ///
    /// # Errors
    /// What cannot be computed (nil in arithmetic, an index out of range), or a limit.
    pub fn run(&self, variables: &[Value]) -> Result<Value, Error> {
        eval::run(&self.root, self.slots, variables).map_err(|fault| fault.at(&self.text))
    }
}
