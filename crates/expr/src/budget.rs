//! What an evaluation has left.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits;
use crate::value::{Key, List, Map, Value};

/// Why something could not be computed; the place is added where it is known.
pub(crate) type Trouble = String;

/// Steps and memory of one evaluation.
pub(crate) struct Budget {
    steps: usize,
    memory: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { steps: limits::STEPS, memory: limits::MEMORY }
    }

    /// Does `count` steps.
    pub(crate) fn step(&mut self, count: usize) -> Result<(), Trouble> {
        match self.steps.checked_sub(count) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(format!("the formula takes more than {} steps", limits::STEPS)),
        }
    }

    /// Makes room for `count` values, before they are made.
    pub(crate) fn hold(&mut self, count: usize) -> Result<(), Trouble> {
        match self.memory.checked_sub(count) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => {
                Err(format!("memory budget exceeded: the formula holds more than {} values", limits::MEMORY))
            }
        }
    }

    /// Makes room for a text of `length` bytes, before it is made.
    pub(crate) fn hold_text(&mut self, length: usize) -> Result<(), Trouble> {
        self.hold(length / 16 + 1)
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) -> Result<Value, Trouble> {
        self.hold_text(text.len())?;
        Ok(Value::text(text))
    }

    /// An array.
    pub(crate) fn array(&mut self, items: Vec<Value>) -> Result<Value, Trouble> {
        self.hold(items.len())?;
        let depth = deeper(items.iter())?;
        Ok(Value::Array(List { items: Arc::new(items), depth }))
    }

    /// A map.
    pub(crate) fn map(&mut self, entries: BTreeMap<Key, Value>) -> Result<Value, Trouble> {
        self.hold(entries.len())?;
        let depth = deeper(entries.values())?;
        Ok(Value::Map(Map { entries: Arc::new(entries), depth }))
    }
}

/// How deep something nests that holds these.
fn deeper<'a>(items: impl Iterator<Item = &'a Value>) -> Result<usize, Trouble> {
    let depth = items.map(Value::depth).max().unwrap_or(0) + 1;
    match depth <= limits::NESTING {
        true => Ok(depth),
        false => Err(format!("arrays and maps nest deeper than {}", limits::NESTING)),
    }
}
