//! Server-side apply, with ownership simplified.
//!
//! Real servers track an owner for each field. Here the server remembers what each field manager applied last:
//! applying again sets what is in the new configuration and removes what was in the last one and no longer is. There
//! are no conflicts: every apply behaves as if forced. Lists are merged by their keys (from the schema, or the table of
//! built-in lists), else replaced.

use serde_json::{Map, Value};

use super::{
    Lists,
    merge_keys::{ITEM, Merging, of_list, position},
};

/// The object after `manager` applied `wanted`, given what it applied before.
pub(crate) fn apply(live: &mut Value, last: Option<&Value>, wanted: &Value, lists: Lists<'_>) {
    if let Some(last) = last {
        remove(live, last, wanted, lists, &mut Vec::new());
    }
    set(live, wanted, lists, &mut Vec::new());
}

/// Removes what was applied and is no longer wanted.
fn remove(live: &mut Value, last: &Value, wanted: &Value, lists: Lists<'_>, path: &mut Vec<String>) {
    let (Some(live), Some(last)) = (live.as_object_mut(), last.as_object()) else { return };
    for (name, old) in last {
        path.push(name.clone());
        match (live.get_mut(name), wanted.get(name)) {
            (Some(live), Some(wanted)) => match (live.as_array_mut(), old.as_array()) {
                (Some(items), Some(old)) => remove_items(items, old, wanted, lists, path),
                _ => remove(live, old, wanted, lists, path),
            },
            (Some(member), None) if old.is_object() && member.is_object() => {
                remove(member, old, &Value::Null, lists, path);
                if member.as_object().is_some_and(Map::is_empty) {
                    live.remove(name);
                }
            }
            (Some(_), None) => {
                live.remove(name);
            }
            (None, _) => {}
        }
        path.pop();
    }
}

fn remove_items(
    items: &mut Vec<Value>,
    last: &[Value],
    wanted: &Value,
    lists: Lists<'_>,
    path: &mut Vec<String>,
) {
    let wanted = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
    match of_list(lists, path) {
        Merging::Atomic => {}
        Merging::Set => items.retain(|item| wanted.contains(item) || !last.contains(item)),
        Merging::ByKey(keys) => {
            path.push(ITEM.to_owned());
            for old in last.iter().filter_map(Value::as_object) {
                let Some(index) = position(items, &keys, old) else { continue };
                match position(wanted, &keys, old) {
                    Some(kept) => remove(&mut items[index], &old.clone().into(), &wanted[kept], lists, path),
                    None => {
                        items.remove(index);
                    }
                }
            }
            path.pop();
        }
    }
}

fn set(live: &mut Value, wanted: &Value, lists: Lists<'_>, path: &mut Vec<String>) {
    match wanted {
        Value::Object(wanted) => {
            if !live.is_object() {
                *live = Value::Object(Map::new());
            }
            let Some(members) = live.as_object_mut() else { return };
            for (name, value) in wanted {
                path.push(name.clone());
                if value.is_null() {
                    members.remove(name);
                } else {
                    set(members.entry(name.clone()).or_insert(Value::Null), value, lists, path);
                }
                path.pop();
            }
        }
        Value::Array(wanted) if live.is_array() => {
            let merging = of_list(lists, path);
            let Some(items) = live.as_array_mut() else { return };
            match merging {
                Merging::Atomic => items.clone_from(wanted),
                Merging::Set => {
                    let missing: Vec<Value> =
                        wanted.iter().filter(|item| !items.contains(item)).cloned().collect();
                    items.extend(missing);
                }
                Merging::ByKey(keys) => {
                    path.push(ITEM.to_owned());
                    for item in wanted {
                        match item.as_object().and_then(|wanted| position(items, &keys, wanted)) {
                            Some(index) => set(&mut items[index], item, lists, path),
                            None => items.push(item.clone()),
                        }
                    }
                    path.pop();
                }
            }
        }
        other => *live = other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn applying_again_removes_what_is_no_longer_wanted() {
        let first =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 3, "paused": true}});
        let second = json!({"metadata": {"labels": {"a": "9"}}, "spec": {"replicas": 4}});
        let mut live = json!({"metadata": {"name": "x", "labels": {"other": "y"}}, "spec": {"image": "i"}});
        apply(&mut live, None, &first, Lists::Builtin);
        apply(&mut live, Some(&first), &second, Lists::Builtin);
        assert_eq!(
            live,
            json!({"metadata": {"name": "x", "labels": {"a": "9", "other": "y"}}, "spec": {"image": "i", "replicas": 4}})
        );
    }

    #[test]
    fn keyed_lists_keep_the_items_of_others() {
        let first = json!({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}});
        let second = json!({"status": {"conditions": [{"type": "B", "status": "False"}]}});
        let mut live = json!({"status": {"conditions": [{"type": "Z", "status": "True"}]}});
        apply(&mut live, None, &first, Lists::Builtin);
        apply(&mut live, Some(&first), &second, Lists::Builtin);
        assert_eq!(
            live["status"]["conditions"],
            json!([{"type": "Z", "status": "True"}, {"type": "B", "status": "False"}])
        );
    }
}
