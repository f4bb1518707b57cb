//! Structural schemas of custom resources: what an API server does with `openAPIV3Schema`.
//!
//! [`Schema::parse`] reads a schema once, when its CRD is installed, and refuses what it would not enforce (an unknown
//! `x-kubernetes-validations` rule above all). The three operations are those of the API server, in its order:
//! [`Schema::prune`] drops fields that the schema does not know, [`Schema::default`] fills in defaults and drops
//! nulls that are not allowed, [`Schema::validate`] reports faults in the API server's words.
//! Source: `k8s.io/apiextensions-apiserver/pkg/apiserver/schema` and `.../validation`.

mod fault;
mod prune;
mod rules;
mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

pub use fault::{FaultKind, FieldError};

/// A schema that this server cannot enforce.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A validation rule without a native counterpart in `schema/rules.rs`.
    #[error("{path}: the validation rule {rule:?} is not known to this server")]
    UnknownRule {
        /// Where in the schema.
        path: String,
        /// The text of the rule.
        rule: String,
    },
    /// A pattern that is no regular expression here.
    #[error("{path}: pattern {pattern:?}: {cause}")]
    Pattern {
        /// Where in the schema.
        path: String,
        /// The text of the pattern.
        pattern: String,
        /// What the parser says.
        cause: String,
    },
    /// A keyword with a value of the wrong shape.
    #[error("{path}: {keyword} has a value of the wrong type")]
    Keyword {
        /// Where in the schema.
        path: String,
        /// The keyword.
        keyword: &'static str,
    },
}

/// One node of a structural schema.
#[derive(Debug, Default)]
pub struct Schema {
    types: Option<Type>,
    format: Option<String>,
    nullable: bool,
    int_or_string: bool,
    preserve_unknown: bool,
    properties: BTreeMap<String, Schema>,
    additional: Additional,
    items: Option<Box<Schema>>,
    required: Vec<String>,
    allowed: Option<Vec<Value>>,
    default: Option<Value>,
    limits: Limits,
    pattern: Option<Regex>,
    list: ListType,
    rules: Vec<Rule>,
    any_of: Vec<Schema>,
    all_of: Vec<Schema>,
    one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// `additionalProperties`.
#[derive(Debug, Default)]
enum Additional {
    /// Not given: unknown members are pruned.
    #[default]
    None,
    /// `true`.
    Any,
    Of(Box<Schema>),
}

#[derive(Debug, Default)]
struct Limits {
    minimum: Option<f64>,
    exclusive_minimum: bool,
    maximum: Option<f64>,
    exclusive_maximum: bool,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    multiple_of: Option<f64>,
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum ListType {
    /// Replaced as a whole.
    #[default]
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects, identified by the values of these members.
    Map(Vec<String>),
}

#[derive(Debug)]
struct Rule {
    message: String,
    holds: rules::Check,
}

impl Schema {
    /// Reads an `openAPIV3Schema`.
    ///
    /// # Errors
    /// When the schema asks for something that would not be enforced.
    pub fn parse(schema: &Value) -> Result<Self, Error> {
        Self::parse_at("openAPIV3Schema", schema)
    }

    fn parse_at(path: &str, schema: &Value) -> Result<Self, Error> {
        let Some(members) = schema.as_object() else {
            return Err(Error::Keyword { path: path.to_owned(), keyword: "schema" });
        };
        let reader = Reader { path, members };
        Ok(Self {
            types: reader.text("type").and_then(Type::parse),
            format: reader.text("format").map(str::to_owned),
            nullable: reader.flag("nullable"),
            int_or_string: reader.flag("x-kubernetes-int-or-string"),
            preserve_unknown: reader.flag("x-kubernetes-preserve-unknown-fields"),
            properties: reader.properties()?,
            additional: reader.additional()?,
            items: reader.one("items")?.map(Box::new),
            required: reader.texts("required"),
            allowed: members.get("enum").and_then(Value::as_array).cloned(),
            default: members.get("default").cloned(),
            limits: reader.limits(),
            pattern: reader.pattern()?,
            list: reader.list_type(),
            rules: reader.rules()?,
            any_of: reader.many("anyOf")?,
            all_of: reader.many("allOf")?,
            one_of: reader.many("oneOf")?,
            not: reader.one("not")?.map(Box::new),
        })
    }

    /// The schema of one member of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(match &self.additional {
            Additional::Of(schema) => Some(schema),
            Additional::None | Additional::Any => None,
        })
    }

    /// The schema of the items of a list.
    pub(crate) fn item(&self) -> Option<&Schema> {
        self.items.as_deref()
    }

    /// How lists of this schema are merged.
    pub(crate) fn list_type(&self) -> &ListType {
        &self.list
    }
}

/// Reads the keywords of one node.
struct Reader<'a> {
    path: &'a str,
    members: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    fn text(&self, keyword: &str) -> Option<&'a str> {
        self.members.get(keyword).and_then(Value::as_str)
    }

    fn texts(&self, keyword: &str) -> Vec<String> {
        let items = self.members.get(keyword).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn flag(&self, keyword: &str) -> bool {
        self.members.get(keyword).and_then(Value::as_bool).unwrap_or(false)
    }

    fn one(&self, keyword: &'static str) -> Result<Option<Schema>, Error> {
        match self.members.get(keyword) {
            Some(schema) => Schema::parse_at(&format!("{}.{keyword}", self.path), schema).map(Some),
            None => Ok(None),
        }
    }

    fn many(&self, keyword: &'static str) -> Result<Vec<Schema>, Error> {
        let items = self.members.get(keyword).and_then(Value::as_array);
        let parse = |schema| Schema::parse_at(&format!("{}.{keyword}", self.path), schema);
        items.into_iter().flatten().map(parse).collect()
    }

    fn properties(&self) -> Result<BTreeMap<String, Schema>, Error> {
        let members = self.members.get("properties").and_then(Value::as_object);
        let parse = |(name, schema): (&String, &Value)| {
            Ok((name.clone(), Schema::parse_at(&format!("{}.{name}", self.path), schema)?))
        };
        members.into_iter().flatten().map(parse).collect()
    }

    fn additional(&self) -> Result<Additional, Error> {
        match self.members.get("additionalProperties") {
            None | Some(Value::Bool(false)) => Ok(Additional::None),
            Some(Value::Bool(true)) => Ok(Additional::Any),
            Some(schema) => {
                let schema = Schema::parse_at(&format!("{}.*", self.path), schema)?;
                Ok(Additional::Of(Box::new(schema)))
            }
        }
    }

    fn limits(&self) -> Limits {
        let number = |keyword: &str| self.members.get(keyword).and_then(Value::as_f64);
        let count = |keyword: &str| self.members.get(keyword).and_then(Value::as_u64);
        Limits {
            minimum: number("minimum"),
            exclusive_minimum: self.flag("exclusiveMinimum"),
            maximum: number("maximum"),
            exclusive_maximum: self.flag("exclusiveMaximum"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            multiple_of: number("multipleOf"),
        }
    }

    fn pattern(&self) -> Result<Option<Regex>, Error> {
        let Some(pattern) = self.text("pattern") else { return Ok(None) };
        Regex::new(pattern).map(Some).map_err(|error| Error::Pattern {
            path: self.path.to_owned(),
            pattern: pattern.to_owned(),
            cause: error.to_string(),
        })
    }

    fn list_type(&self) -> ListType {
        match self.text("x-kubernetes-list-type") {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(self.texts("x-kubernetes-list-map-keys")),
            _ => ListType::Atomic,
        }
    }

    fn rules(&self) -> Result<Vec<Rule>, Error> {
        let items = self.members.get("x-kubernetes-validations").and_then(Value::as_array);
        let parse = |item: &Value| {
            let text = item.get("rule").and_then(Value::as_str).unwrap_or_default();
            let holds = rules::find(text)
                .ok_or_else(|| Error::UnknownRule { path: self.path.to_owned(), rule: text.to_owned() })?;
            let message = item.get("message").and_then(Value::as_str);
            let message = message.map_or_else(|| format!("failed rule: {text}"), str::to_owned);
            Ok(Rule { message, holds })
        };
        items.into_iter().flatten().map(parse).collect()
    }
}
