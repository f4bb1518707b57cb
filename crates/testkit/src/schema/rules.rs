//! Validation rules (`x-kubernetes-validations`) by their text.
//!
//! This server has no CEL. Each rule that our CRDs carry stands here with a native function of the same meaning;
//! a CRD with any other rule is refused when it is installed, so that a rule can never be skipped unseen.

use serde_json::Value;

/// Whether a rule holds for the node it is attached to.
pub(super) type Check = fn(&Value) -> bool;

/// The native counterpart of a rule.
pub(super) fn find(rule: &str) -> Option<Check> {
    let normal: String = rule.split_whitespace().collect::<Vec<_>>().join(" ");
    RULES.iter().find(|(text, _)| *text == normal).map(|(_, check)| *check)
}

const RULES: [(&str, Check); 1] = [(
    "!has(self.minReplicaCount) || self.minReplicaCount <= (has(self.maxReplicaCount) ? self.maxReplicaCount : 100)",
    |spec| {
        let count = |name: &str| spec.get(name).and_then(Value::as_i64);
        count("minReplicaCount").is_none_or(|min| min <= count("maxReplicaCount").unwrap_or(100))
    },
)];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn minimum_against_maximum_with_its_default() {
        let holds = find(RULES[0].0).unwrap();
        assert!(holds(&json!({})));
        assert!(holds(&json!({"minReplicaCount": 100})));
        assert!(!holds(&json!({"minReplicaCount": 101})));
        assert!(holds(&json!({"minReplicaCount": 5, "maxReplicaCount": 5})));
        assert!(!holds(&json!({"minReplicaCount": 6, "maxReplicaCount": 5})));
        assert!(find("self.x > 1").is_none());
    }
}
