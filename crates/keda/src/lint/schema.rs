//! What the API server would say: the schema of the object's CRD.

use std::sync::OnceLock;

use keda_scaler::nearest;
use keda_testkit::schema::{FaultKind, FieldError, Schema};
use serde_json::Value;

use super::{document::Object, report::Finding};

/// The kinds of ours, each with its schema.
pub(super) struct Kinds {
    kinds: Vec<Kind>,
}

/// One kind in one version.
pub(super) struct Kind {
    group: String,
    version: String,
    kind: String,
    /// Whether its objects are in a namespace.
    pub(super) namespaced: bool,
    json: Value,
    schema: Schema,
}

/// Made once.
static KNOWN: OnceLock<Kinds> = OnceLock::new();

impl Kinds {
    /// Those of this product.
    pub(super) fn known() -> anyhow::Result<&'static Self> {
        match KNOWN.get() {
            Some(kinds) => Ok(kinds),
            None => {
                let kinds = Self::new()?;
                Ok(KNOWN.get_or_init(|| kinds))
            }
        }
    }

    /// From the CRDs of this product.
    fn new() -> anyhow::Result<Self> {
        let mut kinds = Vec::new();
        for definition in keda_api::crds::all() {
            let spec = definition.spec;
            for version in spec.versions {
                let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
                let json = serde_json::to_value(schema)?;
                kinds.push(Kind {
                    group: spec.group.clone(),
                    version: version.name,
                    kind: spec.names.kind.clone(),
                    namespaced: spec.scope == "Namespaced",
                    schema: Schema::parse(&json)?,
                    json,
                });
            }
        }
        Ok(Self { kinds })
    }

    /// Whether the object is of a group of ours.
    pub(super) fn concerns(&self, object: &Object) -> bool {
        self.kinds.iter().any(|kind| kind.group == object.group())
    }

    /// The kind of an object of ours.
    ///
    /// # Errors
    /// There is no such kind or version, in kubectl's words.
    pub(super) fn of(&self, object: &Object) -> Result<&Kind, Finding> {
        let api_version = object.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let name = object.kind();
        let found = self.kinds.iter().find(|kind| kind.kind == name && kind.api_version() == api_version);
        found.ok_or_else(|| {
            let mut text = format!("no matches for kind {name:?} in version {api_version:?}");
            let mut line = object.line_of("kind");
            let others = || self.kinds.iter().filter(|kind| kind.group == object.group());
            if let Some(same) = others().find(|kind| kind.kind == name) {
                line = object.line_of("apiVersion");
                text.push_str(&format!(", it is in {:?}", same.api_version()));
            } else if let Some(meant) = nearest(name, others().map(|kind| kind.kind.as_str())) {
                text.push_str(&format!(", did you mean {meant:?}?"));
            }
            Finding::error(line, text)
        })
    }
}

impl Kind {
    fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// Drops and fills in what the API server would, and says what it would refuse.
    pub(super) fn check(&self, object: &mut Object) -> Vec<Finding> {
        let mut value = std::mem::take(&mut object.value);
        let dropped = self.schema.prune(&mut value);
        self.schema.default(&mut value);
        let faults = self.schema.validate(&value);
        object.value = value;
        let mut findings: Vec<Finding> = dropped.iter().map(|path| self.unknown(object, path)).collect();
        // Not about a field: says that some rules come later.
        let faults = faults.iter().filter(|fault| fault.path != "<nil>");
        findings.extend(faults.map(|fault| Finding::error(object.line_of(&fault.path), text(fault))));
        findings
    }

    /// A field that the schema does not know.
    fn unknown(&self, object: &Object, path: &str) -> Finding {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut text = format!("unknown field {path:?}, the API server drops it");
        if let Some(meant) = nearest(name, self.members(parent).iter().map(String::as_str)) {
            text.push_str(&format!(", did you mean {meant:?}?"));
        }
        Finding::warning(object.line_of(path), text)
    }

    /// The names that the schema knows at a path.
    fn members(&self, path: &str) -> Vec<String> {
        let mut node = &self.json;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let (name, indices) =
                step.split_once('[').map_or((step, 0), |(name, rest)| (name, rest.matches(']').count()));
            node = match node["properties"].get(name) {
                Some(member) => member,
                None => &node["additionalProperties"],
            };
            for _ in 0..indices {
                node = &node["items"];
            }
        }
        node["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }
}

/// The API server's words, and what to do where they do not say it.
fn text(fault: &FieldError) -> String {
    let quoted = fault.kind == FaultKind::TypeInvalid && fault.path.contains(".metadata.");
    let hint = if quoted { "; put it in quotes, every value of a trigger's metadata is a text" } else { "" };
    format!("{fault}{hint}")
}
