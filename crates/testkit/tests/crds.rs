//! Our CRDs against upstream's: what upstream's schema accepts ours accepts, and makes the same of it; what upstream's
//! refuses ours refuses. Held on many objects, made systematically from both schemas: a minimal one, one with
//! everything, and each of them with a single change in a single place. Differences that are meant stand in
//! [`DIFFERENCES`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

use std::{collections::BTreeMap, path::PathBuf};

use keda_testkit::schema::Schema;
use serde_json::{Map, Value, json};

/// Where our schemas are meant to differ: kind, path, and why.
const DIFFERENCES: [(&str, &str, &str); 1] = [(
    "ScaledJob",
    "spec.jobTargetRef.template",
    "the pod template keeps whatever it is given, so that the CRD stays small enough for client-side apply",
)];

/// The other difference that is meant: a ScaledJob without `spec` can never work, and upstream accepts it.
fn has_no_spec(kind: &str, object: &Value) -> bool {
    kind == "ScaledJob" && object["spec"].is_null()
}

/// One schema, as JSON (to make objects from) and compiled (to judge them).
struct Kind {
    json: Value,
    schema: Schema,
}

impl Kind {
    fn of(crd: &Value) -> Self {
        let json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        let schema = Schema::parse(&json).expect("the schema is understood");
        Self { json, schema }
    }

    /// What the API server makes of an object: the stored one, or its faults.
    fn admit(&self, object: &Value) -> Result<Value, Vec<String>> {
        let mut object = object.clone();
        self.schema.prune(&mut object);
        self.schema.default(&mut object);
        let faults = self.schema.validate(&object);
        if faults.is_empty() { Ok(object) } else { Err(faults.iter().map(ToString::to_string).collect()) }
    }
}

/// A place in an object: names of members, indices of items.
type Path = Vec<Value>;

fn show(path: &[Value]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Value::String(name) if text.is_empty() => name.clone(),
        Value::String(name) => format!("{text}.{name}"),
        index => format!("{text}[{index}]"),
    })
}

fn is_meant(kind: &str, path: &str) -> bool {
    DIFFERENCES.iter().any(|(of, prefix, _)| kind == *of && path.starts_with(prefix))
}

/// Makes objects from a schema.
struct Maker {
    kind: String,
    /// Everything, or only what is required.
    full: bool,
}

impl Maker {
    fn object(&self, schema: &Value, api_version: &str) -> Value {
        let mut object = self.value(schema, &mut Vec::new());
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(self.kind);
        object["metadata"] = json!({"name": "x"});
        object
    }

    fn value(&self, schema: &Value, path: &mut Path) -> Value {
        if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
            return first.clone();
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return json!("1");
        }
        match schema["type"].as_str() {
            Some("object") => self.members(schema, path),
            Some("array") => {
                path.push(json!(0));
                let item = self.value(&schema["items"], path);
                path.pop();
                json!([item])
            }
            Some("string") if schema["format"] == "date-time" => json!("2026-01-01T00:00:00Z"),
            Some("string") => json!("text"),
            Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(1).max(1)),
            Some("number") => json!(1.5),
            Some("boolean") => json!(true),
            _ => json!({}),
        }
    }

    fn members(&self, schema: &Value, path: &mut Path) -> Value {
        let mut members = Map::new();
        let required = schema["required"].as_array();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            path.push(json!(name));
            // Below a difference everything is one opaque value; upstream's own minimum keeps it valid.
            let opaque = is_meant(&self.kind, &show(path));
            let wanted = required.is_some_and(|required| required.iter().any(|required| required == name));
            let skip = path.len() == 1 && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
            if !skip && opaque && wanted {
                members.insert(name.clone(), json!({"spec": {"containers": [{"name": "c"}]}}));
            } else if !skip && !opaque && (self.full || wanted) {
                members.insert(name.clone(), self.value(member, path));
            }
            path.pop();
        }
        if self.full && schema["additionalProperties"].is_object() {
            path.push(json!("key"));
            members.insert("key".to_owned(), self.value(&schema["additionalProperties"], path));
            path.pop();
        }
        Value::Object(members)
    }
}

/// A change of one place: what it is called, and the object with it.
type Change = (String, Value);

/// Every single change of an object that its schema gives a reason for.
fn changes(kind: &str, schema: &Value, object: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    let mut nodes = Vec::new();
    collect(schema, object, &mut Vec::new(), &mut nodes);
    for (path, node) in nodes {
        let text = show(&path);
        if is_meant(kind, &text) {
            continue;
        }
        let mut with = |what: &str, value: Value| {
            found.push((format!("{text}: {what}"), replaced(object, &path, Some(value))));
        };
        for (what, value) in candidates(&node) {
            with(&what, value);
        }
        if path.last().is_some_and(Value::is_string) {
            found.push((format!("{text}: absent"), replaced(object, &path, None)));
        }
    }
    found
}

/// Every place of an object that has a schema.
fn collect(schema: &Value, value: &Value, path: &mut Path, found: &mut Vec<(Path, Value)>) {
    if !path.is_empty() {
        found.push((path.clone(), schema.clone()));
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let declared = &schema["properties"][name];
                let child = if declared.is_object() { declared } else { &schema["additionalProperties"] };
                let server_owned =
                    path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
                if child.is_object() && !server_owned {
                    path.push(json!(name));
                    collect(child, member, path, found);
                    path.pop();
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(json!(index));
                collect(&schema["items"], item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Values of every type, at the edges of the schema's limits and beyond.
fn candidates(schema: &Value) -> Vec<(String, Value)> {
    let mut values: Vec<(String, Value)> = [
        json!(null),
        json!("text"),
        json!(""),
        json!(1),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(2_147_483_647),
        json!(2_147_483_648_i64),
        json!(9_223_372_036_854_775_807_i64),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
        json!({"unknown": "x"}),
        json!([{"unknown": "x"}]),
        json!("1h"),
        json!("100m"),
        json!("not a quantity"),
    ]
    .into_iter()
    .map(|value| (value.to_string(), value))
    .collect();
    for limit in ["minimum", "maximum"] {
        if let Some(edge) = schema[limit].as_i64() {
            values.extend([edge - 1, edge, edge + 1].map(|edge| (format!("{limit} {edge}"), json!(edge))));
        }
    }
    values.extend(
        schema["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|value| (format!("one of enum {value}"), value.clone())),
    );
    values
}

fn position(index: &Value) -> usize {
    usize::try_from(index.as_u64().expect("an index")).expect("a small index")
}

fn replaced(object: &Value, path: &[Value], value: Option<Value>) -> Value {
    let mut object = object.clone();
    let mut place = &mut object;
    let (last, parents) = path.split_last().expect("a place below the root");
    for step in parents {
        place = match step {
            Value::String(name) => &mut place[name.as_str()],
            index => &mut place[position(index)],
        };
    }
    match (last, value) {
        (Value::String(name), Some(value)) => place[name.as_str()] = value,
        (Value::String(name), None) => {
            place.as_object_mut().expect("an object").remove(name);
        }
        (index, Some(value)) => {
            place[position(index)] = value;
        }
        (_, None) => {}
    }
    object
}

fn upstream() -> Option<BTreeMap<String, Value>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/crds");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: upstream's CRDs are not beside the workspace (../shared/upstream/crds)");
        return None;
    };
    let mut crds = BTreeMap::new();
    for file in files {
        let path = file.expect("a readable folder").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let crd: Value = serde_saphyr::from_str(&text).expect("YAML");
            crds.insert(crd["spec"]["names"]["kind"].as_str().expect("a kind").to_owned(), crd);
        }
    }
    Some(crds)
}

fn ours() -> BTreeMap<String, Value> {
    let crds = keda_api::crds::all().into_iter().map(|crd| serde_json::to_value(crd).expect("a CRD"));
    crds.map(|crd| (crd["spec"]["names"]["kind"].as_str().expect("a kind").to_owned(), crd)).collect()
}

#[test]
fn what_upstream_accepts_we_accept_and_what_it_refuses_we_refuse() {
    let Some(upstream) = upstream() else { return };
    let ours = ours();
    assert_eq!(ours.keys().collect::<Vec<_>>(), upstream.keys().collect::<Vec<_>>());
    let mut complaints = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for (kind, theirs) in &upstream {
        let api_version = format!(
            "{}/{}",
            theirs["spec"]["group"].as_str().expect("a group"),
            theirs["spec"]["versions"][0]["name"].as_str().expect("a version")
        );
        let (theirs, ours) = (Kind::of(theirs), Kind::of(&ours[kind]));
        for (source, full) in [(&theirs, false), (&theirs, true), (&ours, false), (&ours, true)] {
            let maker = Maker { kind: kind.clone(), full };
            let object = maker.object(&source.json, &api_version);
            let mut all = changes(kind, &source.json, &object);
            all.push(("as it is".to_owned(), object));
            for (what, object) in all {
                match (theirs.admit(&object), ours.admit(&object)) {
                    (Ok(theirs), Ok(ours)) if theirs == ours => accepted += 1,
                    (Err(theirs), Err(ours)) if theirs == ours => refused += 1,
                    (Err(theirs), Err(ours)) => {
                        complaints.push(format!(
                            "{kind} {what}\n  upstream says {theirs:?}\n  we say        {ours:?}"
                        ));
                    }
                    (Ok(_), Err(_)) if has_no_spec(kind, &object) => {}
                    (Ok(theirs), Ok(ours)) => {
                        complaints.push(format!(
                            "{kind} {what}\n  upstream keeps {theirs}\n  we keep       {ours}"
                        ));
                    }
                    (Ok(_), Err(faults)) => {
                        complaints.push(format!("{kind} {what}\n  only we refuse: {faults:?}"));
                    }
                    (Err(faults), Ok(_)) => {
                        complaints.push(format!("{kind} {what}\n  only upstream refuses: {faults:?}"));
                    }
                }
            }
        }
    }
    println!("{accepted} objects accepted by both, {refused} refused by both");
    assert!(complaints.is_empty(), "{} differences:\n{}", complaints.len(), complaints.join("\n"));
    assert!(accepted > 1000 && refused > 1000, "the objects are many and of both kinds");
}

#[test]
fn the_rules_between_minimum_and_maximum() {
    let Some(upstream) = upstream() else { return };
    let (theirs, ours) = (Kind::of(&upstream["ScaledObject"]), Kind::of(&ours()["ScaledObject"]));
    let values = [None, Some(0), Some(1), Some(99), Some(100), Some(101), Some(1000)];
    for (min, max) in values.iter().flat_map(|min| values.iter().map(move |max| (min, max))) {
        let mut object = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"},
            "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [{"type": "cron", "metadata": {}}]}});
        if let Some(min) = min {
            object["spec"]["minReplicaCount"] = json!(min);
        }
        if let Some(max) = max {
            object["spec"]["maxReplicaCount"] = json!(max);
        }
        assert_eq!(theirs.admit(&object), ours.admit(&object), "{min:?} {max:?}");
        let expected = max.is_none_or(|max| max >= 1) && min.unwrap_or(0) <= max.unwrap_or(100);
        assert_eq!(ours.admit(&object).is_ok(), expected, "{min:?} {max:?}");
    }
}

/// The difference that is meant: nothing in a pod template is lost or refused.
#[test]
fn pod_templates_keep_what_they_are_given() {
    let ours = Kind::of(&ours()["ScaledJob"]);
    let object = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "x"}, "spec": {
        "triggers": [{"type": "cron", "metadata": {}}],
        "jobTargetRef": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "field-of-the-future": 1}]}}}}});
    let kept = ours.admit(&object).expect("accepted");
    assert_eq!(kept["spec"]["jobTargetRef"]["template"], object["spec"]["jobTargetRef"]["template"]);
}

#[test]
fn a_rollout_is_gradual_or_immediate_and_never_default() {
    let crd =
        keda_api::crds::all().into_iter().find(|crd| crd.spec.names.kind == "ScaledJob").expect("is there");
    let kind = Kind::of(&serde_json::to_value(crd).expect("is JSON"));
    let admit = |rollout: Value| {
        let job = json!({ "template": { "spec": { "containers": [{ "name": "a", "image": "a" }] } } });
        let spec = json!({ "jobTargetRef": job, "triggers": [{ "type": "cron", "metadata": {} }], "rollout": rollout });
        let metadata = json!({ "name": "a", "namespace": "default" });
        kind.admit(&json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": metadata, "spec": spec }))
    };
    for strategy in ["gradual", "immediate"] {
        admit(json!({ "strategy": strategy })).expect("is accepted");
    }
    // Documented, and refused: by upstream's definition too.
    let faults = admit(json!({ "strategy": "default" })).expect_err("is refused");
    assert!(faults.iter().any(|fault| fault.contains("spec.rollout.strategy")), "{faults:?}");
}
