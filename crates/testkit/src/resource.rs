//! What the server knows about each kind: names, scope, subresources, rules. One [`Resource`] a group, version and
//! plural; the [`Catalog`] holds them all. Built-in ones come from `builtin`, the rest from installed CRDs.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, LazyLock},
};

use serde_json::Value;

use crate::{
    builtin,
    jsonpath::JsonPath,
    schema::{FieldError, Schema},
};

/// Where objects of a kind are kept: all versions of a kind share one table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupResource {
    pub(crate) group: String,
    pub(crate) plural: String,
}

impl GroupResource {
    pub(crate) fn new(group: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// When `metadata.generation` goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The kind has none.
    Absent,
    /// With `spec`.
    Spec,
    /// With anything but `metadata` and `status`: custom resources.
    Content,
}

/// The `scale` subresource: where its three numbers are.
#[derive(Clone, Debug)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: Vec<String>,
    pub(crate) status_replicas: Vec<String>,
    /// Where the selector is: a text for custom resources, `spec.selector` of workloads.
    pub(crate) selector: Option<Vec<String>>,
}

/// One column of `kubectl get`.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Path(JsonPath),
    /// A path to a time, shown as an age.
    Age(JsonPath),
    Computed(fn(&Value) -> Value),
}

/// What happens when objects of a kind come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Namespace,
    CustomResourceDefinition,
    ApiService,
}

/// How bodies of a kind are read and checked.
#[derive(Clone)]
pub(crate) enum Rules {
    Builtin(&'static Builtin),
    Custom(Arc<Schema>),
}

/// The rules of a built-in kind.
pub(crate) struct Builtin {
    /// Checks the types and drops unknown fields, like the API server's own decoder.
    pub(crate) decode: fn(Value) -> Result<Value, serde_json::Error>,
    /// Fills in defaults.
    pub(crate) default: fn(&mut Value),
    /// Faults of an object, or of a change if the old object is given.
    pub(crate) validate: fn(&Value, Option<&Value>) -> Vec<FieldError>,
    /// From what is stored to this version, and back.
    pub(crate) convert: Option<Conversion>,
    /// Status of a new object.
    pub(crate) initial_status: Option<fn() -> Value>,
    /// Whether a PUT without resourceVersion is accepted.
    pub(crate) unconditional_update: bool,
    /// Whether a PUT creates what is missing.
    pub(crate) create_on_update: bool,
    /// Field selectors beyond metadata.name and metadata.namespace.
    pub(crate) selectable: &'static [&'static str],
}

pub(crate) struct Conversion {
    pub(crate) from_stored: fn(&mut Value),
    pub(crate) to_stored: fn(&mut Value),
}

/// One kind in one version.
#[derive(Clone)]
pub(crate) struct Resource {
    pub(crate) stored_in: GroupResource,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) generation: Generation,
    pub(crate) columns: Vec<Column>,
    pub(crate) effect: Effect,
    /// Answered at once, never stored (reviews).
    pub(crate) ephemeral: bool,
    pub(crate) rules: Rules,
    group: String,
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({}/{})", self.api_version(), self.plural())
    }
}

impl Resource {
    /// A namespaced kind with nothing special about it.
    pub(crate) fn new(group: &str, version: &str, kind: &str, plural: &str, rules: Rules) -> Self {
        Self {
            stored_in: GroupResource::new(group, plural),
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            singular: kind.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: true,
            status: false,
            scale: None,
            generation: Generation::Absent,
            columns: Vec::new(),
            effect: Effect::None,
            ephemeral: false,
            rules,
        }
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    pub(crate) fn plural(&self) -> &str {
        &self.stored_in.plural
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.rules, Rules::Custom(_))
    }

    pub(crate) fn schema(&self) -> Option<&Schema> {
        match &self.rules {
            Rules::Custom(schema) => Some(schema),
            Rules::Builtin(_) => None,
        }
    }

    pub(crate) fn builtin(&self) -> Option<&'static Builtin> {
        match self.rules {
            Rules::Builtin(rules) => Some(rules),
            Rules::Custom(_) => None,
        }
    }

    /// The stored object as this version shows it.
    pub(crate) fn present(&self, stored: &Value) -> Value {
        let mut object = stored.clone();
        self.present_in_place(&mut object);
        object
    }

    fn present_in_place(&self, object: &mut Value) {
        if let Some(conversion) = self.builtin().and_then(|rules| rules.convert.as_ref()) {
            (conversion.from_stored)(object);
        }
        if let Some(members) = object.as_object_mut() {
            members.insert("apiVersion".to_owned(), self.api_version().into());
            members.insert("kind".to_owned(), self.kind.clone().into());
        }
    }

    /// The verbs that discovery lists.
    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.ephemeral {
            &["create"]
        } else {
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        }
    }
}

/// Every kind that the server serves.
#[derive(Clone)]
pub(crate) struct Catalog {
    /// In the order in which discovery lists them.
    resources: Vec<Arc<Resource>>,
    by_path: HashMap<(String, String, String), Arc<Resource>>,
}

static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
    let mut catalog = Catalog { resources: Vec::new(), by_path: HashMap::new() };
    builtin::resources().into_iter().for_each(|resource| catalog.add(resource));
    catalog
});

impl Default for Catalog {
    fn default() -> Self {
        BUILTIN.clone()
    }
}

impl Catalog {
    /// Adds a kind, or replaces it.
    pub(crate) fn add(&mut self, resource: Resource) {
        let path = (resource.group.clone(), resource.version.clone(), resource.plural().to_owned());
        let resource = Arc::new(resource);
        if self.by_path.insert(path, Arc::clone(&resource)).is_some() {
            self.resources.retain(|old| {
                (old.group(), &old.version, old.plural())
                    != (resource.group(), &resource.version, resource.plural())
            });
        }
        self.resources.push(resource);
    }

    /// Forgets every version of a kind.
    pub(crate) fn remove(&mut self, kind: &GroupResource) {
        self.resources.retain(|resource| resource.stored_in != *kind);
        self.by_path.retain(|_, resource| resource.stored_in != *kind);
    }

    /// One version of every kind that is stored.
    pub(crate) fn stored(&self) -> Vec<Arc<Resource>> {
        let mut seen = HashSet::new();
        self.resources.iter().filter(|resource| seen.insert(&resource.stored_in)).cloned().collect()
    }

    /// The kind that a path names.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.by_path.get(&(group.to_owned(), version.to_owned(), plural.to_owned())).cloned()
    }

    /// The kind that an object names.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        self.resources
            .iter()
            .find(|resource| resource.kind == kind && resource.api_version() == api_version)
            .cloned()
    }

    pub(crate) fn all(&self) -> &[Arc<Resource>] {
        &self.resources
    }
}
