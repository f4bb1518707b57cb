//! A formula as tokens.

use crate::error::Fault;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Byte of the text.
    pub(crate) offset: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Name(String),
    Number(String),
    Text(String),
    /// Operators, brackets and the words that are neither names nor values.
    Sign(String),
    End,
}

impl Token {
    pub(crate) fn is(&self, sign: &str) -> bool {
        matches!(&self.kind, Kind::Sign(is) if is == sign)
    }

    /// As errors show it.
    pub(crate) fn shown(&self) -> String {
        match &self.kind {
            Kind::Name(text) => format!("Identifier({text:?})"),
            Kind::Number(text) => format!("Number({text:?})"),
            Kind::Text(text) => format!("String({text:?})"),
            Kind::Sign(text) if "()[]{}".contains(text.as_str()) => format!("Bracket({text:?})"),
            Kind::Sign(text) => format!("Operator({text:?})"),
            Kind::End => "EOF".to_owned(),
        }
    }
}

/// Words that stand for operators.
const WORDS: &[&str] =
    &["not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"];

/// Cuts a formula into tokens; the last one is [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while let Some(next) = lexer.peek() {
        lexer.token(next)?;
    }
    let end = text.len();
    lexer.tokens.push(Token { kind: Kind::End, offset: end.saturating_sub(1) });
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn emit(&mut self, kind: Kind, offset: usize) {
        self.tokens.push(Token { kind, offset });
    }

    fn token(&mut self, next: char) -> Result<(), Fault> {
        let start = self.at;
        let rest = self.rest();
        if next.is_whitespace() {
            self.skip_while(char::is_whitespace);
        } else if let Some(comment) = rest.strip_prefix("//") {
            self.at += 2 + comment.find('\n').unwrap_or(comment.len());
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or_else(|| Fault::new(start, "unclosed comment"))?;
            self.at += 2 + end + 2;
        } else if matches!(next, 'b' | 'B') && matches!(rest[1..].chars().next(), Some('\'' | '"')) {
            return Err(Fault::new(start, "byte strings are not supported by this version of keda-rs"));
        } else if matches!(next, '\'' | '"') {
            let text = self.text_literal(next)?;
            self.emit(Kind::Text(text), start);
        } else if next == '`' {
            let text = self.raw_text()?;
            self.emit(Kind::Text(text), start);
        } else if next.is_ascii_digit() || next == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())
        {
            let number = self.number()?;
            self.emit(Kind::Number(number), start);
        } else if is_word(next) {
            self.skip_while(is_word);
            let word = self.text[start..self.at].to_owned();
            let kind = if WORDS.contains(&word.as_str()) { Kind::Sign(word) } else { Kind::Name(word) };
            self.emit(kind, start);
        } else {
            let sign = sign(rest).ok_or_else(|| {
                Fault::new(start, format!("unrecognized character: U+{:04X} {next:?}", u32::from(next)))
            })?;
            self.at += sign.len();
            self.emit(Kind::Sign(sign.to_owned()), start);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let rest = self.rest();
        let prefixed = |digits: fn(char) -> bool| {
            let length = rest[2..].find(|c: char| !digits(c) && c != '_').unwrap_or(rest.len() - 2);
            2 + length
        };
        let lower = rest.get(..2).map(str::to_ascii_lowercase).unwrap_or_default();
        match lower.as_str() {
            "0x" => self.at += prefixed(|c| c.is_ascii_hexdigit()),
            "0o" => self.at += prefixed(|c| matches!(c, '0'..='7')),
            "0b" => self.at += prefixed(|c| matches!(c, '0' | '1')),
            _ => {
                let digit = |c: char| c.is_ascii_digit() || c == '_';
                self.skip_while(digit);
                // `1..2` is a range, not a number that ends in a dot.
                if self.rest().starts_with('.') && !self.rest().starts_with("..") {
                    self.at += 1;
                    self.skip_while(digit);
                }
                if self.rest().starts_with(['e', 'E']) {
                    self.at += 1;
                    if self.rest().starts_with(['+', '-']) {
                        self.at += 1;
                    }
                    self.skip_while(digit);
                }
            }
        }
        if self.peek().is_some_and(is_word) {
            self.skip_while(is_word);
            let word = &self.text[start..self.at];
            return Err(Fault::new(self.at - 1, format!("bad number syntax: {word:?}")));
        }
        Ok(self.text[start..self.at].replace('_', ""))
    }

    fn raw_text(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let end = rest.find('`').ok_or_else(|| Fault::new(start, "literal not terminated"))?;
            text.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.rest().starts_with('`') {
                return Ok(text);
            }
            // A doubled one stands for itself.
            text.push('`');
            self.at += 1;
        }
    }

    fn text_literal(&mut self, quote: char) -> Result<String, Fault> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let at = self.at;
            let next = self.peek().filter(|next| *next != '\n');
            let next = next.ok_or_else(|| Fault::new(start, "literal not terminated"))?;
            self.at += next.len_utf8();
            if next == quote {
                return Ok(text);
            }
            if next == '\\' {
                text.push(self.escape(quote).ok_or_else(|| Fault::new(at, "invalid char escape"))?);
            } else {
                text.push(next);
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, quote: char) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        let simple = match next {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            next if next == quote => quote,
            'x' => return self.code(2, 16),
            'u' if self.rest().starts_with('{') => {
                let end = self.rest().find('}')?;
                let digits = self.rest().get(1..end).filter(|digits| (1..=6).contains(&digits.len()))?;
                let code = u32::from_str_radix(digits, 16).ok()?;
                self.at += end + 1;
                return char::from_u32(code);
            }
            'u' => return self.code(4, 16),
            'U' => return self.code(8, 16),
            '0'..='7' => {
                self.at -= 1;
                return self.code(3, 8);
            }
            _ => return None,
        };
        Some(simple)
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let text = self.rest().get(..digits)?;
        let code = u32::from_str_radix(text, radix).ok().filter(|_| !text.starts_with('+'))?;
        self.at += digits;
        char::from_u32(code)
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphabetic() || c.is_numeric() && c.is_alphanumeric()
}

/// The longest operator or bracket at the front.
fn sign(text: &str) -> Option<&'static str> {
    const SIGNS: &[&str] = &[
        "??", "?.", "?", "||", "|", "::", ":", "..", ".", "&&", "==", "!=", "!", "=", "**", "*", "<=", "<",
        ">=", ">", "##", "#", "/", ",", ";", "%", "+", "-", "^", "(", ")", "[", "]", "{", "}",
    ];
    SIGNS.iter().find(|sign| text.starts_with(**sign)).copied()
}
