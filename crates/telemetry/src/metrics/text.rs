//! Text format 0.0.4.

use std::fmt::Write as _;

use super::table::Definition;

/// Content type of [`super::Registry::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Scrape {
    page: String,
}

impl Scrape {
    /// A family of one series without labels.
    pub fn value(&mut self, definition: &Definition, value: f64) {
        self.head(definition);
        self.sample(definition.name, "", value);
    }

    /// A family of one label. Nothing is written when there are no series.
    pub fn values<'a>(&mut self, definition: &Definition, series: impl IntoIterator<Item = (&'a str, f64)>) {
        let mut series = series.into_iter().peekable();
        if series.peek().is_some() {
            self.head(definition);
        }
        for (of, value) in series {
            self.sample(definition.name, &labels(definition.labels, &[of]), value);
        }
    }

    pub(crate) fn head(&mut self, definition: &Definition) {
        let Definition { name, help, .. } = definition;
        let kind = definition.type_name();
        // Writing to a String cannot fail, here and below.
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.page, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// `labels` as [`labels`] makes them.
    pub(crate) fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        let _ = write!(self.page, "{name}{open}{labels}{close} ");
        number(&mut self.page, value);
        self.page.push('\n');
    }

    pub(crate) fn finish(self) -> String {
        self.page
    }
}

/// `a="x",b="y"`, in the order given.
pub(crate) fn labels(names: &[&str], values: &[&str]) -> String {
    let mut text = String::with_capacity(names.len() * 24);
    for (name, value) in names.iter().zip(values) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text
}

pub(crate) fn number(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(out, "{value}");
    }
}
