//! In which form a document goes out: JSON, YAML or protobuf, as the client accepts (`k8s.io/apiserver/pkg/endpoints/handlers/negotiation`).
//!
//! Documents are made as JSON; the other forms are made from that. Protobuf is Kubernetes' envelope: four bytes, then a
//! `runtime.Unknown` around the message (`k8s.io/apimachinery/pkg/runtime/serializer/protobuf`).

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use keda_metrics_service::api;
use prost::Message;
use serde_json::Value;

use crate::messages::{
    ApiGroup, ApiGroupList, ApiResource, ApiResourceList, GroupVersion, Status, StatusDetails, TypeMeta,
    Unknown, Verbs,
};

/// Before every protobuf document.
const MAGIC: &[u8] = b"k8s\0";

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Yaml,
    Protobuf,
}

impl Form {
    /// Every one.
    pub(crate) const ALL: &[Self] = &[Self::Json, Self::Yaml, Self::Protobuf];

    /// Its name in `Accept` and `Content-Type`.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// As a header says it.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.media_type())
    }

    /// The first form that the client accepts, by its own preference. Nothing said means JSON.
    pub(crate) fn wanted(headers: &HeaderMap, offered: &[Self]) -> Option<Self> {
        if headers.get_all(header::ACCEPT).iter().all(HeaderValue::is_empty) {
            return offered.first().copied();
        }
        let clauses = clauses(headers);
        let plain = clauses.iter().filter(|clause| clause.shape.is_none());
        let mut found = plain.filter_map(|clause| {
            offered.iter().copied().find(|form| {
                let kind = clause.kind;
                kind.eq_ignore_ascii_case(form.media_type()) || kind == "*/*" || kind == "application/*"
            })
        });
        found.next()
    }

    /// A JSON document in this form.
    pub(crate) fn of(self, json: &Bytes) -> Result<Bytes, String> {
        if self == Self::Json {
            return Ok(json.clone());
        }
        let document: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match self {
            Self::Yaml => {
                serde_saphyr::to_string(&document).map(Bytes::from).map_err(|error| error.to_string())
            }
            _ => protobuf(&document),
        }
    }
}

/// One of the accepted types.
struct Clause<'a> {
    kind: &'a str,
    /// What `as` asks for: another shape of the document.
    shape: Option<Shape<'a>>,
    /// In thousandths, so that they can be compared.
    quality: u32,
}

#[derive(Default)]
struct Shape<'a> {
    kind: &'a str,
    group: &'a str,
    version: &'a str,
}

/// The accepted types, best first.
fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut clauses: Vec<Clause<'_>> = values.flat_map(|value| value.split(',')).filter_map(clause).collect();
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.quality));
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| !kind.is_empty())?;
    let (mut quality, mut shape) = (1000, Shape::default());
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name {
            "q" => {
                quality = value.parse::<f32>().map_or(0, |quality| (quality.clamp(0.0, 1.0) * 1000.0) as u32);
            }
            "as" => shape.kind = value,
            "g" => shape.group = value,
            "v" => shape.version = value,
            _ => {}
        }
    }
    let shape = (!shape.kind.is_empty()).then_some(shape);
    (quality > 0).then_some(Clause { kind, shape, quality })
}

/// The version of aggregated discovery that the client prefers to plain documents, if it does.
pub(crate) fn aggregated(headers: &HeaderMap) -> Option<&'static str> {
    let clauses = clauses(headers);
    let first = clauses.iter().find_map(|clause| {
        let json = Form::Json.media_type().eq_ignore_ascii_case(clause.kind);
        match &clause.shape {
            None => Some(None),
            Some(Shape { kind: "APIGroupDiscoveryList", group: "apidiscovery.k8s.io", version }) if json => {
                ["v2", "v2beta1"].into_iter().find(|known| known == version).map(Some)
            }
            Some(_) => None,
        }
    });
    first.flatten()
}

/// The kinds that this server answers with, each by its `kind`.
fn protobuf(document: &Value) -> Result<Bytes, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let raw = match document["kind"].as_str() {
        Some("ExternalMetricValueList") => {
            let items = all(&document["items"]);
            let items = items.iter().map(metric).collect::<Result<_, _>>()?;
            let metadata = Some(api::ListMeta::default());
            api::ExternalMetricValueList { metadata, items }.encode_to_vec()
        }
        Some("APIGroupList") => {
            ApiGroupList { groups: all(&document["groups"]).iter().map(group).collect() }.encode_to_vec()
        }
        Some("APIGroup") => group(document).encode_to_vec(),
        Some("APIResourceList") => ApiResourceList {
            group_version: text(&document["groupVersion"]),
            resources: all(&document["resources"])
                .iter()
                .map(|resource| ApiResource {
                    name: text(&resource["name"]),
                    namespaced: resource["namespaced"] == true,
                    kind: text(&resource["kind"]),
                    verbs: Some(Verbs { items: all(&resource["verbs"]).iter().map(text).collect() }),
                    singular_name: text(&resource["singularName"]),
                })
                .collect(),
        }
        .encode_to_vec(),
        Some("Status") => {
            let number = |value: &Value| value.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
            let details = document.get("details").map(|details| StatusDetails {
                group: text(&details["group"]),
                kind: text(&details["kind"]),
                retry_after_seconds: number(&details["retryAfterSeconds"]),
            });
            Status {
                metadata: Some(api::ListMeta::default()),
                status: text(&document["status"]),
                message: text(&document["message"]),
                reason: text(&document["reason"]),
                details,
                code: number(&document["code"]),
            }
            .encode_to_vec()
        }
        _ => return Err("a document without a protobuf form".to_owned()),
    };
    let kind = TypeMeta { api_version: text(&document["apiVersion"]), kind: text(&document["kind"]) };
    let unknown =
        Unknown { type_meta: Some(kind), raw, content_encoding: String::new(), content_type: String::new() };
    let mut bytes = BytesMut::with_capacity(MAGIC.len() + unknown.encoded_len());
    bytes.extend_from_slice(MAGIC);
    unknown.encode(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.freeze())
}

fn metric(item: &Value) -> Result<api::ExternalMetricValue, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let timestamp = item["timestamp"].as_str().map(str::parse::<jiff::Timestamp>).transpose();
    let timestamp = timestamp.map_err(|error| error.to_string())?;
    let labels = item["metricLabels"].as_object().into_iter().flatten();
    Ok(api::ExternalMetricValue {
        metric_name: text(&item["metricName"]),
        metric_labels: labels.map(|(key, value)| (key.clone(), text(value))).collect(),
        timestamp: Some(api::Time { seconds: timestamp.map_or(0, jiff::Timestamp::as_second), nanos: 0 }),
        window: item["window"].as_i64(),
        value: Some(api::Quantity { string: text(&item["value"]) }),
    })
}

fn group(group: &Value) -> ApiGroup {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = |version: &Value| GroupVersion {
        group_version: text(&version["groupVersion"]),
        version: text(&version["version"]),
    };
    ApiGroup {
        name: text(&group["name"]),
        versions: group["versions"].as_array().into_iter().flatten().map(version).collect(),
        preferred_version: Some(version(&group["preferredVersion"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

    fn accept(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(Form::wanted(&HeaderMap::new(), Form::ALL), Some(Form::Json));
        for (value, form) in [
            ("application/json", Some(Form::Json)),
            ("application/yaml", Some(Form::Yaml)),
            (PROTOBUF, Some(Form::Protobuf)),
            ("application/vnd.kubernetes.protobuf, */*", Some(Form::Protobuf)),
            ("application/vnd.kubernetes.protobuf;q=0.5, application/json", Some(Form::Json)),
            ("text/html, */*;q=0.1", Some(Form::Json)),
            ("Application/YAML; charset=utf-8", Some(Form::Yaml)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json;as=Table;g=meta.k8s.io;v=v1", None),
            ("application/json;as=Table;g=meta.k8s.io;v=v1,application/json", Some(Form::Json)),
            (V2, None),
        ] {
            assert_eq!(Form::wanted(&accept(value), Form::ALL), form, "{value}");
        }
        assert_eq!(Form::wanted(&accept(PROTOBUF), &[Form::Json]), None);
    }

    #[test]
    fn aggregated_discovery_is_asked_for_by_shape() {
        for (value, version) in [
            (V2.to_owned(), Some("v2")),
            (V2BETA1.to_owned(), Some("v2beta1")),
            (format!("{V2},{V2BETA1},application/json"), Some("v2")),
            (format!("{V2BETA1};q=0.9,{V2}"), Some("v2")),
            (format!("{},{V2BETA1}", V2.replace("v=v2", "v=v3")), Some("v2beta1")),
            (format!("application/json,{V2}"), None),
            ("application/json".to_owned(), None),
            (V2.replace("json", "yaml"), None),
        ] {
            assert_eq!(aggregated(&accept(&value)), version, "{value}");
        }
    }

    #[test]
    fn a_list_in_every_form() {
        let json = Bytes::from(
            json!({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
                "items": [{"metricName": "s0-x", "metricLabels": null, "timestamp": "2026-11-24T11:27:55Z", "value": "10"}]})
            .to_string(),
        );
        let yaml = Form::Yaml.of(&json).unwrap();
        let read: Value = serde_saphyr::from_slice(&yaml).unwrap();
        assert_eq!(read, serde_json::from_slice::<Value>(&json).unwrap(), "{yaml:?}");

        let bytes = Form::Protobuf.of(&json).unwrap();
        let unknown = Unknown::decode(bytes.strip_prefix(MAGIC).unwrap()).unwrap();
        let kind = unknown.type_meta.unwrap();
        assert_eq!(
            (kind.api_version.as_str(), kind.kind.as_str()),
            ("external.metrics.k8s.io/v1beta1", "ExternalMetricValueList")
        );
        let list = api::ExternalMetricValueList::decode(unknown.raw.as_slice()).unwrap();
        assert_eq!(list.items.len(), 1);
        assert_eq!(list.items[0].timestamp.unwrap().seconds, 1_795_519_675);
        assert_eq!(list.items[0].value.as_ref().unwrap().string, "10");
        assert!(Form::Protobuf.of(&Bytes::from_static(b"{\"openapi\":\"3.0.0\"}")).is_err());
    }
}
