//! What stands behind a value: members, elements and slices.

use std::sync::Arc;

use super::{Parser, unsupported};
use crate::ast::{Kind, Node};
use crate::error::Fault;
use crate::lex;

impl Parser {
    /// `.name`, `?.name`, `[index]`, `[from:to]`, as many as there are.
    pub(super) fn postfix(&mut self, mut node: Node) -> Result<Node, Fault> {
        loop {
            let token = self.current().clone();
            let mut optional = token.is("?.");
            if token.is(".") || optional {
                self.next();
                if optional && self.is("[") {
                    self.next();
                    node = self.index(node, token.offset, true)?;
                    continue;
                }
                let property = self.next();
                let name = match property.kind {
                    lex::Kind::Name(name) => name,
                    // Words that are operators elsewhere.
                    lex::Kind::Sign(word) if word.starts_with(char::is_alphabetic) => word,
                    _ => return Err(Fault::new(property.offset, "expected name")),
                };
                if self.is("(") {
                    return Err(Fault::new(property.offset, unsupported(&format!("method {name}"))));
                }
                let key = self.node(property.offset, Kind::Text(Arc::from(name)))?;
                let (base, chain) = match node.kind {
                    Kind::Chain(base) => (base, true),
                    _ => (Box::new(node), false),
                };
                node = self.node(property.offset, Kind::Member { base, key: Box::new(key), optional })?;
                optional |= chain;
                if optional {
                    node = self.node(property.offset, Kind::Chain(Box::new(node)))?;
                }
            } else if self.take("[") {
                node = self.index(node, token.offset, false)?;
            } else {
                return Ok(node);
            }
        }
    }

    /// What stands behind `[`.
    fn index(&mut self, base: Node, offset: usize, optional: bool) -> Result<Node, Fault> {
        let base = Box::new(base);
        let from = if self.is(":") { None } else { Some(Box::new(self.expression(0)?)) };
        if self.take(":") {
            let to = if self.is("]") { None } else { Some(Box::new(self.expression(0)?)) };
            self.expect("]")?;
            return self.node(offset, Kind::Slice { base, from, to });
        }
        self.expect("]")?;
        let key = from.ok_or_else(|| self.unexpected())?;
        let node = self.node(offset, Kind::Member { base, key, optional })?;
        if optional { self.node(offset, Kind::Chain(Box::new(node))) } else { Ok(node) }
    }
}
