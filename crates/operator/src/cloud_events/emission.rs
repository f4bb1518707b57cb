//! One event on its way, and its two forms on the wire.
//!
//! Attributes are upstream's (platform.md §5.5). `id` and `time` are those of what happened, also when it is sent late or
//! again, so that a receiver can tell one event from two.

use std::{
    fmt::Write as _,
    hash::{BuildHasher, RandomState},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use keda_api::cloud_event_source::EventType;
use keda_core::cloud_events;
use keda_scaler::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::events::Notice;

/// How much of a text is sent, in bytes: a queue of the longest ones stays small.
const MESSAGE_LIMIT: usize = 8192;

/// One event, the same for everybody who gets it.
#[derive(Debug)]
pub(crate) struct Emission {
    id: String,
    time: Timestamp,
    event_type: EventType,
    /// Namespace of the object; empty for one of the cluster.
    namespace: String,
    kind: String,
    name: String,
    data: Data,
}

#[derive(Debug, Serialize)]
struct Data {
    reason: &'static str,
    message: String,
}

/// An event as JSON: the structured form.
#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    subject: String,
    r#type: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: &'a Data,
}

/// In whose name an event is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    /// Name of the cluster.
    pub(crate) cluster: String,
    /// The attribute `source`.
    pub(crate) source: String,
}

impl Emission {
    pub(crate) fn new(
        event_type: EventType,
        regarding: &ObjectReference,
        notice: &Notice,
        time: Timestamp,
    ) -> Self {
        let mut message = notice.note.clone();
        if message.len() > MESSAGE_LIMIT {
            message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
            message.push_str("...");
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Emission {
            id: unique(),
            time,
            event_type,
            namespace: text(&regarding.namespace),
            kind: text(&regarding.kind),
            name: text(&regarding.name),
            data: Data { reason: notice.reason, message },
        }
    }

    /// Namespace of the object that it is about.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether two are about one object: those are sent one after the other.
    pub(crate) fn is_about_the_same_as(&self, other: &Emission) -> bool {
        (&self.namespace, &self.kind, &self.name) == (&other.namespace, &other.kind, &other.name)
    }

    /// What it is, for the log.
    pub(crate) fn event_type(&self) -> &EventType {
        &self.event_type
    }

    fn subject(&self, cluster: &str) -> String {
        cloud_events::subject(cluster, &self.namespace, &self.kind, &self.name)
    }

    /// Binary mode of the HTTP binding: attributes as headers, the data as the body.
    pub(crate) fn binary(&self, sender: &Sender) -> (HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let attributes = [
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", self.id.clone()),
            ("ce-source", sender.source.clone()),
            ("ce-subject", self.subject(&sender.cluster)),
            ("ce-type", self.event_type.as_str().to_owned()),
            ("ce-time", self.time.to_string()),
        ];
        for (name, value) in attributes {
            // What is left after escaping is always a header value.
            if let Ok(value) = HeaderValue::try_from(escaped(&value)) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        (headers, serde_json::to_vec(&self.data).unwrap_or_default())
    }

    /// A batch of this one event in JSON, which is what Event Grid takes.
    pub(crate) fn batch(&self, sender: &Sender) -> Vec<u8> {
        let event = Structured {
            specversion: "1.0",
            id: &self.id,
            source: &sender.source,
            subject: self.subject(&sender.cluster),
            r#type: self.event_type.as_str(),
            time: self.time.to_string(),
            datacontenttype: "application/json",
            data: &self.data,
        };
        serde_json::to_vec(&[event]).unwrap_or_default()
    }
}

/// Text as a header's value, by the HTTP binding of CloudEvents (§3.1.3.2): percent-encoded where it is no visible ASCII.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | ..=b' ' | 0x7f.. => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
            visible => escaped.push(char::from(visible)),
        }
    }
    escaped
}

/// A random UUID (version 4). The standard library's hashing keys are random, and different each time.
fn unique() -> String {
    let (high, low) = (RandomState::new().hash_one(1_u8), RandomState::new().hash_one(2_u8));
    let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
pub(super) fn about(name: &str) -> Emission {
    let regarding = ObjectReference {
        kind: Some("ScaledObject".to_owned()),
        namespace: Some("shop".to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    };
    let notice = Notice::warning("ScaledObjectCheckFailed", "it says \"no\"");
    Emission::new(EventType::ScaledObjectFailed, &regarding, &notice, "2026-11-24T10:00:00Z".parse().unwrap())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};

    use super::*;

    fn sender() -> Sender {
        Sender { cluster: "prod 1".to_owned(), source: "/prod 1/keda/keda".to_owned() }
    }

    #[test]
    fn binary_mode() {
        let (headers, body) = about("Web").binary(&sender());
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("ce-specversion"), "1.0");
        assert_eq!(header("ce-type"), "keda.scaledobject.failed.v1");
        assert_eq!(header("ce-source"), "/prod%201/keda/keda");
        assert_eq!(header("ce-subject"), "/prod%201/shop/scaledobject/web");
        assert_eq!(header("ce-time"), "2026-11-24T10:00:00Z");
        assert_eq!(header("ce-id").len(), 36);
        let text = r#"{"reason":"ScaledObjectCheckFailed","message":"it says \"no\""}"#;
        assert_eq!(String::from_utf8(body).unwrap(), text);
    }

    #[test]
    fn structured_mode() {
        let batch: Value = serde_json::from_slice(&about("Web").batch(&sender())).unwrap();
        let id = batch[0]["id"].clone();
        let wanted = json!([{
            "specversion": "1.0", "id": id, "source": "/prod 1/keda/keda",
            "subject": "/prod 1/shop/scaledobject/web", "type": "keda.scaledobject.failed.v1",
            "time": "2026-11-24T10:00:00Z", "datacontenttype": "application/json",
            "data": { "reason": "ScaledObjectCheckFailed", "message": "it says \"no\"" },
        }]);
        assert_eq!(batch, wanted);
    }

    #[test]
    fn ids_are_random_uuids() {
        let ids: HashSet<String> = (0..1000).map(|_| unique()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let parts: Vec<&str> = id.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        }
    }

    #[test]
    fn headers_are_escaped() {
        assert_eq!(escaped("a \"b\" 10% é\n"), "a%20%22b%22%2010%25%20%C3%A9%0A");
    }

    #[test]
    fn long_texts_are_cut() {
        let notice = Notice::normal("ScaledObjectReady", "é".repeat(MESSAGE_LIMIT));
        let regarding = ObjectReference::default();
        let emission =
            Emission::new(EventType::ScaledObjectReady, &regarding, &notice, Timestamp::UNIX_EPOCH);
        assert_eq!(emission.data.message.len(), MESSAGE_LIMIT + 3);
    }
}
