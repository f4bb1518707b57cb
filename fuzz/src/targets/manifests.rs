//! Whole manifests: what admission sees, and `keda lint`.

use keda_api::{ScaledJob, ScaledObject, TriggerAuthentication};
use keda_core::admission;
use keda_core::names;
use keda_tools::lint;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) const WORDS: &[&str] = &[
    "apiVersion: keda.sh/v1alpha1\n",
    "kind: ScaledObject\n",
    "kind: TriggerAuthentication\n",
    "kind: Secret\n",
    "---\n",
    "spec:\n",
    "  triggers:\n",
    "    - type: cron\n",
    "metadata:\n",
    "  name: ",
    "minReplicaCount: ",
    "maxReplicaCount: ",
    "fallback:\n",
    "replicas: ",
    "null",
    "[]",
    "{}",
    "true",
    "-1",
    "2147483648",
    "\"\"",
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "|\n",
    "\t",
    "advanced:\n",
    "scalingModifiers:\n",
    "formula: ",
    "behavior:\n",
    "# ",
    "? ",
];

/// An object as an AdmissionReview carries it: through every rule that is asked about it.
pub(crate) fn admission(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(document) = serde_saphyr::from_str::<Value>(&text) else { return };
    if let Some(object) = read::<ScaledObject>(&document) {
        let violations = admission::scaled_object::check(&object);
        assert!(violations.iter().all(|violation| !violation.text.is_empty()), "{violations:?}");
        let _told = (admission::told(&violations), admission::scaled_object::warnings(&object.spec));
        let claim = admission::neighbours::Claim::of(&object);
        let _conflicts = admission::neighbours::other_objects(&claim, [&claim]);
        let _name = names::hpa_name(&object);
        let _matters = admission::requests::matter(&object);
    }
    if let Some(object) = read::<TriggerAuthentication>(&document) {
        let _violations = admission::authentication::check(&object.spec);
    }
    let _job = read::<ScaledJob>(&document);
}

/// An object that writes itself so that it reads the same again.
fn read<T: Serialize + DeserializeOwned>(document: &Value) -> Option<T> {
    let object: T = serde_json::from_value(document.clone()).ok()?;
    let written = serde_json::to_value(&object).expect("what was read can be written");
    let again: T = serde_json::from_value(written.clone()).expect("what was written can be read");
    assert_eq!(serde_json::to_value(&again).expect("again"), written);
    Some(object)
}

pub(crate) fn lint(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let options = lint::Options {
        strict: data.len() % 2 == 1,
        namespace: "shop".to_owned(),
        cluster_object_namespace: "keda".to_owned(),
    };
    let report =
        lint::report(&[lint::Source { name: "a.yaml".to_owned(), text }], &options).expect("a report");
    let json = report.json().expect("as JSON");
    let _document: Value = serde_json::from_str(&json).expect("is JSON");
    let _text = report.text();
}
