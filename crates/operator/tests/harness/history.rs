//! What happened: every version of every object that matters, decisions, and a timeline for people.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keda_operator::Decided;
use keda_testkit::Recorded;
use serde_json::Value;

use super::time::Shown;

/// One version of an object; `None` once it is gone.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub at: Duration,
    pub object: Option<Value>,
    /// Who last changed the replicas, for workloads.
    pub scaled_by: Option<String>,
}

/// Everything that was seen. Offsets count from the start of the scenario.
#[derive(Default)]
pub(crate) struct History {
    /// By `Kind/namespace/name`.
    objects: BTreeMap<String, Vec<Version>>,
    decisions: Vec<(Duration, Decided)>,
    writes: Vec<(Duration, Recorded)>,
    lines: Vec<(Duration, String)>,
}

/// A shared history.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<History>>);

impl Log {
    pub(crate) fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// Notes a version of an object. `writer` says who wrote last, should the replicas have changed.
    pub(crate) fn saw(
        &mut self,
        at: Duration,
        kind: &str,
        key: &str,
        object: Option<Value>,
        writer: impl FnOnce() -> String,
    ) {
        let path = format!("{kind}/{key}");
        let before = self.objects.get(&path).and_then(|versions| versions.last()).cloned();
        let old = before.as_ref().and_then(|version| version.object.as_ref());
        if old == object.as_ref() {
            return;
        }
        let mut scaled_by = before.as_ref().and_then(|version| version.scaled_by.clone());
        if let Some(new) = &object
            && replicas(new) != old.and_then(replicas)
        {
            scaled_by = Some(writer());
        }
        for line in tell(&path, old, object.as_ref(), scaled_by.as_deref()) {
            self.lines.push((at, line));
        }
        self.objects.entry(path).or_default().push(Version { at, object, scaled_by });
    }

    pub(crate) fn decided(&mut self, at: Duration, decided: Decided) {
        let last = self.decisions.iter().rev().find(|(_, earlier)| earlier.object == decided.object);
        let news = last.is_none_or(|(_, last)| last.decision.why != decided.decision.why);
        if news || decided.decision.action.change().is_some() {
            self.lines.push((at, format!("decision {}: {}", decided.object, decided.decision)));
        }
        if let Some(broken) = &decided.broken {
            self.lines.push((at, format!("BROKEN PROMISE {}: {broken}", decided.object)));
        }
        self.decisions.push((at, decided));
    }

    /// Notes writes of the operator.
    pub(crate) fn wrote(&mut self, at: Duration, request: Recorded) {
        let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let Recorded { method, path, .. } = &request;
        self.lines.push((at, format!("    operator: {method} {path} ({status})")));
        self.writes.push((at, request));
    }

    pub(crate) fn say(&mut self, at: Duration, line: impl Into<String>) {
        self.lines.push((at, line.into()));
    }

    /// The versions of one object, oldest first.
    pub(crate) fn versions(&self, kind: &str, key: &str) -> &[Version] {
        self.objects.get(&format!("{kind}/{key}")).map_or(&[], Vec::as_slice)
    }

    /// Every version of every object.
    pub(crate) fn everything(&self) -> impl Iterator<Item = &Value> {
        self.objects.values().flatten().filter_map(|version| version.object.as_ref())
    }

    /// An object as it was at a moment.
    pub(crate) fn at(&self, kind: &str, key: &str, moment: Duration) -> Option<&Version> {
        self.versions(kind, key).iter().rev().find(|version| version.at <= moment)
    }

    /// Every moment at which anything changed.
    pub(crate) fn moments(&self) -> Vec<Duration> {
        let mut moments: Vec<_> = self.objects.values().flatten().map(|version| version.at).collect();
        moments.sort();
        moments.dedup();
        moments
    }

    pub(crate) fn decisions(&self) -> &[(Duration, Decided)] {
        &self.decisions
    }

    pub(crate) fn writes(&self) -> &[(Duration, Recorded)] {
        &self.writes
    }

    /// The reasons of all events.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let reason = |(_, event): &(Duration, &Value)| event["reason"].as_str().map(str::to_owned);
        self.events().iter().filter_map(reason).collect()
    }

    /// The newest version of every event, with the time at which it was first seen.
    pub(crate) fn events(&self) -> Vec<(Duration, &Value)> {
        let of_event = |(path, versions): (&String, &'_ Vec<Version>)| {
            path.starts_with("Event/") && !versions.is_empty()
        };
        let mut events: Vec<_> = self
            .objects
            .iter()
            .filter(|entry| of_event(*entry))
            .filter_map(|(_, versions)| {
                let newest = versions.iter().rev().find_map(|version| version.object.as_ref())?;
                Some((versions[0].at, newest))
            })
            .collect();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// What happened, a line each, in order; of a long story the last lines.
    pub(crate) fn timeline(&self) -> String {
        const LINES: usize = 250;
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort_by_key(|(at, _)| *at);
        let skipped = lines.len().saturating_sub(LINES);
        let mut text = String::new();
        if skipped > 0 {
            text.push_str(&format!("  ({skipped} earlier lines)\n"));
        }
        for (at, line) in &lines[skipped..] {
            text.push_str(&format!("  {}  {line}\n", Shown(*at)));
        }
        text
    }
}

/// `spec.replicas` of a workload; of other kinds nothing.
pub(crate) fn replicas(object: &Value) -> Option<i64> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let no_workload = ["HorizontalPodAutoscaler", "ScaledObject", "Event"].contains(&kind);
    if no_workload { None } else { object.pointer("/spec/replicas")?.as_i64() }
}

/// Lines about the difference between two versions.
fn tell(path: &str, old: Option<&Value>, new: Option<&Value>, by: Option<&str>) -> Vec<String> {
    let Some(new) = new else { return vec![format!("{path} is gone")] };
    let mut lines = Vec::new();
    if path.starts_with("Event/") {
        if old.is_none() {
            let text = |pointer: &str| new.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (kind, name) = (text("/regarding/kind"), text("/regarding/name"));
            lines.push(format!(
                "event {} {kind}/{name} {}: {}",
                text("/type"),
                text("/reason"),
                text("/note")
            ));
        }
        return lines;
    }
    if old.is_none() {
        lines.push(format!("{path} appears"));
    }
    let changed = |pointer: &str| {
        let (was, is) = (old.and_then(|old| old.pointer(pointer)), new.pointer(pointer));
        (was != is).then(|| format!("{} -> {}", was.unwrap_or(&Value::Null), is.unwrap_or(&Value::Null)))
    };
    if replicas(new).is_some()
        && let Some(change) = changed("/spec/replicas")
    {
        lines.push(format!("{path} replicas {change} by {}", by.unwrap_or("?")));
    }
    for pointer in
        ["/spec/minReplicas", "/spec/maxReplicas", "/metadata/deletionTimestamp", "/metadata/annotations"]
    {
        if old.is_some()
            && let Some(change) = changed(pointer)
        {
            lines.push(format!("{path} {pointer} {change}"));
        }
    }
    if path.starts_with("ScaledObject/") {
        for condition in new.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten() {
            let kind = &condition["type"];
            let before = old
                .and_then(|old| old.pointer("/status/conditions"))
                .and_then(Value::as_array)
                .and_then(|all| all.iter().find(|other| other["type"] == *kind));
            if before != Some(condition) {
                let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
                let (kind, status) = (text("type"), text("status"));
                lines.push(format!("{path} {kind}={status} {}: {}", text("reason"), text("message")));
            }
        }
    }
    lines
}
