//! How a trigger declares its parameters and how they are read (core.md 7.1 to 7.4).
//!
//! A config struct with `#[derive(TriggerConfig)]` is the only declaration. The derive turns every field into a
//! [`Parameter`], kept as static data for whoever documents or checks manifests, and reads it through [`Lookup`].
//!
//! ```
//! use keda_scaler::{Secret, TriggerConfig};
//!
//! #[derive(Debug, TriggerConfig)]
//! struct Config {
//!     /// Where the queue lives.
//!     #[param(name = "queueURL", from(metadata, env))]
//!     queue_url: String,
//!     /// Messages for one replica.
//!     #[param(from(metadata), default = 5)]
//!     queue_length: i64,
//!     /// Password for the queue.
//!     #[param(from(auth, env), optional)]
//!     password: Option<Secret>,
//! }
//! ```
//!
//! Of a field, the doc comment is the reference text and the type says how its text is converted (see [`Value`]). The
//! attribute `#[param(...)]` holds the rest:
//!
//! | Word | Meaning |
//! |---|---|
//! | `name = "x"` | the key; without it, the field's name in lower camel case |
//! | `alias = "y"` | a further key, tried after the name; repeatable |
//! | `from(metadata, auth, env)` | sources, in the order they are tried |
//! | `optional` | may be absent; implied by `Option<T>` |
//! | `default = v` | used when absent |
//! | `one_of("a", "b")` | every piece must be one of these words; implied by a [`Words`](crate::Words) enum |
//! | `exclusive("a", "b")` | at most one of these words may occur |
//! | `separator = ";"` | between the pieces of a list or map, instead of `,` |
//! | `range`, `range = ".."` | integer lists accept `start-end`, inclusive |
//! | `deprecated = "why"` | presence is an error |
//! | `deprecated_announce = "why"` | presence is accepted and announced |
//! | `whole` | takes all metadata as it is, a [`Whole`](crate::config::Whole); no parameter of its own |
//! | `group`, `group, optional` | the field is itself a config; in an optional group every member is optional |
//!
//! A struct with rules of its own names a method: `#[config(check = Self::check)]`, `fn(&self) -> Result<(), String>`.

mod convert;
mod json_number;
mod lookup;
mod whole;

use serde_json::{Map, Value as Json};

pub use self::convert::{Retired, UrlValues, Value, boolean};
pub use self::lookup::Lookup;
pub(crate) use self::lookup::{FROM_ENV, unread};
pub use self::whole::Whole;

/// Everything a config struct is, made by `#[derive(TriggerConfig)]`.
pub trait TriggerConfig: Sized + Send + Sync + 'static {
    /// The declared parameters, those of nested groups included, in order of declaration.
    fn parameters() -> &'static [Parameter];

    /// Whether every metadata entry is used, whatever its key: some field is declared `whole`.
    fn takes_all() -> bool {
        false
    }

    /// Reads the parameters. What is missing or wrong is noted in the lookup, and the field holds its type's empty value:
    /// a trigger's own rules run over whatever could be read, as upstream's do.
    fn read(lookup: &mut Lookup<'_>) -> Self;

    /// The values by parameter name, for people: unset ones are empty, durations as Go prints them.
    fn values(&self, secrets: Secrets, into: &mut Map<String, Json>);
}

/// Whether [`TriggerConfig::values`] shows secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secrets {
    /// Secrets read `<hidden>`.
    Hidden,
    /// Secrets in plain text, to compare them in tests.
    #[cfg(any(test, feature = "contract"))]
    Shown,
}

/// One declared parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The keys it is read from: the name, then aliases.
    pub names: &'static [&'static str],
    /// The sources, in the order they are tried.
    pub from: &'static [Origin],
    /// Whether it may be absent.
    pub optional: bool,
    /// What is used when it is absent.
    pub default: Option<&'static str>,
    /// The words allowed, empty if any are.
    pub one_of: &'static [&'static str],
    /// Words of which only one may occur.
    pub exclusive: &'static [&'static str],
    /// Between the pieces of a list or map.
    pub separator: &'static str,
    /// Between start and end of a range in an integer list.
    pub range: Option<&'static str>,
    /// Whether it is on its way out.
    pub deprecation: Option<Deprecation>,
    /// What its text is converted to.
    pub shape: Shape,
    /// The reference text: what it is, for people.
    pub doc: &'static str,
}

impl Parameter {
    /// The name that documentation uses.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// The further keys it is read from.
    pub fn aliases(&self) -> &'static [&'static str] {
        self.names.get(1..).unwrap_or_default()
    }

    /// Whether an absent parameter is a mistake.
    pub fn required(&self) -> bool {
        let gone = matches!(self.deprecation, Some(Deprecation::Removed(_)));
        !self.optional && self.default.is_none() && !gone
    }

    /// Whether its value is a credential.
    pub fn secret(&self) -> bool {
        self.shape == Shape::Secret
    }
}

/// A source of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The trigger's metadata.
    Metadata,
    /// The trigger's authentication.
    Auth,
    /// The target container's environment, through a metadata entry `<name>FromEnv`.
    Env,
    /// The target container's environment, through a metadata entry of the name itself (`credentialsFromEnvFile`).
    Variable,
}

impl Origin {
    /// Upstream's word, as errors print it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "triggerMetadata",
            Self::Auth => "authParams",
            Self::Env | Self::Variable => "resolvedEnv",
        }
    }
}

/// What a parameter on its way out still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deprecation {
    /// Its presence is an error with this text.
    Removed(&'static str),
    /// Its presence is announced with this text.
    Announced(&'static str),
}

/// What a parameter's text is converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Any text.
    Text,
    /// Any text, a credential.
    Secret,
    /// A Go boolean word.
    Boolean,
    /// A whole number, written as in JSON.
    Integer,
    /// A number, written as in JSON.
    Number,
    /// A Go duration, or milliseconds.
    Duration,
    /// One of a set of words.
    Word,
    /// Pieces of the shape, separated.
    List(&'static Shape),
    /// `key=value` pieces with values of the shape.
    Map(&'static Shape),
    /// A query string.
    UrlValues,
    /// Not read any more.
    Retired,
}

#[cfg(test)]
mod tests;
