//! Secrets of a test are canaries: no output of the operator may hold one.
//!
//! The outputs are the log of every level, the metrics, and every version of every object but Secrets themselves, events and
//! conditions among them. `World::finish` looks at the end of every test and of every scenario, whatever it is about.

use std::{cell::RefCell, io, sync::Once};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

/// A shorter value could not be told from other words.
const SHORTEST: usize = 8;

thread_local! {
    /// What was logged by this thread since it [listens](listen). A test's runtime has one thread, so this is what the test logged.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to [`LINES`].
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what this thread logs, of every level, from now on.
///
/// For the whole process: with a subscriber for this thread alone, a log statement that another test reaches first stays
/// switched off for good (tracing-core asks that thread, which has no subscriber).
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    LINES.set(Some(Vec::new()));
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Lines)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
    });
}

/// What this thread logged.
pub(crate) fn heard() -> String {
    let lines = LINES.with_borrow(|lines| lines.clone().unwrap_or_default());
    String::from_utf8(lines).expect("logs are text")
}

/// A value that must not be shown, and the words for it.
#[derive(Clone, PartialEq)]
pub(crate) struct Canary {
    about: String,
    value: String,
}

impl Canary {
    /// Those of a manifest, or of a stored object: of anything but a Secret there are none.
    ///
    /// # Panics
    /// When a value is too short to be looked for.
    pub(crate) fn of(object: &Value) -> Vec<Self> {
        if object["kind"] != "Secret" {
            return Vec::new();
        }
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let entries = |field: &str| object[field].as_object().cloned().unwrap_or_default();
        let plain =
            entries("stringData").into_iter().map(|(key, value)| (key, value.as_str().unwrap().to_owned()));
        let encoded = entries("data").into_iter().map(|(key, value)| {
            let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).expect("data of a Secret is base64");
            (key, String::from_utf8(bytes).expect("secrets of tests are text"))
        });
        plain
            .chain(encoded)
            // Certificates are for everybody; their keys are not.
            .filter(|(_, value)| !value.is_empty() && !value.starts_with("-----BEGIN CERTIFICATE"))
            .flat_map(|(key, value)| {
                let about = format!("{key} of Secret {name}");
                let lines = value.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned);
                lines.map(move |value| Self { about: about.clone(), value }).collect::<Vec<_>>()
            })
            .inspect(|canary| {
                let length = canary.value.len();
                assert!(
                    length >= SHORTEST || canary.about.contains(".key"),
                    "{}: {SHORTEST} characters or more",
                    canary.about
                );
            })
            .filter(|canary| canary.value.len() >= SHORTEST)
            .collect()
    }

    /// Where it is shown, without showing it.
    pub(crate) fn shown_in(&self, outputs: &[(String, String)]) -> Vec<String> {
        let encoded = BASE64_STANDARD.encode(&self.value);
        let shows = |text: &str| text.contains(&self.value) || text.contains(&encoded);
        let found = outputs.iter().filter(|(_, text)| shows(text));
        found
            .map(|(place, text)| {
                let line = text.lines().find(|line| shows(line)).unwrap_or_default();
                let line = line.replace(&self.value, "<canary>").replace(&encoded, "<canary>");
                format!("{} in the {place}: {line}", self.about)
            })
            .collect()
    }
}
