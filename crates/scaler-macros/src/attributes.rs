//! Reading `#[param(...)]`, `#[config(...)]` and doc comments.

use syn::meta::ParseNestedMeta;
use syn::parse::Parse as _;
use syn::{Attribute, Error, Expr, ExprLit, Field, Ident, Lit, LitStr, Meta, Result, Token, parenthesized};

/// What `#[param(...)]` and the doc comment of a field say.
pub(crate) struct Param {
    pub(crate) names: Vec<String>,
    /// Variants of `keda_scaler::config::Origin`.
    pub(crate) from: Vec<Ident>,
    pub(crate) optional: bool,
    pub(crate) default: Option<String>,
    pub(crate) one_of: Vec<String>,
    pub(crate) exclusive: Vec<String>,
    pub(crate) separator: String,
    pub(crate) range: Option<String>,
    pub(crate) deprecated: Option<String>,
    pub(crate) deprecated_announce: Option<String>,
    pub(crate) group: bool,
    /// Takes all metadata, whatever its keys.
    pub(crate) whole: bool,
    pub(crate) doc: String,
}

impl Param {
    /// Reads a field and refuses combinations that mean nothing.
    pub(crate) fn of(field: &Field, ident: &Ident) -> Result<Self> {
        let mut param = Self {
            names: Vec::new(),
            from: Vec::new(),
            optional: false,
            default: None,
            one_of: Vec::new(),
            exclusive: Vec::new(),
            separator: ",".to_owned(),
            range: None,
            deprecated: None,
            deprecated_announce: None,
            group: false,
            whole: false,
            doc: doc(&field.attrs),
        };
        let mut declared = false;
        let mut words = Vec::new();
        let mut aliases = Vec::new();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("param")) {
            declared = true;
            attribute.parse_nested_meta(|meta| {
                words.push(meta.path.get_ident().map(ToString::to_string).unwrap_or_default());
                param.word(&meta, &mut aliases)
            })?;
        }
        if !declared {
            return Err(Error::new(ident.span(), "say where it is read from: #[param(from(metadata))]"));
        }
        if param.whole {
            return match words.as_slice() {
                [_] => Ok(param),
                _ => Err(Error::new(ident.span(), "`whole` stands alone: it takes the metadata as it is")),
            };
        }
        if param.group {
            let stray = words.iter().find(|word| !matches!(word.as_str(), "group" | "optional"));
            if let Some(stray) = stray {
                let text =
                    format!("`{stray}` has no meaning for a group: its members are declared in its own type");
                return Err(Error::new(ident.span(), text));
            }
            return Ok(param);
        }
        if param.doc.is_empty() {
            return Err(Error::new(
                ident.span(),
                "a parameter needs a doc comment: it is the reference text",
            ));
        }
        if param.from.is_empty() && param.default.is_none() {
            let text = "a parameter needs a source: `from(metadata)`, `from(auth)`, `from(env)` or several";
            return Err(Error::new(ident.span(), text));
        }
        if param.deprecated.is_some() && param.deprecated_announce.is_some() {
            return Err(Error::new(
                ident.span(),
                "either `deprecated` (an error) or `deprecated_announce`, not both",
            ));
        }
        if param.names.is_empty() {
            param.names.push(lower_camel(&ident.to_string()));
        }
        param.names.append(&mut aliases);
        Ok(param)
    }

    fn word(&mut self, meta: &ParseNestedMeta<'_>, aliases: &mut Vec<String>) -> Result<()> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match word.as_str() {
            "name" => {
                if !self.names.is_empty() {
                    return Err(meta.error("one name; further keys are `alias = \"...\"`"));
                }
                self.names.push(text(meta)?);
            }
            "alias" => aliases.push(text(meta)?),
            "from" => self.from = origins(meta)?,
            "optional" => self.optional = true,
            "default" => self.default = Some(literal(meta)?),
            "one_of" => self.one_of = texts(meta)?,
            "exclusive" => self.exclusive = texts(meta)?,
            "separator" => self.separator = text(meta)?,
            "range" => {
                let given = meta.input.peek(Token![=]);
                self.range = Some(if given { text(meta)? } else { "-".to_owned() });
            }
            "deprecated" => self.deprecated = Some(text(meta)?),
            "deprecated_announce" => self.deprecated_announce = Some(text(meta)?),
            "group" => self.group = true,
            "whole" => self.whole = true,
            _ => {
                return Err(meta.error(
                    "unknown word; known are name, alias, from, optional, default, one_of, exclusive, separator, range, \
                     deprecated, deprecated_announce, group, whole",
                ));
            }
        }
        Ok(())
    }
}

/// The method of `#[config(check = Self::check)]`.
pub(crate) fn check(attributes: &[Attribute]) -> Result<Option<Expr>> {
    let mut check = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("config")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("check") {
                return Err(meta.error("unknown word; known is check"));
            }
            check = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(check)
}

/// The doc comment as one text: lines of a paragraph joined, paragraphs apart.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value else { continue };
        if !pair.path.is_ident("doc") {
            continue;
        }
        match line.value().trim() {
            "" => text.push_str("\n\n"),
            line => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let text: LitStr = meta.value()?.parse()?;
    Ok(text.value())
}

/// Any literal, as a manifest would write it.
fn literal(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let literal: Lit = meta.value()?.parse()?;
    match &literal {
        Lit::Str(text) => Ok(text.value()),
        Lit::Int(number) => Ok(number.base10_digits().to_owned()),
        Lit::Float(number) => Ok(number.base10_digits().to_owned()),
        Lit::Bool(word) => Ok(word.value.to_string()),
        other => Err(Error::new(other.span(), "a default is a text, a number or a boolean")),
    }
}

fn texts(meta: &ParseNestedMeta<'_>) -> Result<Vec<String>> {
    let inside;
    parenthesized!(inside in meta.input);
    let texts = inside.parse_terminated(|input| input.parse::<LitStr>(), Token![,])?;
    Ok(texts.iter().map(LitStr::value).collect())
}

fn origins(meta: &ParseNestedMeta<'_>) -> Result<Vec<Ident>> {
    let inside;
    parenthesized!(inside in meta.input);
    let words = inside.parse_terminated(Ident::parse, Token![,])?;
    words
        .iter()
        .map(|word| {
            let variant = match word.to_string().as_str() {
                "metadata" => "Metadata",
                "auth" => "Auth",
                "env" => "Env",
                "variable" => "Variable",
                _ => return Err(Error::new(word.span(), "a source is metadata, auth, env or variable")),
            };
            Ok(Ident::new(variant, word.span()))
        })
        .collect()
}

/// `server_address` and `ServerAddress` become `serverAddress`.
pub(crate) fn lower_camel(ident: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for c in ident.trim_start_matches("r#").chars() {
        if c == '_' {
            upper = !camel.is_empty();
        } else if camel.is_empty() {
            camel.extend(c.to_lowercase());
        } else if upper {
            camel.extend(c.to_uppercase());
            upper = false;
        } else {
            camel.push(c);
        }
    }
    camel
}
