use keda_api::{Condition, ConditionStatus, Conditions, ScaledObjectStatus, TriggerActivity};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn between(known: &ScaledObjectStatus, wanted: &ScaledObjectStatus) -> Option<Value> {
    difference(&text(known), &text(wanted))
}

#[test]
fn equal_statuses_need_no_write() {
    let status =
        ScaledObjectStatus { hpa_name: Some("keda-hpa-web".to_owned()), ..ScaledObjectStatus::default() };
    assert_eq!(between(&status, &status), None);
    assert_eq!(between(&ScaledObjectStatus::default(), &ScaledObjectStatus::default()), None);
}

#[test]
fn only_what_changed_is_written() {
    let mut conditions = Conditions::initial();
    let known = ScaledObjectStatus {
        hpa_name: Some("keda-hpa-web".to_owned()),
        paused_replica_count: Some(4),
        conditions: Some(conditions.clone()),
        triggers_activity: Some(
            [("s0-a", true), ("s1-b", false)]
                .map(|(name, is_active)| (name.to_owned(), TriggerActivity { is_active }))
                .into(),
        ),
        ..ScaledObjectStatus::default()
    };
    conditions.set(Condition::bare(Condition::ACTIVE, ConditionStatus::True));
    let wanted = ScaledObjectStatus {
        paused_replica_count: None,
        conditions: Some(conditions),
        triggers_activity: Some([("s0-a".to_owned(), TriggerActivity { is_active: false })].into()),
        triggers_types: Some("prometheus".to_owned()),
        ..known.clone()
    };
    assert_eq!(
        between(&known, &wanted),
        Some(json!({ "status": {
            "pausedReplicaCount": null,
            "triggersTypes": "prometheus",
            "triggersActivity": { "s0-a": { "isActive": false }, "s1-b": null },
            "conditions": [
                { "type": "Ready", "status": "Unknown" },
                { "type": "Active", "status": "True" },
                { "type": "Fallback", "status": "Unknown" },
                { "type": "Paused", "status": "False" },
            ],
        } }))
    );
}

#[test]
fn merge_patches_by_case() {
    for (from, to, patch) in [
        (json!({ "a": 1 }), json!({ "a": 1 }), None),
        (json!({ "a": 1 }), json!({}), Some(json!({ "a": null }))),
        (json!({}), json!({ "a": null }), None),
        (json!({ "a": null }), json!({}), None),
        (json!({ "a": { "b": 1, "c": 2 } }), json!({ "a": { "b": 1 } }), Some(json!({ "a": { "c": null } }))),
        (json!({ "a": [1] }), json!({ "a": [1, null] }), Some(json!({ "a": [1, null] }))),
        (json!({ "a": 1 }), json!({ "a": { "b": null, "c": 1 } }), Some(json!({ "a": { "c": 1 } }))),
        (json!({}), json!({ "a": {} }), Some(json!({ "a": {} }))),
    ] {
        assert_eq!(merge_patch(&from, &to), patch, "{from} to {to}");
    }
}

/// RFC 7386, section 2.
fn apply(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (key, change) in patch {
        if change.is_null() {
            target.remove(key);
        } else {
            let old = target.remove(key).unwrap_or_default();
            target.insert(key.clone(), apply(old, change));
        }
    }
    Value::Object(target)
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(0)), Just(json!(1)), Just(json!("x")), Just(json!([1, { "a": 1 }]))];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        proptest::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| map.into_iter().collect())
    });
    proptest::collection::btree_map("[abc]", node, 0..4).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn a_patch_leads_where_it_should(from in tree(), to in tree()) {
        match merge_patch(&from, &to) {
            None => prop_assert_eq!(from, to),
            Some(patch) => {
                prop_assert_ne!(&from, &to);
                prop_assert_eq!(apply(from, &patch), to);
            }
        }
    }
}
