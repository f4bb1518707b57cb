//! Kinds about the cluster itself: CRDs, APIServices, webhook configurations, RBAC. RBAC objects and webhook configurations are kept
//! so that manifests install; the former grant and refuse nothing (see `ApiServer::deny`), the latter are not called.

use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingWebhookConfiguration,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde_json::{Value, json};

use super::{age, at, computed, of, path_column, resource, set_default, text};
use crate::{
    resource::{Builtin, Effect, Resource},
    schema::FieldError,
};

static CRD: Builtin = Builtin {
    default: |object| {
        let kind = text(object, "spec.names.kind").to_owned();
        set_default(object, "spec.names.singular", kind.to_lowercase());
        set_default(object, "spec.names.listKind", format!("{kind}List"));
        set_default(object, "spec.conversion.strategy", "None");
    },
    validate: |object, _| validate_crd(object),
    unconditional_update: false,
    ..of::<CustomResourceDefinition>()
};

static API_SERVICE: Builtin = Builtin {
    default: |object| {
        if at(object, "spec.service").is_object() {
            set_default(object, "spec.service.port", 443);
        }
    },
    validate: |object, _| validate_api_service(object),
    unconditional_update: false,
    ..of::<APIService>()
};

static WEBHOOKS: Builtin = of::<ValidatingWebhookConfiguration>();
static ROLE: Builtin = of::<Role>();
static ROLE_BINDING: Builtin = of::<RoleBinding>();
static CLUSTER_ROLE: Builtin = of::<ClusterRole>();
static CLUSTER_ROLE_BINDING: Builtin = of::<ClusterRoleBinding>();

pub(super) fn resources() -> Vec<Resource> {
    let mut crd =
        resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", &CRD)
            .short(&["crd", "crds"])
            .cluster_scoped()
            .with_status()
            .with_generation()
            .columns(vec![path_column("Created At", "date", ".metadata.creationTimestamp")]);
    crd.effect = Effect::CustomResourceDefinition;
    crd.categories = vec!["api-extensions".to_owned()];
    let mut service = resource("apiregistration.k8s.io", "v1", "APIService", "apiservices", &API_SERVICE)
        .cluster_scoped()
        .with_status()
        .columns(vec![
            computed("Service", |object| {
                let service = at(object, "spec.service");
                json!(if service.is_object() {
                    format!("{}/{}", text(service, "namespace"), text(service, "name"))
                } else {
                    "Local".to_owned()
                })
            }),
            computed("Available", |object| {
                let conditions = at(object, "status.conditions").as_array().into_iter().flatten();
                let available = conditions.into_iter().find(|condition| condition["type"] == "Available");
                available.map_or(json!("Unknown"), |condition| condition["status"].clone())
            }),
            age(),
        ]);
    service.effect = Effect::ApiService;
    service.categories = vec!["api-extensions".to_owned()];
    let rbac = |kind, plural, rules| {
        resource("rbac.authorization.k8s.io", "v1", kind, plural, rules).columns(vec![age()])
    };
    let webhooks = resource(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        &WEBHOOKS,
    );
    vec![
        crd,
        service,
        webhooks.cluster_scoped().columns(vec![age()]),
        rbac("ClusterRoleBinding", "clusterrolebindings", &CLUSTER_ROLE_BINDING).cluster_scoped(),
        rbac("ClusterRole", "clusterroles", &CLUSTER_ROLE).cluster_scoped(),
        rbac("RoleBinding", "rolebindings", &ROLE_BINDING),
        rbac("Role", "roles", &ROLE),
    ]
}

fn validate_api_service(object: &Value) -> Vec<FieldError> {
    let (spec, mut faults) = (at(object, "spec"), Vec::new());
    let has_ca = spec["caBundle"].as_str().is_some_and(|bundle| !bundle.is_empty());
    if has_ca && spec["insecureSkipTLSVerify"] == true {
        let detail = "may not be true if caBundle is present";
        faults.push(FieldError::invalid("spec.insecureSkipTLSVerify", true, detail));
    }
    faults
}

fn validate_crd(object: &Value) -> Vec<FieldError> {
    let (group, plural) = (text(object, "spec.group"), text(object, "spec.names.plural"));
    let wanted = format!("{plural}.{group}");
    let mut faults = Vec::new();
    if text(object, "metadata.name") != wanted {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        faults.push(FieldError::invalid("metadata.name", text(object, "metadata.name"), detail));
    }
    let versions = at(object, "spec.versions").as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        faults.push(FieldError::invalid("spec.versions", at(object, "spec.versions").clone(), detail));
    }
    for (index, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
            faults.push(FieldError::required(path, "schemas are required"));
        }
    }
    faults
}
