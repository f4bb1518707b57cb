//! What sources answer: JSON, entries of ConfigMaps, protobuf.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};
use keda_scaler::contract::{Scripted, environment, parameters};
use keda_scaler::http::{Response, StatusCode};
use keda_scaler::kube::{ReadError, Reader};
use keda_scaler::{Context, Environment, JsonPath, Kind, Parameters};
use serde_json::Value;

use super::{choice, now};

pub(crate) const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "1",
    "-1",
    "1e999",
    "0.5",
    "\"NaN\"",
    "\"+Inf\"",
    "\"1\"",
    "\"status\":\"success\"",
    "\"data\":",
    "\"result\":",
    "\"resultType\":\"vector\"",
    "\"value\":[1,\"2\"]",
    "\"error\":",
    "a.0.b",
    "#",
    "\\.",
    "..",
    "@this",
    "|",
    "*",
    "\n",
    "- ",
    ": ",
    "&a",
    "*a",
    "!!str",
];
pub(crate) const PROTOBUF: &[&str] = &[
    "k8s\0",
    "\n",
    "\u{12}",
    "\u{1a}",
    "\u{7f}",
    "v1",
    "apps/v1",
    "Secret",
    "Deployment",
    "Namespace",
    "data",
    "\u{8}",
];

/// A path, a line feed, a document.
pub(crate) fn json_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (path, document) = text.split_once('\n').unwrap_or((&text, "{}"));
    let Ok(path) = JsonPath::parse(path) else { return };
    let Ok(document) = serde_json::from_str::<Value>(document) else { return };
    let _found = path.find(&document);
}

/// A status, then a body.
pub(crate) fn prometheus(data: &[u8]) {
    let (first, _) = choice(data);
    let status =
        [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE][usize::from(first % 3)];
    let answer = Response::new(status, data.get(1..).unwrap_or_default().to_vec());
    let ignore = if first & 8 == 0 { "true" } else { "false" };
    let metadata = [
        ("serverAddress", "http://prometheus"),
        ("query", "up"),
        ("threshold", "1"),
        ("ignoreNullValues", ignore),
    ];
    sample(
        "prometheus",
        &parameters(&metadata, &[]),
        &environment(Scripted::answering(move |_| Ok(answer.clone()))),
    );
}

/// How it is to be read, then the entry.
pub(crate) fn resource(data: &[u8]) {
    let (first, entry) = choice(data);
    let (format, path) = [("number", ""), ("json", "a.0.b"), ("yaml", "a.b"), ("json", "#"), ("yaml", "a")]
        [usize::from(first % 5)];
    let kind = ["float64", "int64", "quantity"][usize::from(first / 5 % 3)];
    let mut metadata = vec![
        ("resourceKind", "ConfigMap"),
        ("resourceName", "n"),
        ("key", "k"),
        ("targetValue", "1"),
        ("format", format),
        ("valueType", kind),
    ];
    if !path.is_empty() {
        metadata.push(("valueLocation", path));
    }
    let world = Environment { kube: Arc::new(Entry(entry.into_owned())), ..environment(Scripted::silent()) };
    sample("kubernetes-resource", &parameters(&metadata, &[]), &world);
}

fn sample(kind: &str, parameters: &Parameters, world: &Environment) {
    let parsed = keda_scalers::registry().parse(kind, parameters, &Context::default());
    let Ok(parsed) = parsed else { panic!("the example is refused: {:?}", parsed.err()) };
    let outcomes = now(async {
        match parsed.connect(world).await {
            Ok(live) => live.sample().await,
            Err(error) => panic!("the example does not connect: {error}"),
        }
    });
    for outcome in outcomes {
        match outcome.result {
            Ok(reading) => {
                assert!(reading.value.is_finite(), "{}", reading.value);
                assert!(!reading.quantity().is_negative(), "{}", reading.value);
            }
            Err(error) => assert!(error.kind != Kind::Panic && !error.message.is_empty(), "{error}"),
        }
    }
}

pub(crate) fn protobuf(data: &[u8]) {
    let _any = keda_testkit::fuzzing::protobuf(data);
    let enveloped = [b"k8s\0", data].concat();
    if let Ok(object) = keda_testkit::fuzzing::protobuf(&enveloped) {
        assert!(object.is_object(), "{object}");
    }
}

/// Every ConfigMap has this one entry.
struct Entry(String);

#[async_trait]
impl Reader for Entry {
    async fn secret(&self, _: &str, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        Ok(None)
    }

    async fn config_map(&self, _: &str, _: &str) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        Ok(Some(BTreeMap::from([("k".to_owned(), self.0.clone())])))
    }

    async fn trigger_authentication(
        &self,
        _: &str,
        _: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        Ok(None)
    }

    async fn cluster_trigger_authentication(
        &self,
        _: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        Ok(None)
    }

    async fn pod_template(
        &self,
        _: &GroupVersionKindResource,
        _: &str,
        _: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        Ok(None)
    }
}
