//! What is true of a list of triggers before any of them is parsed: checks, and the columns of `kubectl get`.
//!
//! Rules and texts are upstream's (`apis/keda/v1alpha1/scaletriggers_types.go`); the same list is checked at admission
//! and on every reconcile.

use std::collections::BTreeSet;

use keda_api::ScaleTrigger;

/// Triggers whose value is not read by polling, so that there is nothing to answer from.
const WITHOUT_CACHE: [&str; 3] = ["cpu", "memory", "cron"];

/// Why a list of triggers is refused. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("no triggers defined in the ScaledObject/ScaledJob")]
    None,
    /// Formulas and metrics refer to triggers by name.
    #[error(
        "triggerName \"{0}\" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique"
    )]
    Duplicate(String),
    /// `useCachedMetrics` on a trigger that has no use for it.
    #[error("property \"useCachedMetrics\" is not supported for \"{0}\" scaler")]
    NotCached(String),
}

/// Checks a list of triggers.
///
/// # Errors
/// [`Error`], the first one found in list order.
pub fn check(triggers: &[ScaleTrigger]) -> Result<(), Error> {
    if triggers.is_empty() {
        return Err(Error::None);
    }
    let mut names = BTreeSet::new();
    for trigger in triggers {
        if trigger.use_cached_metrics == Some(true) && WITHOUT_CACHE.contains(&trigger.r#type.as_str()) {
            return Err(Error::NotCached(trigger.r#type.clone()));
        }
        let name = trigger.name.as_deref().unwrap_or_default();
        if !name.is_empty() && !names.insert(name) {
            return Err(Error::Duplicate(name.to_owned()));
        }
    }
    Ok(())
}

/// `status.triggersTypes`: the distinct types, in order of appearance, comma-joined.
pub fn types(triggers: &[ScaleTrigger]) -> String {
    distinct(triggers.iter().map(|trigger| trigger.r#type.as_str()))
}

/// `status.authenticationsTypes`: the distinct names of the authentications, in order of appearance, comma-joined.
pub fn authentications(triggers: &[ScaleTrigger]) -> String {
    distinct(
        triggers
            .iter()
            .filter_map(|trigger| trigger.authentication_ref.as_ref())
            .map(|auth| auth.name.as_str()),
    )
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for word in words {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen.join(",")
}

#[cfg(test)]
mod tests;
