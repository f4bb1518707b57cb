//! Conditions of a status: a list in upstream's order, without timestamps and without observed generation.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// What the condition is about, for instance `Ready`.
    pub r#type: String,
    /// True, False or Unknown.
    #[schemars(with = "String")]
    pub status: ConditionStatus,
    /// One CamelCase word: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Condition {
    /// The object is valid and its triggers work.
    pub const READY: &str = "Ready";
    /// Something is scaled because a trigger is active; on event sources: events are delivered.
    pub const ACTIVE: &str = "Active";
    /// A trigger fails and its fallback is in use.
    pub const FALLBACK: &str = "Fallback";
    /// Scaling is paused by annotation.
    pub const PAUSED: &str = "Paused";
    /// The HPA's own view of its metrics. Added when it is first known.
    pub const HPA_ACTIVE: &str = "HPAActive";

    /// A condition with a reason and a message.
    pub fn new(
        r#type: impl Into<String>,
        status: ConditionStatus,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { r#type: r#type.into(), status, reason: Some(reason.into()), message: Some(message.into()) }
    }

    /// A condition without reason and message.
    pub fn bare(r#type: impl Into<String>, status: ConditionStatus) -> Self {
        Self { r#type: r#type.into(), status, reason: None, message: None }
    }
}

/// Status of a condition. Text other than the three words reads as unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known.
    #[default]
    Unknown,
}

impl ConditionStatus {
    /// `True`, `False` or `Unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl std::fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl<'de> Deserialize<'de> for ConditionStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(match word.as_ref() {
            "True" => Self::True,
            "False" => Self::False,
            _ => Self::Unknown,
        })
    }
}

/// Conditions, at most one a type, in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Conditions(pub Vec<Condition>);

impl Conditions {
    /// What an object starts with (`apis/keda/v1alpha1/condition_types.go`): Ready, Active and Fallback unknown, Paused
    /// false.
    pub fn initial() -> Self {
        Self(vec![
            Condition::bare(Condition::READY, ConditionStatus::Unknown),
            Condition::bare(Condition::ACTIVE, ConditionStatus::Unknown),
            Condition::bare(Condition::FALLBACK, ConditionStatus::Unknown),
            Condition::bare(Condition::PAUSED, ConditionStatus::False),
        ])
    }

    /// Adds the members of [`Conditions::initial`] that are missing and leaves the others alone. True if any was.
    pub fn initialise(&mut self) -> bool {
        let before = self.0.len();
        for condition in Self::initial().0 {
            if self.get(&condition.r#type).is_none() {
                self.0.push(condition);
            }
        }
        self.0.len() != before
    }

    /// The condition of this type.
    pub fn get(&self, r#type: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.r#type == r#type)
    }

    /// Status of the condition of this type; unknown when it is missing.
    pub fn status(&self, r#type: &str) -> ConditionStatus {
        self.get(r#type).map_or(ConditionStatus::Unknown, |condition| condition.status)
    }

    /// Whether the condition of this type is there and true.
    pub fn is_true(&self, r#type: &str) -> bool {
        self.status(r#type) == ConditionStatus::True
    }

    /// Replaces the condition of the same type in place, or appends. True if the list changed.
    pub fn set(&mut self, condition: Condition) -> bool {
        match self.0.iter_mut().find(|known| known.r#type == condition.r#type) {
            Some(known) if *known == condition => false,
            Some(known) => {
                *known = condition;
                true
            }
            None => {
                self.0.push(condition);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_set_is_upstreams() {
        let json = serde_json::to_value(Conditions::initial()).unwrap();
        let expected = serde_json::json!([
            { "type": "Ready", "status": "Unknown" },
            { "type": "Active", "status": "Unknown" },
            { "type": "Fallback", "status": "Unknown" },
            { "type": "Paused", "status": "False" },
        ]);
        assert_eq!(json, expected);
    }

    #[test]
    fn initialising_adds_what_is_missing_only() {
        let mut conditions = Conditions::default();
        assert!(conditions.initialise());
        assert_eq!(conditions, Conditions::initial());
        assert!(!conditions.initialise());

        let ready = Condition::new(Condition::READY, ConditionStatus::True, "ScaledObjectReady", "ready");
        let hpa = Condition::new(Condition::HPA_ACTIVE, ConditionStatus::True, "HPAActive", "scaling");
        let mut conditions = Conditions(vec![ready.clone(), hpa.clone()]);
        assert!(conditions.initialise());
        assert_eq!(conditions.0.len(), 5);
        assert_eq!(conditions.0[..2], [ready, hpa]);
    }

    #[test]
    fn setting_replaces_in_place_and_reports_changes() {
        let mut conditions = Conditions::initial();
        let ready = Condition::new(Condition::READY, ConditionStatus::True, "ScaledObjectReady", "ready");
        assert!(conditions.set(ready.clone()));
        assert!(!conditions.set(ready.clone()));
        assert_eq!(conditions.0[0], ready);
        assert!(conditions.set(Condition { message: Some("still".into()), ..ready }));
        assert!(conditions.is_true(Condition::READY));

        assert_eq!(conditions.get(Condition::HPA_ACTIVE), None);
        assert_eq!(conditions.status(Condition::HPA_ACTIVE), ConditionStatus::Unknown);
        assert!(conditions.set(Condition::bare(Condition::HPA_ACTIVE, false.into())));
        assert_eq!(conditions.0.last().map(|last| last.status), Some(ConditionStatus::False));
    }

    #[test]
    fn an_odd_status_is_unknown() {
        let condition: Condition = serde_json::from_str(r#"{"type":"Ready","status":"Perhaps"}"#).unwrap();
        assert_eq!(condition, Condition::bare(Condition::READY, ConditionStatus::Unknown));
    }
}
