//! JSON, YAML and protobuf.

use keda_metrics_service::api::ExternalMetricValueList;
use prost::Message;
use serde_json::Value;
use tonic::Code;

use crate::{
    operator::Say,
    stage::{Stage, path_of},
};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// As the HPA controller's client asks: the first is what it would like.
const HPA: &str = "application/vnd.kubernetes.protobuf, */*";

/// `runtime.Unknown`, as far as it is read here.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bytes = "vec", tag = "1")]
    type_meta: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

fn unwrapped(bytes: &[u8]) -> Envelope {
    Envelope::decode(bytes.strip_prefix(b"k8s\0").unwrap()).unwrap()
}

#[tokio::test]
async fn the_data_route_in_every_form() {
    let (stage, operator) = Stage::up().await;
    stage.script.say("m", Say::Value("2500m"));
    let json = stage.hpa().get(&path_of("m")).await;
    let yaml = stage.hpa().with("Accept", "application/yaml").get(&path_of("m")).await;
    assert_eq!((yaml.status, yaml.headers["content-type"].to_str().unwrap()), (200, "application/yaml"));
    let read: Value = serde_saphyr::from_str(&yaml.text).unwrap();
    assert_eq!(read, json.json(), "{}", yaml.text);

    let is_protobuf = |reply: &crate::caller::Reply| {
        assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, PROTOBUF));
        let envelope = unwrapped(&reply.bytes);
        assert_eq!(
            envelope.type_meta,
            b"\x0a\x1fexternal.metrics.k8s.io/v1beta1\x12\x17ExternalMetricValueList"
        );
        let list = ExternalMetricValueList::decode(envelope.raw.as_slice()).unwrap();
        let item = &list.items[0];
        assert_eq!((item.metric_name.as_str(), item.value.as_ref().unwrap().string.as_str()), ("m", "2500m"));
        assert_eq!(item.timestamp.unwrap().seconds, 1_795_519_675);
    };
    let kept = stage.hpa().with("Accept", HPA).keep().await;
    is_protobuf(&kept.get(&path_of("m")).await);
    // From memory too.
    drop(operator);
    is_protobuf(&kept.get(&path_of("m")).await);
}

#[tokio::test]
async fn documents_and_errors_in_every_form() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("bad", Say::Error(Code::Unknown, "boom"));
    let caller = stage.through_proxy("system:kube-aggregator").with("X-Remote-Group", "system:masters");
    let protobuf = caller.clone().with("Accept", HPA);
    for (path, kind, status) in [
        ("/apis", "APIGroupList", 200),
        ("/apis/external.metrics.k8s.io", "APIGroup", 200),
        ("/apis/external.metrics.k8s.io/v1beta1", "APIResourceList", 200),
        ("/apis/other", "Status", 404),
        (&path_of("bad"), "Status", 500),
    ] {
        let reply = protobuf.get(path).await;
        assert_eq!(
            (reply.status, reply.headers["content-type"].to_str().unwrap()),
            (status, PROTOBUF),
            "{path}"
        );
        let envelope = unwrapped(&reply.bytes);
        assert!(envelope.type_meta.ends_with(kind.as_bytes()), "{path}: {:?}", envelope.type_meta);
        assert!(!envelope.raw.is_empty(), "{path}");
        let yaml = caller.clone().with("Accept", "application/yaml").get(path).await;
        let yaml: Value = serde_saphyr::from_str(&yaml.text).unwrap();
        assert_eq!(yaml, caller.get(path).await.json(), "{path}");
    }
    for json_only in ["/openapi/v2", "/openapi/v3", "/version"] {
        assert!(protobuf.get(json_only).await.json().is_object(), "{json_only}");
        assert_eq!(caller.clone().with("Accept", PROTOBUF).get(json_only).await.status, 406, "{json_only}");
    }
}
