//! What was found, as a table or as JSON.

use std::fmt::Write as _;

use keda_scaler::Error;
use serde_json::{Value, json};

/// Findings in the order of the way.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Heading(String),
    Finding { mark: Mark, step: &'static str, text: String, fix: Option<String>, see: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Bad,
    Unknown,
}

impl Report {
    /// Begins the findings about something.
    pub(super) fn heading(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Heading(text.into()));
    }

    /// A step that succeeded.
    pub(super) fn good(&mut self, step: &'static str, text: impl Into<String>) {
        self.push(Mark::Good, step, text.into(), None, None);
    }

    /// A step that nothing can be said about.
    pub(super) fn unknown(&mut self, step: &'static str, text: impl Into<String>) {
        self.push(Mark::Unknown, step, text.into(), None, None);
    }

    /// A step that failed, with what to do.
    pub(super) fn wrong(&mut self, step: &'static str, text: impl Into<String>, advice: &str) {
        self.push(Mark::Bad, step, text.into(), Some(advice.to_owned()), None);
    }

    /// A step that failed as the operator says it.
    pub(super) fn failed(&mut self, step: &'static str, error: &Error) {
        let Some(code) = error.code else { return self.wrong(step, error.message.clone(), "") };
        let bracketed = format!(" [{code}]");
        let (what, advice) = error.message.split_once(&bracketed).unwrap_or((&error.message, ""));
        let advice = advice.trim_start_matches(';').trim().to_owned();
        self.push(Mark::Bad, step, what.to_owned(), Some(advice), Some(format!("docs/errors/{code}.md")));
    }

    fn push(
        &mut self,
        mark: Mark,
        step: &'static str,
        text: String,
        fix: Option<String>,
        see: Option<String>,
    ) {
        let fix = fix.filter(|fix| !fix.is_empty());
        self.lines.push(Line::Finding { mark, step, text, fix, see });
    }

    /// Whether nothing is wrong.
    pub(super) fn is_well(&self) -> bool {
        !self.lines.iter().any(|line| matches!(line, Line::Finding { mark: Mark::Bad, .. }))
    }

    /// The table.
    pub(super) fn text(&self) -> String {
        let width = self.lines.iter().map(|line| match line {
            Line::Heading(_) => 0,
            Line::Finding { step, .. } => step.len(),
        });
        let width = width.max().unwrap_or_default();
        let mut table = String::new();
        for line in &self.lines {
            let written = match line {
                Line::Heading(text) => writeln!(table, "{text}"),
                Line::Finding { mark, step, text, fix, see } => {
                    let mark = match mark {
                        Mark::Good => '✓',
                        Mark::Bad => '✗',
                        Mark::Unknown => '-',
                    };
                    let more = [("fix", fix), ("see", see)];
                    let more = more.into_iter().filter_map(|(what, text)| Some((what, text.as_ref()?)));
                    let rest: String =
                        more.map(|(what, text)| format!("    {:width$}  {what}: {text}\n", "")).collect();
                    writeln!(table, "  {mark} {step:width$}  {text}").and_then(|()| table.write_str(&rest))
                }
            };
            // Writing to a string cannot fail.
            debug_assert!(written.is_ok());
        }
        table
    }

    /// For programs: `{"well": false, "findings": [{"about", "step", "mark", "text", "fix", "see"}]}`, with `mark` one of `good`, `wrong`
    /// and `unknown`.
    pub(super) fn json(&self) -> Value {
        let mut about = "";
        let mut findings = Vec::new();
        for line in &self.lines {
            match line {
                Line::Heading(text) => about = text,
                Line::Finding { mark, step, text, fix, see } => {
                    let mark = match mark {
                        Mark::Good => "good",
                        Mark::Bad => "wrong",
                        Mark::Unknown => "unknown",
                    };
                    findings.push(json!({
                        "about": about, "step": step, "mark": mark, "text": text, "fix": fix, "see": see,
                    }));
                }
            }
        }
        json!({ "well": self.is_well(), "findings": findings })
    }
}
