//! Text format 0.0.4.

use std::fmt::Write as _;

/// Content type of [`super::Registry::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Scrape {
    page: String,
}

impl Scrape {
    /// A gauge family of one series without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.sample(name, "", value);
    }

    /// A gauge family of one label. Nothing is written when there are no series.
    pub fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        series: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        let mut series = series.into_iter().peekable();
        if series.peek().is_some() {
            self.head(name, help, "gauge");
        }
        for (of, value) in series {
            self.sample(name, &labels(&[label], &[of]), value);
        }
    }

    /// A counter family of one series without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "counter");
        self.sample(name, "", value);
    }

    pub(crate) fn head(&mut self, name: &str, help: &str, kind: &str) {
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
