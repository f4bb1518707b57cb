//! Strategic merge patch: a merge patch that merges lists of built-in kinds by their keys.
//!
//! Directives: `$patch: delete|replace`, `$deleteFromPrimitiveList/<list>`, `$setElementOrder/<list>` (ignored but for
//! being no field), `$retainKeys`. Grammar: Kubernetes' sig-api-machinery/strategic-merge-patch.md.

use serde_json::{Map, Value};

use super::{
    Lists,
    merge_keys::{ITEM, Merging, of_list, position},
};

/// Merges a strategic merge patch into an object of a built-in kind.
pub(crate) fn strategic(live: &mut Value, patch: Value) {
    merge(live, patch, &mut Vec::new());
}

fn merge(live: &mut Value, patch: Value, path: &mut Vec<String>) {
    let Value::Object(mut patch) = patch else {
        *live = patch;
        return;
    };
    if patch.remove("$patch").is_some_and(|directive| directive == "replace") || !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Some(members) = live.as_object_mut() else { return };
    if let Some(Value::Array(kept)) = patch.remove("$retainKeys") {
        members.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, value) in patch {
        if name.starts_with("$setElementOrder/") {
            continue;
        }
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let items = members.get_mut(list).and_then(Value::as_array_mut);
            if let (Some(items), Some(dropped)) = (items, value.as_array()) {
                items.retain(|item| !dropped.contains(item));
            }
            continue;
        }
        path.push(name.clone());
        match value {
            Value::Null => {
                members.remove(&name);
            }
            Value::Array(items) => merge_list(members.entry(name).or_insert(Value::Null), items, path),
            Value::Object(ref inner)
                if inner.get("$patch").is_some_and(|directive| directive == "delete") =>
            {
                members.remove(&name);
            }
            value => merge(members.entry(name).or_insert(Value::Null), value, path),
        }
        path.pop();
    }
}

fn merge_list(live: &mut Value, patch: Vec<Value>, path: &mut Vec<String>) {
    let replaces =
        patch.iter().any(|item| item.get("$patch").is_some_and(|directive| directive == "replace"));
    let Some(items) = live.as_array_mut().filter(|_| !replaces) else {
        *live = patch.into_iter().filter(|item| item.get("$patch").is_none()).collect();
        return;
    };
    match of_list(Lists::Builtin, path) {
        Merging::Atomic => *items = patch,
        Merging::Set => {
            for item in patch {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        Merging::ByKey(keys) => {
            path.push(ITEM.to_owned());
            let mut patched = Vec::new();
            for item in patch {
                let Some(wanted) = item.as_object() else { continue };
                let found = position(items, &keys, wanted);
                if wanted.get("$patch").is_some_and(|directive| directive == "delete") {
                    if let Some(index) = found {
                        items.remove(index);
                    }
                    continue;
                }
                let mut merged = found.map_or(Value::Null, |index| items[index].clone());
                merge(&mut merged, item, path);
                patched.push((found, merged));
            }
            *items = in_order(std::mem::take(items), patched);
            path.pop();
        }
    }
}

/// Puts patched items among those that the patch does not name: known ones keep their place among the live ones, new
/// ones come first. (The API server's own order, where `$setElementOrder` does not say otherwise.)
fn in_order(live: Vec<Value>, patched: Vec<(Option<usize>, Value)>) -> Vec<Value> {
    let named: Vec<usize> = patched.iter().filter_map(|(index, _)| *index).collect();
    let mut others = live.into_iter().enumerate().filter(|(index, _)| !named.contains(index)).peekable();
    let mut ordered = Vec::new();
    for (index, item) in patched {
        if let Some(index) = index {
            while let Some((_, other)) = others.next_if(|(other, _)| *other < index) {
                ordered.push(other);
            }
        }
        ordered.push(item);
    }
    ordered.extend(others.map(|(_, other)| other));
    ordered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_merged_by_their_keys() {
        let mut live = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "x", "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}],
             "args": ["1"]},
            {"name": "b", "image": "y"}]}}}});
        strategic(
            &mut live,
            json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [
                {"name": "a", "image": "z", "args": ["2", "3"],
                 "env": [{"name": "L", "$patch": "delete"}, {"name": "M", "value": "3"}]},
                {"name": "b", "$patch": "delete"}]}}}}),
        );
        assert_eq!(
            live,
            json!({"spec": {"template": {"spec": {"containers": [
                {"name": "a", "image": "z", "env": [{"name": "M", "value": "3"}, {"name": "K", "value": "1"}],
                 "args": ["2", "3"]}]}}}})
        );
    }

    #[test]
    fn conditions_finalizers_and_replacement() {
        let mut live = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"strategy": {"x": 1}},
            "status": {"conditions": [{"type": "A", "status": "True"}]}});
        strategic(
            &mut live,
            json!({"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]},
                "spec": {"strategy": {"$patch": "replace", "y": 2}},
                "status": {"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "False"}]}}),
        );
        let mut finalizers: Vec<&str> =
            live["metadata"]["finalizers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        finalizers.sort_unstable();
        assert_eq!(finalizers, ["b", "c"]);
        assert_eq!(live["spec"], json!({"strategy": {"y": 2}}));
        assert_eq!(
            live["status"]["conditions"],
            json!([{"type": "B", "status": "True"}, {"type": "A", "status": "False"}])
        );
    }
}
