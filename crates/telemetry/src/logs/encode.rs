//! One record to one line, in the shapes of zap's json and console encoders.

use std::fmt::Write as _;

use jiff::Timestamp;
use tracing::field::{Field, Visit};

use super::{Encoder, TimeEncoding};

/// Fields as the inside of a JSON object, each with a leading comma; and what stands elsewhere in the record.
#[derive(Default)]
pub(crate) struct Fields {
    /// `,"key":value,…`, or with a blank after `,` and `:` when spaced.
    pub(crate) text: String,
    pub(crate) message: String,
    pub(crate) logger: Option<String>,
    spaced: bool,
}

impl Fields {
    pub(crate) fn new(encoder: Encoder) -> Self {
        Self { spaced: encoder == Encoder::Console, ..Self::default() }
    }

    fn key(&mut self, name: &str) {
        self.text.push_str(if self.spaced { ", " } else { "," });
        string(&mut self.text, name.strip_prefix("r#").unwrap_or(name));
        self.text.push_str(if self.spaced { ": " } else { ":" });
    }

    fn plain(&mut self, field: &Field, value: impl std::fmt::Display) {
        self.key(field.name());
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // `%value` and the message come through here too; their Debug is their Display.
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            "logger" => self.logger = Some(format!("{value:?}")),
            name => {
                self.key(name);
                string(&mut self.text, &format!("{value:?}"));
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "logger" => self.logger = Some(value.to_owned()),
            name => {
                self.key(name);
                string(&mut self.text, value);
            }
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.key(field.name());
        if value.is_finite() {
            let _ = write!(self.text, "{value}");
        } else {
            // As zap: JSON has no such number.
            string(
                &mut self.text,
                if value.is_nan() {
                    "NaN"
                } else if value > 0.0 {
                    "+Inf"
                } else {
                    "-Inf"
                },
            );
        }
    }
}

/// What a line is made of.
pub(crate) struct Line<'a> {
    pub(crate) level: &'static str,
    pub(crate) time: Timestamp,
    pub(crate) logger: &'a str,
    pub(crate) message: &'a str,
    /// Each as [`Fields::text`].
    pub(crate) fields: &'a [&'a str],
}

/// Appends the record and a line break.
pub(crate) fn line(out: &mut String, encoder: Encoder, time: TimeEncoding, line: &Line<'_>) {
    match encoder {
        Encoder::Json => {
            out.push_str("{\"level\":\"");
            out.push_str(line.level);
            out.push_str("\",\"ts\":");
            stamp(out, time, line.time, true);
            if !line.logger.is_empty() {
                out.push_str(",\"logger\":");
                string(out, line.logger);
            }
            out.push_str(",\"msg\":");
            string(out, line.message);
            for fields in line.fields {
                out.push_str(fields);
            }
            out.push_str("}\n");
        }
        Encoder::Console => {
            stamp(out, time, line.time, false);
            out.push('\t');
            out.extend(line.level.chars().map(|c| c.to_ascii_uppercase()));
            out.push('\t');
            if !line.logger.is_empty() {
                out.push_str(line.logger);
                out.push('\t');
            }
            // One record is one line, whatever a message holds.
            out.extend(line.message.chars().map(|c| if c == '\n' { ' ' } else { c }));
            let mut first = true;
            for fields in line.fields.iter().filter(|fields| !fields.is_empty()) {
                if first {
                    out.push_str("\t{");
                    out.push_str(fields.trim_start_matches(", "));
                    first = false;
                } else {
                    out.push_str(fields);
                }
            }
            if !first {
                out.push('}');
            }
            out.push('\n');
        }
    }
}

fn stamp(out: &mut String, encoding: TimeEncoding, time: Timestamp, json: bool) {
    let nanos = time.as_nanosecond();
    let quote = if json { "\"" } else { "" };
    // Writing to a String cannot fail.
    let _ = match encoding {
        TimeEncoding::Epoch => write!(out, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
        TimeEncoding::Millis => write!(out, "{}.{:06}", nanos / 1_000_000, nanos % 1_000_000),
        TimeEncoding::Nano => write!(out, "{nanos}"),
        TimeEncoding::Iso8601 => write!(out, "{quote}{time:.3}{quote}"),
        TimeEncoding::Rfc3339 => write!(out, "{quote}{time:.0}{quote}"),
        TimeEncoding::Rfc3339Nano => write!(out, "{quote}{time:.9}{quote}"),
    };
}

/// A JSON string.
fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        let byte = rest.as_bytes()[at];
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            other => {
                let _ = write!(out, "\\u{other:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
