//! What the group says about itself: fixed documents, made once.
//!
//! Discovery lists one resource that does not exist, whatever metrics there are, as upstream's does (platform.md 3.1). Aggregated
//! discovery (KEP-3352) holds the group too, which upstream's leaves out.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use keda_api::external_metrics::{API_VERSION, GROUP};
use serde_json::{Value, json};

use crate::{
    form::{Form, aggregated},
    openapi,
    status::{Answer, Status, answer},
};

/// The documents.
#[derive(Debug)]
pub(crate) struct Documents {
    groups: Bytes,
    aggregated_v2: Bytes,
    aggregated_v2beta1: Bytes,
    group: Bytes,
    resources: Bytes,
    version: Bytes,
    openapi_v2: Bytes,
    openapi_v3: Bytes,
    openapi_v3_group: Bytes,
}

/// A document's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// `/apis`
    Groups,
    /// `/apis/external.metrics.k8s.io`
    Group,
    /// `/apis/external.metrics.k8s.io/v1beta1`
    Resources,
    /// `/version`
    Version,
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`
    OpenApiV3,
    /// `/openapi/v3/apis/external.metrics.k8s.io/v1beta1`
    OpenApiV3Group,
}

impl Document {
    /// By path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        let of_group = |path: &str| match path.strip_prefix('/')?.strip_prefix(GROUP)? {
            "" => Some(Self::Group),
            "/v1beta1" => Some(Self::Resources),
            _ => None,
        };
        match path {
            "/apis" | "/apis/" => Some(Self::Groups),
            "/version" | "/version/" => Some(Self::Version),
            "/openapi/v2" => Some(Self::OpenApiV2),
            "/openapi/v3" => Some(Self::OpenApiV3),
            _ => match path.strip_prefix("/openapi/v3/apis") {
                Some(rest) if of_group(rest) == Some(Self::Resources) => Some(Self::OpenApiV3Group),
                Some(_) => None,
                None => of_group(path.strip_prefix("/apis")?),
            },
        }
    }
}

impl Documents {
    /// `version`: of this program.
    pub(crate) fn new(version: &str) -> Self {
        let group_version = json!({"groupVersion": API_VERSION, "version": "v1beta1"});
        let group = |mut head: Value| {
            head["name"] = json!(GROUP);
            head["versions"] = json!([group_version]);
            head["preferredVersion"] = group_version.clone();
            head
        };
        let groups = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(json!({}))]});
        let resources = json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": API_VERSION,
            "resources": [{
                "name": "externalmetrics",
                "singularName": "",
                "namespaced": true,
                "kind": "ExternalMetricValueList",
                "verbs": ["get"],
            }],
        });
        let aggregated = |version: &str| {
            json!({
                "kind": "APIGroupDiscoveryList",
                "apiVersion": format!("apidiscovery.k8s.io/{version}"),
                "metadata": {},
                "items": [{
                    "metadata": {"name": GROUP, "creationTimestamp": null},
                    "versions": [{
                        "version": "v1beta1",
                        "resources": [{
                            "resource": "externalmetrics",
                            "responseKind": {"group": GROUP, "version": "v1beta1", "kind": "ExternalMetricValueList"},
                            "scope": "Namespaced",
                            "singularResource": "",
                            "verbs": ["get"],
                        }],
                        "freshness": "Current",
                    }],
                }],
            })
        };
        let (major, minor) = version.split_once('.').unwrap_or((version, ""));
        let version = json!({
            "major": major,
            "minor": minor.split('.').next(),
            "gitVersion": format!("v{version}"),
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "",
            "goVersion": "",
            "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        });
        let bytes = |document: Value| Bytes::from(format!("{document}\n"));
        Self {
            groups: bytes(groups),
            aggregated_v2: bytes(aggregated("v2")),
            aggregated_v2beta1: bytes(aggregated("v2beta1")),
            group: bytes(group(json!({"kind": "APIGroup", "apiVersion": "v1"}))),
            resources: bytes(resources),
            version: bytes(version),
            openapi_v2: bytes(openapi::v2()),
            openapi_v3: bytes(openapi::v3_index()),
            openapi_v3_group: bytes(openapi::v3()),
        }
    }

    /// The answer to a GET of it.
    pub(crate) fn answer(&self, document: Document, headers: &HeaderMap) -> Answer {
        let body = match document {
            Document::Groups => &self.groups,
            Document::Group => &self.group,
            Document::Resources => &self.resources,
            Document::Version => &self.version,
            Document::OpenApiV2 => &self.openapi_v2,
            Document::OpenApiV3 => &self.openapi_v3,
            Document::OpenApiV3Group => &self.openapi_v3_group,
        };
        if document == Document::Groups
            && let Some(version) = aggregated(headers)
        {
            let (body, kind) = match version {
                "v2" => (&self.aggregated_v2, AGGREGATED_V2),
                _ => (&self.aggregated_v2beta1, AGGREGATED_V2BETA1),
            };
            return tagged(body, HeaderValue::from_static(kind), headers);
        }
        let openapi =
            matches!(document, Document::OpenApiV2 | Document::OpenApiV3 | Document::OpenApiV3Group);
        let json_only = openapi || document == Document::Version;
        let offered = if json_only { &[Form::Json] } else { Form::ALL };
        let Some(form) = Form::wanted(headers, offered) else {
            return Status::not_acceptable(offered).into();
        };
        if matches!(document, Document::OpenApiV2 | Document::OpenApiV3Group) {
            return tagged(body, form.content_type(), headers);
        }
        match form.of(body) {
            Ok(body) => answer(StatusCode::OK, form.content_type(), body),
            Err(error) => Status::internal(error).into(),
        }
    }
}

/// The type of aggregated discovery names its shape, by which the aggregator tells it from plain documents.
const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const AGGREGATED_V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// With a tag, so that the aggregator fetches the document once and then asks whether it is still the same.
fn tagged(body: &Bytes, content_type: HeaderValue, headers: &HeaderMap) -> Answer {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(body);
    let tag = format!("\"{hash:016x}\"");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut page = if known {
        answer(StatusCode::NOT_MODIFIED, content_type, Bytes::new())
    } else {
        answer(StatusCode::OK, content_type, body.clone())
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        page.headers_mut().insert(header::ETAG, tag);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, document) in [
            ("/apis", Some(Document::Groups)),
            ("/apis/external.metrics.k8s.io", Some(Document::Group)),
            ("/apis/external.metrics.k8s.io/v1beta1", Some(Document::Resources)),
            ("/apis/external.metrics.k8s.io/v1beta2", None),
            ("/apis/other", None),
            ("/apisexternal.metrics.k8s.io", None),
            ("/openapi/v3/apis/external.metrics.k8s.io/v1beta1", Some(Document::OpenApiV3Group)),
            ("/openapi/v3/apis/external.metrics.k8s.io", None),
            ("/openapi/v2", Some(Document::OpenApiV2)),
            ("/", None),
        ] {
            assert_eq!(Document::at(path), document, "{path}");
        }
    }

    #[test]
    fn the_resource_list_is_upstreams() {
        let documents = Documents::new("0.1.0");
        let list: Value = serde_json::from_slice(&documents.resources).unwrap();
        let expected = json!({"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": "external.metrics.k8s.io/v1beta1",
            "resources": [{"name": "externalmetrics", "singularName": "", "namespaced": true,
                "kind": "ExternalMetricValueList", "verbs": ["get"]}]});
        assert_eq!(list, expected);
    }
}
