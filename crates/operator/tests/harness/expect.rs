//! Holds what happened against what a scenario expects.

use std::{collections::BTreeMap, time::Duration};

use keda_core::decide::Why;
use serde_json::Value;

use super::{
    history::{History, replicas},
    kinds::Reference,
    matching::mismatch,
    run::SETTLED,
    scenario::{Count, Event, Expectation, MetricAnswer, Scenario},
    time::{Moment, Shown},
    world::World,
};

/// What the metrics service answered, by the number of the expectation.
pub(crate) type Answers = BTreeMap<usize, Result<String, String>>;

/// When an expectation holds.
#[derive(Clone, Copy)]
enum Span {
    At(Duration),
    Within(Duration, Duration),
    Always(Duration, Duration),
}

impl Span {
    fn of(expectation: &Expectation, scenario: &Scenario, world: &World) -> Result<Self, String> {
        let since = |moment: Moment| moment.since(world.start());
        match (expectation.at, expectation.within, expectation.always) {
            (Some(at), None, None) => Ok(Self::At(since(at))),
            (None, Some([from, to]), None) => Ok(Self::Within(since(from), since(to))),
            (None, None, Some([from, to])) => Ok(Self::Always(since(from), since(to))),
            (None, None, None) => Ok(Self::At(scenario.run.0)),
            _ => Err("give one of at, within and always".to_owned()),
        }
    }

    /// What is counted: from, and to the moment after the end at which consequences have settled.
    fn window(self) -> (Duration, Duration) {
        match self {
            Self::At(at) => (Duration::ZERO, at + SETTLED),
            Self::Within(from, to) | Self::Always(from, to) => (from, to + SETTLED),
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => write!(f, "at {}", Shown(*at)),
            Self::Within(from, to) => write!(f, "within {} and {}", Shown(*from), Shown(*to)),
            Self::Always(from, to) => write!(f, "always from {} to {}", Shown(*from), Shown(*to)),
        }
    }
}

/// Everything that is not as expected, promises of every decision included.
pub(crate) fn check(scenario: &Scenario, history: &History, world: &World, answers: &Answers) -> Vec<String> {
    let mut faults: Vec<String> = history
        .decisions()
        .iter()
        .filter_map(|(at, decided)| {
            let broken = decided.broken.as_ref()?;
            Some(format!("{} {}: {broken}", Shown(*at), decided.object))
        })
        .collect();
    for (index, expectation) in scenario.expect.iter().enumerate() {
        let found = match Span::of(expectation, scenario, world) {
            Ok(span) => check_one(expectation, span, history, world, answers.get(&index))
                .into_iter()
                .map(|fault| format!("{span}: {fault}"))
                .collect(),
            Err(error) => vec![error],
        };
        let because = expectation.because.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
        faults.extend(found.into_iter().map(|fault| format!("expectation {}{because}, {fault}", index + 1)));
    }
    faults
}

fn check_one(
    expectation: &Expectation,
    span: Span,
    history: &History,
    world: &World,
    answer: Option<&Result<String, String>>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let at = |moment| state(expectation, history, moment);
    match span {
        Span::At(moment) => faults.extend(at(moment + SETTLED)),
        Span::Within(from, to) => {
            let before = from.checked_sub(Duration::from_millis(1)).filter(|_| has_state(expectation));
            if before.is_some_and(|before| at(before).is_none()) {
                faults.push("it was so before".to_owned());
            } else if !moments(history, from, to).into_iter().any(|moment| at(moment).is_none()) {
                faults.extend(at(to + SETTLED).map(|fault| format!("never; at the end {fault}")));
            }
        }
        Span::Always(from, to) => {
            let first = moments(history, from, to)
                .into_iter()
                .find_map(|moment| Some(format!("not at {}: {}", Shown(moment), at(moment)?)));
            faults.extend(first);
        }
    }
    let (from, to) = span.window();
    let in_window = |moment: Duration| from <= moment && moment <= to;
    faults.extend(events(&expectation.events, history, from, to));
    let writes: Vec<_> = history.writes().iter().filter(|(at, _)| in_window(*at)).collect();
    if expectation.quiet && !writes.is_empty() {
        let first = &writes[0].1;
        faults.push(format!(
            "the operator wrote {} times, first {} {}",
            writes.len(),
            first.method,
            first.path
        ));
    }
    for (what, count) in &expectation.writes {
        let seen =
            writes.iter().filter(|(_, w)| format!("{} {}", w.verb.name(), w.resource) == *what).count();
        if !count.holds(seen) {
            faults.push(format!("{seen} writes {what:?}, wanted {count:?}"));
        }
    }
    for (name, wanted) in &expectation.decisions {
        faults.extend(decisions(name, wanted, history, in_window));
    }
    for (query, count) in &expectation.asked {
        let asked = world.source.asked();
        let seen = asked.iter().filter(|asked| asked.query == *query && in_window(asked.at)).count();
        if !count.holds(seen) {
            faults.push(format!("the source was asked {query:?} {seen} times, wanted {count:?}"));
        }
    }
    if let Some(question) = &expectation.metric {
        faults.extend(metric(question, answer));
    }
    faults
}

/// Whether anything is expected that can be seen at a moment.
fn has_state(expectation: &Expectation) -> bool {
    !(expectation.replicas.is_empty()
        && expectation.conditions.is_empty()
        && expectation.objects.is_empty()
        && expectation.absent.is_empty())
}

/// The bounds of a span and every moment within it at which something changed.
fn moments(history: &History, from: Duration, to: Duration) -> Vec<Duration> {
    let between = history.moments().into_iter().filter(|moment| from < *moment && *moment <= to);
    [from].into_iter().chain(between).chain([to]).collect()
}

/// What is not as expected at a moment, of that which can be seen at one.
fn state(expectation: &Expectation, history: &History, moment: Duration) -> Option<String> {
    for (workload, wanted) in &expectation.replicas {
        let reference = workload_reference(workload);
        let version = history.at(&reference.resource.kind, &reference.key(), moment);
        let seen = version.and_then(|version| version.object.as_ref()).and_then(replicas);
        let (count, by) = match wanted {
            Value::Object(map) => {
                (map.get("is").and_then(Value::as_i64), map.get("by").and_then(Value::as_str))
            }
            other => (other.as_i64(), None),
        };
        if count.is_some() && seen != count {
            return Some(format!("{workload} has {seen:?} replicas, wanted {wanted}"));
        }
        let scaled_by = version.and_then(|version| version.scaled_by.as_deref());
        if by.is_some() && scaled_by != by {
            return Some(format!("{workload} was scaled by {scaled_by:?}, wanted {wanted}"));
        }
    }
    for (name, conditions) in &expectation.conditions {
        let object = object(history, &format!("ScaledObject/{name}"), moment);
        if let Some(fault) = check_conditions(name, conditions, object) {
            return Some(fault);
        }
    }
    for (path, wanted) in &expectation.objects {
        if let Some(fault) = mismatch(path, wanted, object(history, path, moment)) {
            return Some(fault);
        }
    }
    expectation
        .absent
        .iter()
        .find(|path| object(history, path, moment).is_some())
        .map(|path| format!("{path} is there"))
}

fn workload_reference(text: &str) -> Reference {
    if text.contains('/') { Reference::parse(text) } else { Reference::parse(&format!("Deployment/{text}")) }
}

fn object<'a>(history: &'a History, path: &str, moment: Duration) -> Option<&'a Value> {
    let reference = Reference::parse(path);
    history.at(&reference.resource.kind, &reference.key(), moment)?.object.as_ref()
}

fn check_conditions(
    name: &str,
    wanted: &BTreeMap<String, Vec<Value>>,
    object: Option<&Value>,
) -> Option<String> {
    let list = object.and_then(|object| object.pointer("/status/conditions")).and_then(Value::as_array);
    for (kind, wanted) in wanted {
        let condition = list.into_iter().flatten().find(|condition| condition["type"] == kind.as_str());
        let Some(condition) = condition else { return Some(format!("{name} has no condition {kind}")) };
        let field = |field: &str| condition[field].as_str().unwrap_or_default();
        let shown = || format!("{name} {kind} is {condition}, wanted {}", Value::from(wanted.clone()));
        for (index, wanted) in wanted.iter().enumerate() {
            let good = match (index, wanted) {
                (0, Value::Bool(true)) => field("status") == "True",
                (0, Value::Bool(false)) => field("status") == "False",
                (0, wanted) => wanted == field("status"),
                (1, wanted) => wanted == field("reason"),
                (_, wanted) => field("message").contains(wanted.as_str().unwrap_or_default()),
            };
            if !good {
                return Some(shown());
            }
        }
    }
    None
}

fn events(wanted: &BTreeMap<String, Event>, history: &History, from: Duration, to: Duration) -> Vec<String> {
    let mut faults = Vec::new();
    for (reason, wanted) in wanted {
        let about = |event: &Value| {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            format!("{}/{}", text("/regarding/kind"), text("/regarding/name"))
        };
        let matching: Vec<_> = history
            .events()
            .into_iter()
            .filter(|(at, event)| from <= *at && *at <= to && event["reason"] == reason.as_str())
            .filter(|(_, event)| wanted.about.as_ref().is_none_or(|path| *path == about(event)))
            .collect();
        let noted = |event: &Value| {
            let note = event["note"].as_str().unwrap_or_default();
            wanted.note.as_ref().is_none_or(|part| note.contains(part.as_str()))
        };
        let count = matching.iter().filter(|(_, event)| noted(event)).count();
        let good = wanted.count.map_or(count > 0, |wanted: Count| wanted.holds(count));
        if !good {
            let notes: Vec<_> = matching.iter().map(|(_, event)| event["note"].to_string()).collect();
            faults.push(format!(
                "{count} events {reason} as {wanted:?}; of the reason: [{}]",
                notes.join(", ")
            ));
        }
    }
    faults
}

/// The reasons of an object's decisions, repetitions left out.
fn decisions(
    name: &str,
    wanted: &[String],
    history: &History,
    in_window: impl Fn(Duration) -> bool,
) -> Option<String> {
    let mut seen: Vec<Why> = history
        .decisions()
        .iter()
        .filter(|(at, decided)| in_window(*at) && decided.object.name == name)
        .map(|(_, decided)| decided.decision.why)
        .collect();
    seen.dedup();
    let seen: Vec<String> = seen
        .into_iter()
        .filter_map(|why| serde_json::to_value(why).ok()?.as_str().map(str::to_owned))
        .collect();
    (seen != wanted).then(|| format!("{name} was decided on as {seen:?}, wanted {wanted:?}"))
}

fn metric(question: &MetricAnswer, answer: Option<&Result<String, String>>) -> Option<String> {
    let good = match (answer, &question.is, &question.error) {
        (Some(Ok(value)), Some(wanted), None) => value == wanted,
        (Some(Err(text)), None, Some(part)) => text.contains(part.as_str()),
        _ => false,
    };
    (!good).then(|| format!("metric {} of {}: {answer:?}, wanted {question:?}", question.name, question.of))
}
