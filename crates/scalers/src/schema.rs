//! The schema of all triggers, in the shape that upstream publishes (`schema/generated/scalers-schema.yaml`).
//!
//! Two keys are ours: `description`, and `aliases`, where upstream's list has the first name only. Every parameter's type is
//! `string`, as upstream has it: metadata holds nothing else.

use keda_scaler::Factory;
use keda_scaler::config::{self, Deprecation, Origin, Shape};
use serde::Serialize;

/// What upstream separates lists by, and leaves unsaid.
const COMMA: &str = ",";

/// The whole schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Version of the product.
    pub keda_version: String,
    /// Version of this shape; upstream's is 1.
    pub schema_version: u32,
    /// The triggers, sorted by type.
    pub scalers: Vec<Scaler>,
}

/// One trigger type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scaler {
    /// The `type` that manifests name.
    #[serde(rename = "type")]
    pub trigger_type: &'static str,
    /// Its parameters, in order of declaration.
    pub parameters: Vec<Parameter>,
}

/// One parameter. False, empty and absent members are left out, as upstream does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// The name that documentation uses.
    pub name: &'static str,
    /// Further keys that are read.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub aliases: &'static [&'static str],
    /// What it is.
    pub description: &'static str,
    /// Always `string`.
    pub r#type: &'static str,
    /// Whether it may be absent without having a default.
    #[serde(skip_serializing_if = "is_false")]
    pub optional: bool,
    /// What is used when it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<&'static str>,
    /// The words allowed.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub allowed_value: &'static [&'static str],
    /// Why its presence is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<&'static str>,
    /// Why its presence is announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated_announce: Option<&'static str>,
    /// Between the pieces of a list or map, unless that is a comma.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<&'static str>,
    /// Words of which only one may occur.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub exclusive_set: &'static [&'static str],
    /// Between start and end of a range of whole numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_separator: Option<&'static str>,
    /// Whether the trigger's metadata may hold it.
    #[serde(skip_serializing_if = "is_false")]
    pub metadata_variable_readable: bool,
    /// Whether `<name>FromEnv` may name a variable that holds it.
    #[serde(skip_serializing_if = "is_false")]
    pub env_variable_readable: bool,
    /// Whether the trigger's authentication may hold it.
    #[serde(skip_serializing_if = "is_false")]
    pub trigger_authentication_variable_readable: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Document {
    /// The schema of these triggers.
    pub fn of(factories: &[Factory]) -> Self {
        Self {
            keda_version: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version: 1,
            scalers: factories.iter().map(Scaler::of).collect(),
        }
    }

    /// The schema as YAML.
    pub fn yaml(&self) -> String {
        #[expect(clippy::expect_used, reason = "plain data with string keys")]
        serde_saphyr::to_string(self).expect("the schema is YAML")
    }

    /// The schema as JSON, indented, with a final newline.
    pub fn json(&self) -> String {
        crate::editor::pretty(self)
    }
}

impl Scaler {
    /// The entry of one trigger.
    pub fn of(factory: &Factory) -> Self {
        Self {
            trigger_type: factory.trigger_type(),
            parameters: factory.parameters().iter().map(Parameter::of).collect(),
        }
    }
}

impl Parameter {
    fn of(declared: &config::Parameter) -> Self {
        let reads = |origin| declared.from.contains(&origin);
        let (deprecated, deprecated_announce) = match declared.deprecation {
            Some(Deprecation::Removed(why)) => (Some(why), None),
            Some(Deprecation::Announced(why)) => (None, Some(why)),
            None => (None, None),
        };
        let pieces = matches!(declared.shape, Shape::List(_) | Shape::Map(_));
        Self {
            name: declared.name(),
            aliases: declared.aliases(),
            description: declared.doc,
            r#type: "string",
            optional: !declared.required() && declared.default.is_none(),
            default: declared.default,
            allowed_value: declared.one_of,
            deprecated,
            deprecated_announce,
            separator: Some(declared.separator).filter(|text| pieces && *text != COMMA),
            exclusive_set: declared.exclusive,
            range_separator: declared.range,
            metadata_variable_readable: reads(Origin::Metadata) || reads(Origin::Variable),
            env_variable_readable: reads(Origin::Env),
            trigger_authentication_variable_readable: reads(Origin::Auth),
        }
    }
}
