//! The Job that a ScaledJob makes (core.md §5.5).

use keda_api::{ScaledJob, keys};
use serde_json::{Map, Value, json};

/// Longest part of a name before what makes it unique: the API server cuts there, too
/// (`k8s.io/apiserver/pkg/storage/names`).
const BASE_MAX: usize = 58;
/// What names are made unique with: no vowels, so that no words come out, and nothing that looks alike.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// What names begin with: the ScaledJob's, as `metadata.generateName` has it.
pub fn base(name: &str) -> String {
    format!("{name}-")
}

/// A name for a new Job out of a random number, as the API server would make it. It is chosen here, so that a request whose
/// answer was lost can be repeated without a second Job coming of it.
pub fn name(scaled_job: &str, mut random: u64) -> String {
    let base = base(scaled_job);
    let mut end = base.len().min(BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    for _ in 0..5 {
        let count = ALPHABET.len() as u64;
        let index = usize::try_from(random % count).unwrap_or(0);
        name.push(char::from(ALPHABET[index]));
        random /= count;
    }
    name
}

/// The Job, whole but for its own name. `version` is ours, for the label.
///
/// Labels and annotations of the ScaledJob are on it, except for the labels that it excludes; those by which its Jobs are
/// found and told apart are never overridden. Members of the pod template that this version does not know stay.
///
/// # Errors
/// The object does not come from an API server, or its template is none.
pub fn desired(object: &ScaledJob, version: &str) -> Result<Value, String> {
    let missing = |what: &str| format!("the ScaledJob has no {what}");
    let metadata = &object.metadata;
    let name = metadata.name.as_deref().ok_or_else(|| missing("name"))?;
    let namespace = metadata.namespace.as_deref().ok_or_else(|| missing("namespace"))?;
    let uid = metadata.uid.as_deref().ok_or_else(|| missing("uid"))?;
    let generation = metadata.generation.unwrap_or_default().to_string();

    let annotations = metadata.annotations.clone().unwrap_or_default();
    let excluded: Vec<&str> = annotations
        .get(keys::JOB_EXCLUDED_LABELS)
        .map(|list| list.split(',').map(str::trim).collect())
        .unwrap_or_default();
    let mut labels = Map::from_iter(
        [
            ("app.kubernetes.io/name", name),
            ("app.kubernetes.io/version", version),
            ("app.kubernetes.io/part-of", name),
            ("app.kubernetes.io/managed-by", "keda-operator"),
        ]
        .map(|(key, value)| (key.to_owned(), json!(value))),
    );
    let own = metadata.labels.clone().unwrap_or_default();
    labels.extend(
        own.into_iter()
            .filter(|(key, _)| !excluded.contains(&key.as_str()))
            .map(|(key, it)| (key, json!(it))),
    );
    labels.insert(keys::SCALED_JOB_NAME.to_owned(), json!(name));
    let mut annotations: Map<String, Value> =
        annotations.into_iter().map(|(key, value)| (key, json!(value))).collect();
    annotations.insert(keys::SCALED_JOB_GENERATION.to_owned(), json!(generation));

    let mut spec = serde_json::to_value(&object.spec.job_target_ref).map_err(|error| error.to_string())?;
    template(&mut spec["template"], name)?;
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": namespace,
            "generateName": base(name),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "keda.sh/v1alpha1",
                "kind": "ScaledJob",
                "name": name,
                "uid": uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    }))
}

/// The pod template gets the label that its pods are found by, and a restart policy that a Job may have.
fn template(template: &mut Value, name: &str) -> Result<(), String> {
    let wrong = |what: &str| format!("spec.jobTargetRef.template{what} is not an object");
    let template = template.as_object_mut().ok_or_else(|| wrong(""))?;
    let mut member = |key: &str, path: &str| -> Result<Map<String, Value>, String> {
        match template.remove(key) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(wrong(path)),
        }
    };
    let (mut metadata, mut spec) = (member("metadata", ".metadata")?, member("spec", ".spec")?);
    metadata.insert("generateName".to_owned(), json!(base(name)));
    match metadata.entry("labels").or_insert_with(|| json!({})) {
        Value::Object(labels) => labels.insert(keys::SCALED_JOB_NAME.to_owned(), json!(name)),
        labels @ Value::Null => {
            *labels = json!({ keys::SCALED_JOB_NAME: name });
            None
        }
        _ => return Err(wrong(".metadata.labels")),
    };
    if spec.get("restartPolicy").is_none_or(|policy| policy.is_null() || policy == "") {
        spec.insert("restartPolicy".to_owned(), json!("OnFailure"));
    }
    template.insert("metadata".to_owned(), Value::Object(metadata));
    template.insert("spec".to_owned(), Value::Object(spec));
    Ok(())
}
