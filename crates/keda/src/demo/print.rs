//! How the demo's lines look: on a terminal with colour and a line of progress, in a pipe with neither.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::Output;

/// One decision, whoever made it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// When, RFC 3339.
    pub(crate) time: Timestamp,
    /// `namespace/name` of the ScaledObject.
    pub(crate) object: String,
    /// The metric's value, if it could be read.
    pub(crate) value: Option<f64>,
    /// The value that one replica takes.
    pub(crate) target: f64,
    /// Replicas before.
    pub(crate) from: i32,
    /// Replicas from now on.
    pub(crate) replicas: i32,
    /// Who acted: `operator` or `hpa`.
    pub(crate) by: &'static str,
    /// Why.
    pub(crate) reason: String,
}

pub(crate) struct Printer {
    output: Output,
    /// Progress is drawn, and wiped before anything else is printed.
    terminal: bool,
    drawn: bool,
}

impl Printer {
    pub(crate) fn new(output: Output) -> Self {
        let terminal = output == Output::Text && std::io::stdout().is_terminal();
        Printer { output, terminal, drawn: false }
    }

    /// A remark for people; nothing in JSON.
    pub(crate) fn say(&mut self, remark: &str) {
        if self.output == Output::Text {
            self.wipe();
            write_line(&self.paint("2", format!("# {remark}").trim_end()));
        }
    }

    /// A fact for programs; nothing for people.
    pub(crate) fn data(&mut self, fact: &serde_json::Value) {
        if self.output == Output::Json {
            write_line(&fact.to_string());
        }
    }

    pub(crate) fn line(&mut self, line: &Line) {
        self.wipe();
        if self.output == Output::Json {
            write_line(&serde_json::to_string(line).unwrap_or_default());
            return;
        }
        let time = line.time.to_zoned(TimeZone::UTC).strftime("%H:%M:%S%.3f").to_string();
        let value = line.value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        let moved = line.from != line.replicas;
        let replicas =
            if moved { format!("{} -> {}", line.from, line.replicas) } else { line.replicas.to_string() };
        let by = match line.by {
            "hpa" => self.paint("34", "hpa     "),
            _ => self.paint("35", "operator"),
        };
        let replicas = format!("{replicas:<7}");
        let replicas = if moved { self.paint("1;32", &replicas) } else { replicas };
        write_line(&format!(
            "{time}  value {value:>5}  target {:<4}  replicas {replicas}  {by}  {}",
            line.target, line.reason
        ));
    }

    /// A line that is drawn over itself; on a terminal only.
    pub(crate) fn progress(&mut self, elapsed: Duration, value: Option<f64>, replicas: i32) {
        if !self.terminal {
            return;
        }
        let bar = "#".repeat(usize::try_from(replicas).unwrap_or(0));
        let value = value.map_or_else(String::new, |value| format!("  load {value:>4}"));
        let text = format!("\r\x1b[2K{:>5.1} s{value}  replicas {replicas:>2} {bar}", elapsed.as_secs_f64());
        let mut out = std::io::stdout().lock();
        let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.drawn = true;
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _closed = std::io::stdout().write_all(b"\r\x1b[2K");
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.terminal { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn write_line(text: &str) {
    // Whoever reads the pipe may have seen enough; the demo's exit code does not depend on it.
    let _closed = writeln!(std::io::stdout(), "{text}");
}
