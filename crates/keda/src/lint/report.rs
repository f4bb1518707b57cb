//! What was found, and how it is written.

use anyhow::{Context, Result};
use keda_core::metric::MetricSpec;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// The API server, admission or the operator would refuse it.
    Error,
    /// It works, and probably not as meant; or it cannot be judged from the files.
    Warning,
}

/// One thing that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) line: u64,
    pub(super) severity: Severity,
    pub(super) text: String,
}

impl Finding {
    pub(super) fn error(line: u64, text: impl Into<String>) -> Self {
        Self { line, severity: Severity::Error, text: text.into() }
    }

    pub(super) fn warning(line: u64, text: impl Into<String>) -> Self {
        Self { line, severity: Severity::Warning, text: text.into() }
    }
}

/// What is to be expected of an object or a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// It is accepted, as far as can be seen from the files.
    Ok,
    /// It is refused.
    Error,
    /// It depends on objects that are not among the files.
    Unknown,
}

/// An object, or one of its triggers.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: String,
    pub(super) line: u64,
    /// Empty for a document that is no object.
    pub(super) kind: String,
    /// `namespace/name`, or the name of a cluster's object.
    pub(super) object: String,
    pub(super) trigger: Option<Trigger>,
    /// Whether one of the object's triggers is refused, and the object with it.
    pub(super) spoiled: bool,
    pub(super) findings: Vec<Finding>,
}

/// The part of an entry that only triggers have.
#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) trigger_type: String,
    pub(super) index: usize,
    /// Whether the files say enough to judge it.
    pub(super) known: bool,
    pub(super) metrics: Vec<MetricSpec>,
}

/// Everything, in the order of the files.
#[derive(Debug, Default)]
pub struct Report {
    pub(super) entries: Vec<Entry>,
}

/// An entry as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    file: &'a str,
    line: u64,
    kind: &'a str,
    object: &'a str,
    trigger: Option<&'a str>,
    index: Option<usize>,
    verdict: Verdict,
    errors: Vec<&'a str>,
    warnings: Vec<&'a str>,
    metric_names: Vec<&'a str>,
    targets: Vec<String>,
    target_types: Vec<&'static str>,
    findings: &'a [Finding],
}

impl Entry {
    fn texts(&self, severity: Severity) -> impl Iterator<Item = &str> {
        self.findings
            .iter()
            .filter(move |finding| finding.severity == severity)
            .map(|finding| finding.text.as_str())
    }

    /// What is to be expected of it.
    pub(super) fn verdict(&self) -> Verdict {
        if self.spoiled || self.texts(Severity::Error).next().is_some() {
            Verdict::Error
        } else if self.trigger.as_ref().is_some_and(|trigger| !trigger.known) {
            Verdict::Unknown
        } else {
            Verdict::Ok
        }
    }

    fn title(&self) -> String {
        format!("{} {}", self.kind, self.object).trim().to_owned()
    }

    /// What stands before the text of a finding.
    fn subject(&self) -> String {
        match (&self.trigger, self.title()) {
            (Some(trigger), title) => {
                format!("{title}: trigger {} ({}): ", trigger.index, trigger.trigger_type)
            }
            (None, title) if title.is_empty() => title,
            (None, title) => format!("{title}: "),
        }
    }

    fn line(&self) -> Line<'_> {
        let trigger = self.trigger.as_ref();
        let metrics = trigger.map(|trigger| trigger.metrics.as_slice()).unwrap_or_default();
        Line {
            file: &self.file,
            line: self.line,
            kind: &self.kind,
            object: &self.object,
            trigger: trigger.map(|trigger| trigger.trigger_type.as_str()),
            index: trigger.map(|trigger| trigger.index),
            verdict: self.verdict(),
            errors: self.texts(Severity::Error).collect(),
            warnings: self.texts(Severity::Warning).collect(),
            metric_names: metrics.iter().map(MetricSpec::name).collect(),
            targets: metrics.iter().map(|metric| metric.target().to_string()).collect(),
            target_types: metrics.iter().map(|metric| metric.target_type().as_str()).collect(),
            findings: &self.findings,
        }
    }
}

impl Report {
    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        self.entries.iter().map(|entry| entry.texts(severity).count()).sum()
    }

    /// A list with one member an object and one a trigger, as JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON: a defect.
    pub fn json(&self) -> Result<String> {
        let lines: Vec<Line<'_>> = self.entries.iter().map(Entry::line).collect();
        let mut text = serde_json::to_string_pretty(&lines).context("write the report as JSON")?;
        text.push('\n');
        Ok(text)
    }

    /// For people: one line an object and a trigger, and below each what was found, in the form that editors jump by
    /// (`file:line: error: …`).
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for entry in &self.entries {
            if let Some(trigger) = entry.trigger.as_ref().filter(|trigger| !trigger.metrics.is_empty()) {
                let metrics = trigger.metrics.iter().map(|metric| {
                    format!("{} at {} ({})", metric.name(), metric.target(), metric.target_type())
                });
                lines.push(format!(
                    "{}:{}: {}{}",
                    entry.file,
                    entry.line,
                    entry.subject(),
                    metrics.collect::<Vec<_>>().join(", ")
                ));
            } else if entry.findings.is_empty() {
                let verdict = match entry.verdict() {
                    Verdict::Ok => "ok",
                    Verdict::Error => "refused, see its triggers",
                    Verdict::Unknown => "cannot be judged from these files",
                };
                lines.push(format!("{}:{}: {}{verdict}", entry.file, entry.line, entry.subject()));
            }
            for finding in &entry.findings {
                let severity = match finding.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                };
                lines.push(format!(
                    "{}:{}: {severity}: {}{}",
                    entry.file,
                    finding.line,
                    entry.subject(),
                    finding.text
                ));
            }
        }
        let (mut objects, mut triggers) = (0, 0);
        for entry in &self.entries {
            match entry.trigger {
                Some(_) => triggers += 1,
                None => objects += 1,
            }
        }
        lines.push(format!(
            "{}, {}: {}, {}",
            counted(objects, "object"),
            counted(triggers, "trigger"),
            counted(self.errors(), "error"),
            counted(self.count(Severity::Warning), "warning")
        ));
        lines.push(String::new());
        lines.join("\n")
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
