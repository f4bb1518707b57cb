//! Whether a text is a label selector in the syntax of `kubectl --selector`
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).
//!
//! The API server does the selecting; the check is here so that a typing error is reported when the object is applied,
//! at its parameter, and not by every poll.

use std::iter::Peekable;
use std::str::CharIndices;

/// Longest name part of a key, and longest value.
const MAX_NAME: usize = 63;
/// Longest prefix of a key, a DNS name.
const MAX_PREFIX: usize = 253;

/// Checks a selector. An empty one is valid and picks everything.
pub(super) fn check(text: &str) -> Result<(), String> {
    let mut tokens = Tokens { text, chars: text.char_indices().peekable() };
    if tokens.peek() == Token::End {
        return Ok(());
    }
    loop {
        requirement(&mut tokens)?;
        match tokens.next() {
            Token::Symbol(",") => {}
            Token::End => return Ok(()),
            other => return Err(format!("found {other}, expected: ',' or the end")),
        }
    }
}

/// `key`, `!key`, `key = value`, `key in (a, b)`, `key > 3` and their relatives.
fn requirement(tokens: &mut Tokens<'_>) -> Result<(), String> {
    if tokens.peek() == Token::Symbol("!") {
        tokens.next();
        return key(tokens.next());
    }
    key(tokens.next())?;
    match tokens.peek() {
        Token::End | Token::Symbol(",") => Ok(()),
        Token::Word("in" | "notin") => {
            tokens.next();
            values(tokens)
        }
        Token::Symbol("=" | "==" | "!=") => {
            tokens.next();
            match tokens.peek() {
                Token::End | Token::Symbol(",") => Ok(()),
                _ => value(tokens.next()),
            }
        }
        Token::Symbol(operator @ (">" | "<")) => {
            tokens.next();
            match tokens.next() {
                Token::Word(word) if word.parse::<i64>().is_ok() => Ok(()),
                other => Err(format!("found {other}, expected: a whole number after '{operator}'")),
            }
        }
        other => Err(format!("found {other}, expected: in, notin, =, ==, !=, < or >")),
    }
}

/// A list in parentheses. Empty values are values.
fn values(tokens: &mut Tokens<'_>) -> Result<(), String> {
    match tokens.next() {
        Token::Symbol("(") => {}
        other => return Err(format!("found {other}, expected: '('")),
    }
    loop {
        if matches!(tokens.peek(), Token::Word(_)) {
            value(tokens.next())?;
        }
        match tokens.next() {
            Token::Symbol(",") => {}
            Token::Symbol(")") => return Ok(()),
            other => return Err(format!("found {other}, expected: ',' or ')'")),
        }
    }
}

/// A label's key: a name, with or without a DNS name and a slash in front.
fn key(token: Token<'_>) -> Result<(), String> {
    let Token::Word(word) = token else { return Err(format!("found {token}, expected: a label's key")) };
    let (prefix, name) = match word.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, word),
    };
    let dns = |prefix: &str| {
        prefix.len() <= MAX_PREFIX
            && prefix.split('.').all(|label| {
                is_name(label)
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            })
    };
    if is_name(name) && prefix.is_none_or(dns) { Ok(()) } else { Err(format!("{word:?} is no label's key")) }
}

fn value(token: Token<'_>) -> Result<(), String> {
    match token {
        Token::Word(word) if is_name(word) => Ok(()),
        Token::Word(word) => Err(format!("{word:?} is no label's value")),
        other => Err(format!("found {other}, expected: a label's value")),
    }
}

/// At most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= MAX_NAME
        && text.bytes().all(inside)
        && ends.into_iter().all(|byte| byte.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(text) | Self::Symbol(text) => write!(f, "'{text}'"),
            Self::End => f.write_str("the end"),
        }
    }
}

#[derive(Clone)]
struct Tokens<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Token<'a> {
        self.clone().next()
    }

    fn next(&mut self) -> Token<'a> {
        while self.chars.next_if(|(_, char)| char.is_ascii_whitespace()).is_some() {}
        let Some((start, first)) = self.chars.next() else { return Token::End };
        if is_symbol(first) {
            let mut end = start + first.len_utf8();
            // `==` and `!=` are the only symbols of two characters.
            if matches!(first, '=' | '!') && self.chars.next_if(|(_, char)| *char == '=').is_some() {
                end += 1;
            }
            return Token::Symbol(&self.text[start..end]);
        }
        let mut end = start + first.len_utf8();
        while let Some((at, char)) =
            self.chars.next_if(|(_, char)| !is_symbol(*char) && !char.is_ascii_whitespace())
        {
            end = at + char.len_utf8();
        }
        Token::Word(&self.text[start..end])
    }
}

fn is_symbol(char: char) -> bool {
    matches!(char, '=' | '!' | '(' | ')' | ',' | '<' | '>')
}
