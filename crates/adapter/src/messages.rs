//! The protobuf messages of `k8s.io/apimachinery` that this server answers with; field numbers from `pkg/runtime/generated.proto` and
//! `pkg/apis/meta/v1/generated.proto`, members that are never set left out. Lists of metrics are the metrics service's own messages, which have
//! Kubernetes' field numbers.

use keda_metrics_service::api::ListMeta;

/// What is around every document.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Unknown {
    #[prost(message, optional, tag = "1")]
    pub(crate) type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) raw: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) content_encoding: String,
    #[prost(string, tag = "4")]
    pub(crate) content_type: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TypeMeta {
    #[prost(string, tag = "1")]
    pub(crate) api_version: String,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApiGroupList {
    #[prost(message, repeated, tag = "1")]
    pub(crate) groups: Vec<ApiGroup>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApiGroup {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) versions: Vec<GroupVersion>,
    #[prost(message, optional, tag = "3")]
    pub(crate) preferred_version: Option<GroupVersion>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GroupVersion {
    #[prost(string, tag = "1")]
    pub(crate) group_version: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApiResourceList {
    #[prost(string, tag = "1")]
    pub(crate) group_version: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) resources: Vec<ApiResource>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApiResource {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bool, tag = "2")]
    pub(crate) namespaced: bool,
    #[prost(string, tag = "3")]
    pub(crate) kind: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) verbs: Option<Verbs>,
    #[prost(string, tag = "6")]
    pub(crate) singular_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Verbs {
    #[prost(string, repeated, tag = "1")]
    pub(crate) items: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<ListMeta>,
    #[prost(string, tag = "2")]
    pub(crate) status: String,
    #[prost(string, tag = "3")]
    pub(crate) message: String,
    #[prost(string, tag = "4")]
    pub(crate) reason: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) details: Option<StatusDetails>,
    #[prost(int32, tag = "6")]
    pub(crate) code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatusDetails {
    #[prost(string, tag = "2")]
    pub(crate) group: String,
    #[prost(string, tag = "3")]
    pub(crate) kind: String,
    #[prost(int32, tag = "5")]
    pub(crate) retry_after_seconds: i32,
}
