//! A formula's grammar: precedence climbing over tokens, as Go's expr climbs (`parser/parser.go`).

mod postfix;

use std::sync::Arc;

use crate::ast::{Binary, Kind, Name, Node, Pointer, Unary};
use crate::error::Fault;
use crate::lex::{self, Token, tokens};
use crate::limits;

/// How tightly a unary operator binds: less than `**` for signs, less than a comparison's operands for `not`.
const NOT: u16 = 50;
const SIGN: u16 = 90;
/// Operators that `not` may stand before.
const NEGATABLE: &[&str] = &["contains", "matches", "startsWith", "endsWith", "in"];

/// Parses a formula.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > limits::LENGTH {
        return Err(Fault::new(
            0,
            format!("the formula has {} bytes, at most {} are allowed", text.len(), limits::LENGTH),
        ));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, nesting: 0, predicates: 0 };
    let node = parser.sequence()?;
    match &parser.current().kind {
        lex::Kind::End => Ok(node),
        _ => Err(parser.unexpected()),
    }
}

/// The functions that apply an expression to each element, and whether that may be left out.
fn predicate_of(function: &str) -> Option<Predicate> {
    Some(match function {
        "all" | "none" | "any" | "one" | "filter" | "map" | "find" | "findIndex" | "findLast"
        | "findLastIndex" | "groupBy" => Predicate { optional: false, third: false },
        "count" | "sum" => Predicate { optional: true, third: false },
        "sortBy" | "reduce" => Predicate { optional: false, third: true },
        _ => return None,
    })
}

struct Predicate {
    optional: bool,
    /// Whether an argument may follow.
    third: bool,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Expressions within one another.
    nesting: usize,
    /// Predicates within one another: only there is `#` something.
    predicates: usize,
}

impl Parser {
    fn current(&self) -> &Token {
        // The last token is the end, and nothing moves past it.
        &self.tokens[self.at]
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn is(&self, sign: &str) -> bool {
        self.current().is(sign)
    }

    /// Takes this sign if it comes next.
    fn take(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        if is {
            self.next();
        }
        is
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_name(&mut self) -> Result<(String, usize), Fault> {
        match self.next() {
            Token { kind: lex::Kind::Name(name), offset } => Ok((name, offset)),
            token => Err(Fault::new(token.offset, format!("unexpected token {}", token.shown()))),
        }
    }

    fn unexpected(&self) -> Fault {
        let token = self.current();
        Fault::new(token.offset, format!("unexpected token {}", token.shown()))
    }

    fn node(&self, offset: usize, kind: Kind) -> Result<Node, Fault> {
        let (depth, size) = kind.children().into_iter().fold((0, 0_usize), |(depth, size), child| {
            (depth.max(child.depth), size.saturating_add(child.size))
        });
        let node = Node { kind, offset, depth: depth + 1, size: size + 1 };
        if node.depth > limits::DEPTH {
            return Err(Fault::new(offset, too_deep()));
        }
        if node.size > limits::NODES {
            return Err(Fault::new(offset, "compilation failed: expression exceeds maximum allowed nodes"));
        }
        Ok(node)
    }

    /// `a; b; c`.
    fn sequence(&mut self) -> Result<Node, Fault> {
        let first = self.expression(0)?;
        let offset = first.offset;
        let mut nodes = vec![first];
        while self.take(";") {
            if matches!(self.current().kind, lex::Kind::End) {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        match nodes.len() {
            1 => Ok(nodes.remove(0)),
            _ => self.node(offset, Kind::Sequence(nodes)),
        }
    }

    /// An expression of operators that bind at least this tightly.
    fn expression(&mut self, precedence: u16) -> Result<Node, Fault> {
        self.nesting += 1;
        if self.nesting > limits::DEPTH {
            return Err(Fault::new(self.current().offset, too_deep()));
        }
        let node = self.expression_within(precedence);
        self.nesting -= 1;
        node
    }

    fn expression_within(&mut self, precedence: u16) -> Result<Node, Fault> {
        if precedence == 0 && self.is("let") {
            return self.declaration();
        }
        if precedence == 0 && self.is("if") {
            return self.condition();
        }
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        loop {
            let mut token = self.current().clone();
            let negated = token.is("not");
            if negated {
                let operator = self.tokens.get(self.at + 1).cloned().unwrap_or(token.clone());
                if !NEGATABLE.iter().any(|sign| operator.is(sign)) {
                    return Err(Fault::new(
                        operator.offset,
                        format!("unexpected token {}", operator.shown()),
                    ));
                }
                if precedence > 20 {
                    break;
                }
                self.next();
                token = operator;
            }
            let lex::Kind::Sign(sign) = &token.kind else { break };
            if sign == "|" && precedence == 0 {
                self.next();
                let (function, offset) = self.expect_name()?;
                left = self.call(function, offset, Some(left))?;
                after_coalesce = false;
                continue;
            }
            if sign == "matches" {
                return Err(Fault::new(token.offset, unsupported("matches")));
            }
            let Some(operator) = Binary::of(sign).filter(|operator| operator.precedence() >= precedence)
            else {
                break;
            };
            if after_coalesce && operator != Binary::Coalesce {
                return Err(Fault::new(
                    token.offset,
                    format!(
                        "operator ({sign}) and coalesce expressions (??) cannot be mixed, wrap either by parentheses"
                    ),
                ));
            }
            self.next();
            left = if operator.chains() {
                self.comparison(left, operator, token.offset)?
            } else {
                let right = match operator {
                    Binary::Power => self.expression(operator.precedence())?,
                    _ => self.expression(operator.precedence() + 1)?,
                };
                self.node(token.offset, Kind::Binary(operator, Box::new(left), Box::new(right)))?
            };
            if negated {
                left = self.node(token.offset, Kind::Unary(Unary::Not, Box::new(left)))?;
            }
            after_coalesce = operator == Binary::Coalesce;
        }
        if precedence == 0 {
            left = self.ternary(left)?;
        }
        Ok(left)
    }

    /// `a < b <= c`: each neighbour with the next, all of them.
    fn comparison(&mut self, mut left: Node, mut operator: Binary, mut offset: usize) -> Result<Node, Fault> {
        let mut root: Option<Node> = None;
        loop {
            let right = self.expression(operator.precedence() + 1)?;
            let (lex::Kind::Sign(sign), following) = (&self.current().kind, self.current().offset) else {
                return self.compared(root, left, operator, right, offset);
            };
            let Some(again) = Binary::of(sign).filter(|operator| operator.chains()) else {
                return self.compared(root, left, operator, right, offset);
            };
            self.next();
            root = Some(self.compared(root, left, operator, right.clone(), offset)?);
            (left, operator, offset) = (right, again, following);
        }
    }

    fn compared(
        &self,
        root: Option<Node>,
        left: Node,
        operator: Binary,
        right: Node,
        offset: usize,
    ) -> Result<Node, Fault> {
        let node = self.node(offset, Kind::Binary(operator, Box::new(left), Box::new(right)))?;
        match root {
            None => Ok(node),
            Some(root) => self.node(offset, Kind::Binary(Binary::And, Box::new(root), Box::new(node))),
        }
    }

    fn declaration(&mut self) -> Result<Node, Fault> {
        self.expect("let")?;
        let (name, offset) = self.expect_name()?;
        self.expect("=")?;
        let value = self.expression(0)?;
        self.expect(";")?;
        let rest = self.sequence()?;
        self.node(offset, Kind::Let { name, slot: 0, value: Box::new(value), rest: Box::new(rest) })
    }

    fn condition(&mut self) -> Result<Node, Fault> {
        let offset = self.next().offset;
        let condition = self.expression(0)?;
        let then = self.block()?;
        self.expect("else")?;
        self.nesting += 1;
        let otherwise = match self.is("if") {
            true if self.nesting > limits::DEPTH => return Err(Fault::new(offset, too_deep())),
            true => self.condition()?,
            false => self.block()?,
        };
        self.nesting -= 1;
        self.node(offset, Kind::Choice(Box::new(condition), Box::new(then), Box::new(otherwise)))
    }

    fn block(&mut self) -> Result<Node, Fault> {
        self.expect("{")?;
        let node = self.sequence()?;
        self.expect("}")?;
        Ok(node)
    }

    fn ternary(&mut self, mut node: Node) -> Result<Node, Fault> {
        while self.is("?") {
            let offset = self.next().offset;
            let (then, otherwise) = if self.take(":") {
                (node.clone(), self.expression(0)?)
            } else {
                let then = self.expression(0)?;
                self.expect(":")?;
                (then, self.expression(0)?)
            };
            node = self.node(offset, Kind::Choice(Box::new(node), Box::new(then), Box::new(otherwise)))?;
        }
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let token = self.current().clone();
        let unary = match &token.kind {
            lex::Kind::Sign(sign) => match sign.as_str() {
                "not" | "!" => Some((Unary::Not, NOT)),
                "-" => Some((Unary::Minus, SIGN)),
                "+" => Some((Unary::Plus, SIGN)),
                _ => None,
            },
            _ => None,
        };
        if let Some((operator, precedence)) = unary {
            self.next();
            let operand = self.expression(precedence)?;
            let node = self.node(token.offset, Kind::Unary(operator, Box::new(operand)))?;
            return self.postfix(node);
        }
        if self.take("(") {
            let node = self.sequence()?;
            self.expect(")")?;
            return self.postfix(node);
        }
        if self.predicates > 0 && (token.is("#") || token.is(".")) {
            let mut pointer = Pointer::Element;
            if self.take("#")
                && let lex::Kind::Name(name) = &self.current().kind
            {
                pointer = match name.as_str() {
                    "index" => Pointer::Index,
                    "acc" => Pointer::Accumulator,
                    other => return Err(Fault::new(token.offset, format!("unknown pointer #{other}"))),
                };
                self.next();
            }
            let node = self.node(token.offset, Kind::Pointer(pointer))?;
            return self.postfix(node);
        }
        if self.take("::") {
            let (function, offset) = self.expect_name()?;
            let node = self.call(function, offset, None)?;
            return self.postfix(node);
        }
        self.secondary()
    }

    fn secondary(&mut self) -> Result<Node, Fault> {
        let token = self.next();
        let offset = token.offset;
        let kind = match token.kind {
            lex::Kind::Name(name) => match name.as_str() {
                "true" => return self.node(offset, Kind::Bool(true)),
                "false" => return self.node(offset, Kind::Bool(false)),
                "nil" => return self.node(offset, Kind::Nil),
                _ if self.is("(") => {
                    let node = self.call(name, offset, None)?;
                    return self.postfix(node);
                }
                _ => Kind::Name(Name::Unresolved(name)),
            },
            lex::Kind::Number(number) => return self.node(offset, number_of(&number, offset)?),
            lex::Kind::Text(text) => Kind::Text(Arc::from(text)),
            lex::Kind::Sign(sign) if sign == "[" => Kind::Array(self.arguments("]", None)?),
            lex::Kind::Sign(sign) if sign == "{" => self.map()?,
            _ => {
                return Err(Fault::new(
                    offset,
                    format!("unexpected token {}", Token { kind: token.kind, offset }.shown()),
                ));
            }
        };
        let node = self.node(offset, kind)?;
        self.postfix(node)
    }

    /// What stands between commas until `end`; a last comma is allowed.
    fn arguments(&mut self, end: &str, first: Option<Node>) -> Result<Vec<Node>, Fault> {
        let mut arguments: Vec<Node> = first.into_iter().collect();
        let given = arguments.len();
        while !self.is(end) {
            if arguments.len() > given {
                self.expect(",")?;
                if self.is(end) {
                    break;
                }
            }
            arguments.push(self.expression(0)?);
        }
        self.expect(end)?;
        Ok(arguments)
    }

    fn map(&mut self) -> Result<Kind, Fault> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        while !self.is("}") {
            if !pairs.is_empty() {
                self.expect(",")?;
                if self.is("}") {
                    break;
                }
            }
            let token = self.current().clone();
            let key = match &token.kind {
                lex::Kind::Name(text) | lex::Kind::Number(text) | lex::Kind::Text(text) => {
                    self.next();
                    self.node(token.offset, Kind::Text(Arc::from(text.as_str())))?
                }
                _ if token.is("(") => self.expression(0)?,
                _ => {
                    return Err(Fault::new(
                        token.offset,
                        format!(
                            "a map key must be a quoted string, a number, a identifier, or an expression enclosed in \
                             parentheses (unexpected token {})",
                            token.shown()
                        ),
                    ));
                }
            };
            self.expect(":")?;
            pairs.push((key, self.expression(0)?));
        }
        self.expect("}")?;
        Ok(Kind::Map(pairs))
    }

    /// A function of the language, on what stands in its parentheses, and before a pipe.
    fn call(&mut self, function: String, offset: usize, piped: Option<Node>) -> Result<Node, Fault> {
        self.expect("(")?;
        let Some(Predicate { optional, third }) = predicate_of(&function) else {
            let arguments = self.arguments(")", piped)?;
            return self.node(offset, Kind::Call { function, arguments });
        };
        let mut arguments = Vec::new();
        match piped {
            Some(piped) => arguments.push(piped),
            None if self.is(")") => {
                return Err(Fault::new(self.current().offset, "expected at least 2 arguments"));
            }
            None => {
                arguments.push(self.expression(0)?);
                if !self.is(")") {
                    self.expect(",")?;
                }
            }
        }
        if !self.is(")") {
            arguments.push(self.predicate()?);
        } else if !optional {
            return Err(Fault::new(self.current().offset, "expected at least 2 arguments"));
        }
        if third && self.take(",") && !self.is(")") {
            arguments.push(self.expression(0)?);
        }
        self.take(",");
        self.expect(")")?;
        self.node(offset, Kind::Call { function, arguments })
    }

    fn predicate(&mut self) -> Result<Node, Fault> {
        let offset = self.current().offset;
        self.predicates += 1;
        let body = if self.is("{") {
            self.block()?
        } else {
            let body = self.expression(0)?;
            if self.is(";") {
                return Err(Fault::new(self.current().offset, "wrap predicate with brackets { and }"));
            }
            body
        };
        self.predicates -= 1;
        self.node(offset, Kind::Predicate(Box::new(body)))
    }
}

fn too_deep() -> String {
    format!("the formula nests deeper than {}", limits::DEPTH)
}

/// What Go's expr has and this version does not.
pub(crate) fn unsupported(what: &str) -> String {
    format!("{what} is not supported by this version of keda-rs")
}

fn number_of(text: &str, offset: usize) -> Result<Kind, Fault> {
    let lower = text.to_ascii_lowercase();
    let whole = |digits: &str, radix: u32, kind: &str| {
        i64::from_str_radix(digits, radix).map(Kind::Int).map_err(|_| {
            Fault::new(offset, format!("invalid {kind} literal: {text:?} is not a 64-bit number"))
        })
    };
    if let Some(digits) = lower.strip_prefix("0x") {
        return whole(digits, 16, "hex");
    }
    if lower.contains(['.', 'e']) {
        let number = lower.parse::<f64>().ok().filter(|number| number.is_finite());
        return number
            .map(Kind::Float)
            .ok_or_else(|| Fault::new(offset, format!("invalid float literal: {text:?}")));
    }
    if let Some(digits) = lower.strip_prefix("0b") {
        return whole(digits, 2, "binary");
    }
    if let Some(digits) = lower.strip_prefix("0o") {
        return whole(digits, 8, "octal");
    }
    whole(&lower, 10, "integer")
}
