//! Finding parameters in their sources, and collecting what is wrong with them.

use std::collections::BTreeSet;

use super::{Deprecation, Origin, Parameter, TriggerConfig, Value};
use crate::registry::{Notice, NoticeKind};
use crate::{Parameters, Secret};

/// One pass over the raw parameters of a trigger. Every problem is noted, none ends the pass.
#[derive(Debug)]
pub struct Lookup<'a> {
    pub(super) given: &'a Parameters,
    trigger_type: &'a str,
    optional_group: bool,
    errors: Vec<String>,
    notices: Vec<Notice>,
    pub(super) secrets: BTreeSet<Secret>,
}

/// What a pass left behind.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<String>,
    pub(crate) notices: Vec<Notice>,
    /// Every credential that was read, to keep it out of errors.
    pub(crate) secrets: Vec<Secret>,
}

/// A value as found, with the source it came from (`None`: the default).
struct Found<'t> {
    text: &'t str,
    origin: Option<Origin>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(given: &'a Parameters, trigger_type: &'a str) -> Self {
        Self {
            given,
            trigger_type,
            optional_group: false,
            errors: Vec::new(),
            notices: Vec::new(),
            secrets: BTreeSet::new(),
        }
    }

    /// Reads one parameter, or its type's empty value.
    pub fn parameter<T: Value>(&mut self, declared: &Parameter) -> T {
        match self.read(declared) {
            Ok(Some(value)) => value,
            Ok(None) => T::empty(),
            Err(problem) => {
                self.errors.push(problem);
                T::empty()
            }
        }
    }

    /// Reads a nested config. In an optional group every member is optional, however deep.
    pub fn group<T: TriggerConfig>(&mut self, optional: bool) -> T {
        let outer = self.optional_group;
        self.optional_group |= optional;
        let group = T::read(self);
        self.optional_group = outer;
        group
    }

    /// Notes the verdict of a config's own rules.
    pub fn check(&mut self, verdict: Result<(), String>) {
        self.errors.extend(verdict.err());
    }

    pub(crate) fn finish(self) -> Findings {
        Findings { errors: self.errors, notices: self.notices, secrets: self.secrets.into_iter().collect() }
    }

    fn read<T: Value>(&mut self, declared: &Parameter) -> Result<Option<T>, String> {
        let names = declared.names.join(",");
        let mut found = self.find(declared);
        match (&found, declared.deprecation) {
            (Some(_), Some(Deprecation::Removed(why))) => return Err(self.info(why)),
            (Some(_), Some(Deprecation::Announced(why))) => {
                let text = self.info(why);
                self.notices.push(Notice { warning: false, kind: NoticeKind::Deprecated, text });
            }
            _ => {}
        }
        if found.is_none() {
            found = declared.default.map(|text| Found { text, origin: None });
        }
        let Some(Found { text, origin }) = found else {
            if self.optional_group || !declared.required() {
                return Ok(None);
            }
            return Err(format!("missing required parameter {names:?} in {}", bracketed(origins(declared))));
        };
        // What comes from an authentication or a container's environment may be a credential, wherever it was put.
        let hidden =
            declared.secret() || matches!(origin, Some(Origin::Auth | Origin::Env | Origin::Variable));
        if declared.secret() {
            self.secrets.insert(Secret::from(text));
        }
        let shown =
            if hidden { format!("{}{}", crate::secret::HIDDEN, from(origin)) } else { format!("{text:?}") };
        if !declared.one_of.is_empty()
            && !pieces(text, declared).all(|piece| declared.one_of.contains(&piece))
        {
            let allowed = bracketed(declared.one_of.iter().copied());
            return Err(format!("parameter {names:?} value {shown} must be one of {allowed}"));
        }
        let claimed = pieces(text, declared).filter(|piece| declared.exclusive.contains(piece)).count();
        if claimed > 1 {
            let allowed = bracketed(declared.exclusive.iter().copied());
            return Err(format!("parameter {names:?} value {shown} must contain only one of {allowed}"));
        }
        match T::parse(text, declared) {
            Ok(value) => Ok(Some(value)),
            Err(_) if hidden => {
                Err(format!("unable to set param {names:?} value {shown}: it cannot be read as {}", T::NOUN))
            }
            Err(why) => Err(format!("unable to set param {names:?} value {shown}: {why}")),
        }
    }

    /// The first value that is not blank, trimmed.
    fn find(&self, declared: &Parameter) -> Option<Found<'a>> {
        let given = self.given;
        for &origin in declared.from {
            for &name in declared.names {
                let text = match origin {
                    Origin::Metadata => given.metadata.get(name).map(String::as_str),
                    Origin::Auth => given.auth.get(name).map(Secret::expose),
                    Origin::Env => given
                        .metadata
                        .get(&format!("{name}{FROM_ENV}"))
                        .and_then(|variable| given.env.get(variable))
                        .map(String::as_str),
                    Origin::Variable => given
                        .metadata
                        .get(name)
                        .and_then(|variable| given.env.get(variable.trim()))
                        .map(String::as_str),
                };
                if let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) {
                    return Some(Found { text, origin: Some(origin) });
                }
            }
        }
        None
    }

    fn info(&self, why: &str) -> String {
        format!("scaler {} info: {why}", self.trigger_type)
    }
}

/// Ending of a metadata key that names an environment variable instead of holding the value.
pub(crate) const FROM_ENV: &str = "FromEnv";

/// Metadata entries that nothing reads, in upstream's words, and those that stand in the wrong place.
pub(crate) fn unread(
    given: &Parameters,
    declared: &[Parameter],
    takes_all: bool,
    trigger_type: &str,
    trigger_name: Option<&str>,
) -> Vec<Notice> {
    let named =
        trigger_name.filter(|name| !name.is_empty()).map(|name| format!(" ({name})")).unwrap_or_default();
    let mut notices = Vec::new();
    for key in given.metadata.keys() {
        let (name, origin) = match key.strip_suffix(FROM_ENV) {
            Some(name) => (name, Origin::Env),
            None => (key.as_str(), Origin::Metadata),
        };
        let text = match declared.iter().find(|parameter| parameter.names.contains(&name)) {
            Some(parameter) if parameter.from.contains(&origin) => continue,
            Some(parameter) if origin == Origin::Metadata && parameter.from.contains(&Origin::Variable) => {
                continue;
            }
            Some(parameter) => format!(
                "Unused input property {key} in scaler {trigger_type}{named}: {name} is read from {} only",
                bracketed(origins(parameter))
            ),
            None if takes_all => continue,
            None => format!("Unmatched input property {key} in scaler {trigger_type}{named}"),
        };
        notices.push(Notice { warning: true, kind: NoticeKind::Unread, text });
    }
    notices
}

fn pieces<'t>(text: &'t str, declared: &'t Parameter) -> impl Iterator<Item = &'t str> {
    text.split(declared.separator).map(str::trim)
}

fn origins(declared: &Parameter) -> impl Iterator<Item = &'static str> {
    declared.from.iter().map(|origin| origin.as_str())
}

fn from(origin: Option<Origin>) -> String {
    origin.map(|origin| format!(" from {}", origin.as_str())).unwrap_or_default()
}

/// Words as Go prints a list of them.
fn bracketed<'t>(words: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", words.collect::<Vec<_>>().join(" "))
}
