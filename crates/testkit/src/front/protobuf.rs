//! Bodies in protobuf, as kubectl's `create` commands send them: the few kinds that they make, decoded to JSON.
//!
//! The envelope is `k8s\0` and a `runtime.Unknown`; field numbers are those of the `generated.proto` files of
//! `k8s.io/api` and `k8s.io/apimachinery`. A field that is not in the tables is refused by number instead of being lost,
//! unless it says nothing: Go writes empty fields too. Answers are JSON, which every client takes.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

/// Starts every body.
const MAGIC: &[u8] = b"k8s\0";
/// Most levels of messages in messages.
const DEEPEST: usize = 16;

/// What a field holds.
enum Field {
    Text,
    Number,
    Flag,
    Message(Fields),
    Messages(Fields),
    /// `map<string, string>`.
    Texts,
    /// `map<string, bytes>`.
    Bytes,
    /// Sent by clients, and the server's to fill.
    Ignored,
}

/// Fields of a message: number, name, content.
type Fields = &'static [(u64, &'static str, Field)];

const METADATA: Fields = &[
    (1, "name", Field::Text),
    (2, "generateName", Field::Text),
    (3, "namespace", Field::Text),
    (11, "labels", Field::Texts),
    (12, "annotations", Field::Texts),
];
const NAMESPACE: Fields = &[
    (1, "metadata", Field::Message(METADATA)),
    (2, "spec", Field::Message(&[])),
    (3, "status", Field::Ignored),
];
const SECRET: Fields = &[
    (1, "metadata", Field::Message(METADATA)),
    (2, "data", Field::Bytes),
    (3, "type", Field::Text),
    (4, "stringData", Field::Texts),
    (5, "immutable", Field::Flag),
];
const CONFIG_MAP: Fields = &[
    (1, "metadata", Field::Message(METADATA)),
    (2, "data", Field::Texts),
    (3, "binaryData", Field::Bytes),
    (4, "immutable", Field::Flag),
];
const SERVICE_ACCOUNT: Fields = &[(1, "metadata", Field::Message(METADATA))];
const CONTAINER: Fields = &[(1, "name", Field::Text), (2, "image", Field::Text)];
const TEMPLATE: Fields = &[
    (1, "metadata", Field::Message(METADATA)),
    (2, "spec", Field::Message(&[(2, "containers", Field::Messages(CONTAINER))])),
];
const DEPLOYMENT: Fields = &[
    (1, "metadata", Field::Message(METADATA)),
    (
        2,
        "spec",
        Field::Message(&[
            (1, "replicas", Field::Number),
            (2, "selector", Field::Message(&[(1, "matchLabels", Field::Texts)])),
            (3, "template", Field::Message(TEMPLATE)),
            (4, "strategy", Field::Message(&[(1, "type", Field::Text)])),
        ]),
    ),
    (3, "status", Field::Ignored),
];
const ACCESS_REVIEW: Fields = &[
    (1, "metadata", Field::Message(METADATA)),
    (
        2,
        "spec",
        Field::Message(&[
            (
                1,
                "resourceAttributes",
                Field::Message(&[
                    (1, "namespace", Field::Text),
                    (2, "verb", Field::Text),
                    (3, "group", Field::Text),
                    (4, "version", Field::Text),
                    (5, "resource", Field::Text),
                    (6, "subresource", Field::Text),
                    (7, "name", Field::Text),
                ]),
            ),
            (
                2,
                "nonResourceAttributes",
                Field::Message(&[(1, "path", Field::Text), (2, "verb", Field::Text)]),
            ),
        ]),
    ),
    (3, "status", Field::Ignored),
];

fn fields_of(api_version: &str, kind: &str) -> Option<Fields> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("apps/v1", "Deployment") => DEPLOYMENT,
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => ACCESS_REVIEW,
        _ => return None,
    })
}

/// The object of a body.
///
/// # Errors
/// 415 for a kind or a field that is not known here, 400 for what is no protobuf.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Refusal> {
    let body = body.strip_prefix(MAGIC).ok_or_else(malformed)?;
    let envelope = message(
        body,
        &[
            (1, "meta", Field::Message(&[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)])),
            (2, "raw", Field::Ignored),
        ],
        0,
    )?;
    let text = |name: &str| envelope["meta"][name].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let fields = fields_of(api_version, kind).ok_or_else(|| unknown(&format!("{api_version} {kind}")))?;
    let mut raw: &[u8] = &[];
    let mut reader = Reader(body);
    while let Some((number, content)) = reader.next()? {
        if let (2, Content::Bytes(bytes)) = (number, content) {
            raw = bytes;
        }
    }
    let mut object = message(raw, fields, 0)?;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    Ok(object)
}

fn malformed() -> Refusal {
    Refusal::bad_request("the body is no protobuf of Kubernetes".to_owned())
}

fn unknown(what: &str) -> Refusal {
    Refusal::unsupported_media_type(&format!(
        "application/json, application/yaml (protobuf of {what} is not read by this server)"
    ))
}

fn message(bytes: &[u8], fields: Fields, depth: usize) -> Result<Value, Refusal> {
    if depth > DEEPEST {
        return Err(malformed());
    }
    let mut object = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, content)) = reader.next()? {
        let Some((_, name, field)) = fields.iter().find(|(known, ..)| *known == number) else {
            if content.says_nothing() {
                continue;
            }
            return Err(unknown(&format!("field {number}")));
        };
        let value = match (field, content) {
            (Field::Ignored, _) => continue,
            (Field::Text, Content::Bytes([])) => continue,
            (Field::Text, Content::Bytes(bytes)) => json!(text(bytes)?),
            (Field::Number, Content::Number(number)) => json!(number as i64),
            (Field::Flag, Content::Number(flag)) => json!(flag != 0),
            (Field::Message(fields), Content::Bytes(bytes)) => message(bytes, fields, depth + 1)?,
            (Field::Messages(fields), Content::Bytes(bytes)) => {
                let entry = message(bytes, fields, depth + 1)?;
                let list = object.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut().ok_or_else(malformed)?.push(entry);
                continue;
            }
            (Field::Texts | Field::Bytes, Content::Bytes(bytes)) => {
                let (key, content) = entry(bytes)?;
                let value = match field {
                    Field::Texts => json!(text(content)?),
                    _ => json!(ByteString(content.to_vec())),
                };
                object.entry(*name).or_insert_with(|| json!({}))[key] = value;
                continue;
            }
            _ => return Err(malformed()),
        };
        object.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(object))
}

/// Key and value of an entry of a map.
fn entry(bytes: &[u8]) -> Result<(&str, &[u8]), Refusal> {
    let (mut key, mut value) = ("", &[][..]);
    let mut reader = Reader(bytes);
    while let Some(field) = reader.next()? {
        match field {
            (1, Content::Bytes(bytes)) => key = text(bytes)?,
            (2, Content::Bytes(bytes)) => value = bytes,
            _ => return Err(malformed()),
        }
    }
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| malformed())
}

/// What stands behind a field's number.
#[derive(Clone, Copy)]
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl Content<'_> {
    fn says_nothing(self) -> bool {
        matches!(self, Content::Number(0) | Content::Bytes([]))
    }
}

/// Fields of a message, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(u64, Content<'a>)>, Refusal> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let content = match tag & 7 {
            0 => Content::Number(self.number()?),
            1 => Content::Bytes(self.take(8)?),
            2 => {
                let length = self.number()?;
                Content::Bytes(self.take(length)?)
            }
            5 => Content::Bytes(self.take(4)?),
            _ => return Err(malformed()),
        };
        Ok(Some((tag >> 3, content)))
    }

    fn number(&mut self) -> Result<u64, Refusal> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or_else(malformed)?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Refusal> {
        let length = usize::try_from(length).map_err(|_| malformed())?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 0x80, "one byte of length is enough for a test");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &meta), &field(2, raw), &field(3, b""), &field(4, b"")].concat()
    }

    #[test]
    fn a_secret() {
        let metadata = [field(1, b"s"), field(3, b"demo"), field(8, b"")].concat();
        let data = [field(1, b"a"), field(2, b"b")].concat();
        let secret = [field(1, &metadata), field(2, &data), field(3, b"Opaque")].concat();
        assert_eq!(
            decode(&body("v1", "Secret", &secret)).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "demo"},
                "type": "Opaque", "data": {"a": "Yg=="}})
        );
    }

    #[test]
    fn a_deployment() {
        let container = [field(1, b"c"), field(2, b"nginx"), field(8, b"")].concat();
        let template = field(2, &field(2, &container));
        let spec = [vec![1 << 3, 3], field(3, &template), field(4, &field(1, b"")), vec![7 << 3, 0]].concat();
        let object = decode(&body("apps/v1", "Deployment", &field(2, &spec))).unwrap();
        assert_eq!(
            object["spec"],
            json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "c", "image": "nginx"}]}},
                "strategy": {}})
        );
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_lost() {
        assert_eq!(decode(&body("v1", "Node", b"")).unwrap_err().code, 415);
        let finalizers = field(1, &field(14, b"f"));
        assert_eq!(decode(&body("v1", "Namespace", &finalizers)).unwrap_err().code, 415);
        for broken in
            [&b""[..], b"{}", b"k8s\0\x0a\xff", b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(decode(broken).unwrap_err().code, 400, "{broken:?}");
        }
        let right = body("v1", "Namespace", &field(1, &field(1, b"n")));
        for end in 0..right.len() {
            // Whatever is cut off, there is an answer.
            let _answer = decode(&right[..end]);
        }
    }
}
