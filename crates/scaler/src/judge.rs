//! A trigger judged before anything runs: parsed and planned as the operator does it, also where not everything is known that its
//! parameters come from.
//!
//! Lint does not have every Secret, and the webhooks must not read any: a parameter that such an object may give is neither there nor
//! missing. The trigger is therefore tried without it and with something in its place; what is wrong both times is wrong.

use std::collections::BTreeMap;

use keda_api::ScaleTrigger;

use crate::config::{Origin, Shape};
use crate::{Context, Notice, NoticeKind, Parameters, Parsed, PodIdentity, Registry, Secret, nearest};

/// Stands for the text that an unknown object holds.
pub const PLACEHOLDER: &str = "(unknown)";

/// The platforms whose identity an unknown authentication may give.
const PROVIDERS: [&str; 4] = ["azure-workload", "aws", "gcp", "aws-eks"];

/// What a trigger's parameters are read from, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What its authentication resolved to; [`PLACEHOLDER`] for what an unknown object holds.
    pub auth: BTreeMap<String, Secret>,
    /// The environment of the target's container.
    pub env: BTreeMap<String, String>,
    /// Its pod identity.
    pub identity: PodIdentity,
    /// The authentication, or the environment, is not known as a whole.
    pub partial: bool,
}

/// What can be said of a trigger.
#[derive(Debug)]
pub enum Outcome {
    /// It is right, with these metrics and notices.
    Parsed(Parsed),
    /// It is wrong, whatever the unknown objects hold: every fault, in one line or more.
    Faults(Vec<String>),
    /// It depends on what the unknown objects hold.
    Unknown,
}

/// Where a trigger stands: in the object of this kind, namespace and name, at this place. `as_metric_source`: a formula takes its value.
pub fn context(
    (kind, namespace, name): (&str, &str, &str),
    (index, trigger): (usize, &ScaleTrigger),
    as_metric_source: bool,
) -> Context {
    Context {
        index,
        trigger_name: trigger.name.clone().filter(|name| !name.is_empty()),
        metric_type: trigger.metric_type.clone().filter(|word| !word.is_empty()),
        use_cached_metrics: trigger.use_cached_metrics.unwrap_or(false),
        object_kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        object_name: name.to_owned(),
        as_metric_source,
        ..Context::default()
    }
}

/// Judges a trigger. `incomplete`: something of what is given is a placeholder, or [`Given::partial`].
pub fn judge(
    registry: &Registry,
    trigger: &ScaleTrigger,
    given: Given,
    context: &Context,
    incomplete: bool,
) -> Outcome {
    let run = |auth, env, pod_identity| {
        let parameters = Parameters { metadata: trigger.metadata.clone(), auth, env };
        let context = Context { pod_identity, ..context.clone() };
        let parsed = registry.parse(&trigger.r#type, &parameters, &context);
        parsed.map_err(|error| faults(&trigger.r#type, &error.message))
    };
    if !incomplete {
        return run(given.auth, given.env, given.identity).map_or_else(Outcome::Faults, Outcome::Parsed);
    }
    let mut without = given.auth.clone();
    without.retain(|_, value| value.expose() != PLACEHOLDER);
    let mut certain = match run(without, given.env.clone(), given.identity.clone()) {
        Ok(parsed) => return Outcome::Parsed(parsed),
        Err(faults) => faults,
    };
    let mut identities = vec![given.identity.clone()];
    if given.partial && trigger.authentication_ref.is_some() {
        identities.extend(PROVIDERS.map(PodIdentity::from_provider));
    }
    let (auth, env) = filled(registry, trigger, &given);
    // An identity takes the place of credentials, so each is tried with and without them.
    for identity in identities {
        for auth in [&auth, &given.auth] {
            match run(auth.clone(), env.clone(), identity.clone()) {
                Ok(parsed) => return Outcome::Parsed(parsed),
                Err(faults) => certain.retain(|fault| faults.contains(fault)),
            }
        }
    }
    if certain.is_empty() { Outcome::Unknown } else { Outcome::Faults(certain) }
}

/// Something for every text that the unknown objects may hold.
fn filled(
    registry: &Registry,
    trigger: &ScaleTrigger,
    given: &Given,
) -> (BTreeMap<String, Secret>, BTreeMap<String, String>) {
    let (mut auth, mut env) = (given.auth.clone(), given.env.clone());
    if given.partial {
        let parameters =
            registry.get(&trigger.r#type).map(|factory| factory.parameters()).unwrap_or_default();
        for parameter in parameters {
            let text = matches!(parameter.shape, Shape::Text | Shape::Secret) && parameter.one_of.is_empty();
            if text && parameter.from.contains(&Origin::Auth) && trigger.authentication_ref.is_some() {
                auth.entry(parameter.name().to_owned()).or_insert_with(|| Secret::from(PLACEHOLDER));
            }
        }
        for (_, variable) in trigger.metadata.iter().filter(|(key, _)| key.ends_with(crate::config::FROM_ENV))
        {
            env.entry(variable.clone()).or_insert_with(|| PLACEHOLDER.to_owned());
        }
    }
    (auth, env)
}

/// The faults of a message that lists them one a line, each with what stands before the first.
fn faults(trigger_type: &str, message: &str) -> Vec<String> {
    let prefix = format!("error parsing {trigger_type} metadata: ");
    match message.strip_prefix(&prefix) {
        Some(listed) => listed.lines().map(|fault| format!("{prefix}{fault}")).collect(),
        None => vec![message.to_owned()],
    }
}

/// A notice's text, with the parameter that a misspelled one is likely meant to be.
pub fn notice_text(registry: &Registry, trigger: &ScaleTrigger, notice: &Notice) -> String {
    let declared = registry.get(&trigger.r#type).map(|factory| factory.parameters()).unwrap_or_default();
    let named = |origin: &Origin| matches!(origin, Origin::Metadata | Origin::Variable);
    let readable = declared.iter().filter(|parameter| parameter.from.iter().any(named));
    let names = readable.flat_map(|parameter| parameter.names.iter().copied());
    let mut text = notice.text.clone();
    if notice.kind == NoticeKind::Unread
        && let Some(key) = mentioned(trigger, &text)
        && let Some(meant) = nearest(key, names)
    {
        text.push_str(&format!(", did you mean {meant:?}?"));
    }
    text
}

/// The metadata entry that a text mentions first, as a word or as the source of one.
pub fn mentioned<'a>(trigger: &'a ScaleTrigger, text: &str) -> Option<&'a str> {
    let text = match text.strip_prefix("error parsing ") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, fault)| fault),
        None => text,
    };
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    words.find_map(|word| {
        let mut keys = trigger.metadata.keys().map(String::as_str);
        keys.find(|key| key.strip_suffix(crate::config::FROM_ENV).unwrap_or(key) == word || *key == word)
    })
}

#[cfg(test)]
mod tests;
