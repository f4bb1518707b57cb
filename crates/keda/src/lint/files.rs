//! The objects of the files as a cluster that references can be resolved in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{
    ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication, TriggerAuthenticationSpec,
};
use keda_scaler::kube::{ReadError, Reader};
use keda_scaler::{Secret, judge::PLACEHOLDER};
use serde_json::Value;

use super::document::Object;

/// Namespace and name.
type At = (String, String);

/// Every object by what it is asked for.
#[derive(Default)]
pub(super) struct Files {
    secrets: BTreeMap<At, BTreeMap<String, Vec<u8>>>,
    config_maps: BTreeMap<At, BTreeMap<String, String>>,
    authentications: BTreeMap<At, Option<TriggerAuthentication>>,
    cluster_authentications: BTreeMap<String, Option<ClusterTriggerAuthentication>>,
    /// By kind too: the kinds of a manifest's targets are told apart by their names.
    templates: BTreeMap<(String, At), PodTemplateSpec>,
    /// Keys that authentications read, by kind and place.
    keys: BTreeMap<(&'static str, At), BTreeSet<String>>,
}

impl Files {
    /// Takes the objects in; of two with one name the later counts, as with kubectl.
    pub(super) fn of(objects: &[Object], cluster_object_namespace: &str) -> Self {
        let mut files = Self::default();
        for object in objects {
            let at = (object.namespace().to_owned(), object.name().to_owned());
            match (object.group(), object.kind()) {
                ("", "Secret") => {
                    files.secrets.insert(at, secret(&object.value));
                }
                ("", "ConfigMap") => {
                    let data = object.value.get("data").and_then(Value::as_object);
                    let text =
                        |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
                    files.config_maps.insert(at, data.into_iter().flatten().filter_map(text).collect());
                }
                ("keda.sh", "TriggerAuthentication") => {
                    let typed: Option<TriggerAuthentication> =
                        serde_json::from_value(object.value.clone()).ok();
                    if let Some(typed) = &typed {
                        files.expect(&typed.spec, object.namespace());
                    }
                    files.authentications.insert(at, typed);
                }
                ("keda.sh", "ClusterTriggerAuthentication") => {
                    let typed: Option<ClusterTriggerAuthentication> =
                        serde_json::from_value(object.value.clone()).ok();
                    if let Some(typed) = &typed {
                        files.expect(&typed.spec, cluster_object_namespace);
                    }
                    files.cluster_authentications.insert(at.1, typed);
                }
                (_, kind) => {
                    let template = ["/spec/template", "/spec/jobTargetRef/template"]
                        .iter()
                        .find_map(|pointer| object.value.pointer(pointer));
                    let template =
                        template.and_then(|template| serde_json::from_value(template.clone()).ok());
                    if let Some(template) = template {
                        files.templates.insert((kind.to_owned(), at), template);
                    }
                }
            }
        }
        files
    }

    fn expect(&mut self, spec: &TriggerAuthenticationSpec, namespace: &str) {
        let mut expect = |kind, name: &str, key: &str| {
            let at = (namespace.to_owned(), name.to_owned());
            self.keys.entry((kind, at)).or_default().insert(key.to_owned());
        };
        for source in spec.secret_target_ref.iter().flatten() {
            expect("Secret", &source.name, &source.key);
        }
        for source in spec.config_map_target_ref.iter().flatten() {
            expect("ConfigMap", &source.name, &source.key);
        }
    }

    /// The pod template of a workload.
    pub(super) fn template(&self, kind: &str, namespace: &str, name: &str) -> Option<&PodTemplateSpec> {
        self.templates.get(&(kind.to_owned(), (namespace.to_owned(), name.to_owned())))
    }

    /// A reader that notes what it does not find. With `fill` it answers for a missing Secret or ConfigMap with
    /// placeholders under the keys that are read from it.
    pub(super) fn reader(&self, fill: bool) -> FilesReader<'_> {
        FilesReader { files: self, fill, missing: Mutex::default() }
    }
}

/// `data`, decoded, and `stringData` over it. What is no base64 is left out: the Secret's own check names it.
fn secret(value: &Value) -> BTreeMap<String, Vec<u8>> {
    let members = |name: &str| value.get(name).and_then(Value::as_object).into_iter().flatten();
    let mut data: BTreeMap<String, Vec<u8>> =
        members("data").filter_map(|(key, value)| Some((key.clone(), decoded(value)?))).collect();
    data.extend(members("stringData").filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into()))));
    data
}

fn decoded(value: &Value) -> Option<Vec<u8>> {
    // Line breaks within are skipped, as the API server does.
    let text: String = value.as_str()?.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    STANDARD.decode(text).ok()
}

/// The keys of a Secret whose values are no base64 text.
pub(super) fn undecodable(value: &Value) -> Vec<String> {
    let data = value.get("data").and_then(Value::as_object).into_iter().flatten();
    data.filter(|(_, value)| decoded(value).is_none()).map(|(key, _)| key.clone()).collect()
}

/// Reads among the files.
pub(super) struct FilesReader<'a> {
    files: &'a Files,
    fill: bool,
    missing: Mutex<BTreeSet<String>>,
}

impl FilesReader<'_> {
    /// What was asked for and is not there, as `Kind namespace/name`.
    pub(super) fn missing(&self) -> Vec<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, kind: &str, at: &At) {
        let (namespace, name) = at;
        let name = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{kind} {name}"));
    }

    fn placeholders<V>(
        &self,
        kind: &'static str,
        at: At,
        value: impl Fn() -> V,
    ) -> Option<BTreeMap<String, V>> {
        self.note(kind, &at);
        let keys = self.files.keys.get(&(kind, at)).into_iter().flatten();
        self.fill.then(|| keys.map(|key| (key.clone(), value())).collect())
    }
}

fn at(namespace: &str, name: &str) -> At {
    (namespace.to_owned(), name.to_owned())
}

fn unreadable(kind: &str, name: &str) -> ReadError {
    ReadError::permanent(format!("{kind} {name} is not valid, see what is said about it"))
}

#[async_trait]
impl Reader for FilesReader<'_> {
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        let at = at(namespace, name);
        Ok(match self.files.secrets.get(&at) {
            Some(data) => Some(data.clone()),
            None => self.placeholders("Secret", at, || PLACEHOLDER.into()),
        })
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        let at = at(namespace, name);
        Ok(match self.files.config_maps.get(&at) {
            Some(data) => Some(data.clone()),
            None => self.placeholders("ConfigMap", at, || PLACEHOLDER.to_owned()),
        })
    }

    /// What a token would hold is not known here, and nothing depends on it.
    async fn service_account_token(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: Duration,
    ) -> Result<Option<Secret>, ReadError> {
        Ok(Some(Secret::from(PLACEHOLDER)))
    }

    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        const KIND: &str = "TriggerAuthentication";
        let at = at(namespace, name);
        match self.files.authentications.get(&at) {
            Some(Some(found)) => Ok(Some(found.clone())),
            Some(None) => Err(unreadable(KIND, &format!("{namespace}/{name}"))),
            None => {
                self.note(KIND, &at);
                Ok(None)
            }
        }
    }

    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        const KIND: &str = "ClusterTriggerAuthentication";
        match self.files.cluster_authentications.get(name) {
            Some(Some(found)) => Ok(Some(found.clone())),
            Some(None) => Err(unreadable(KIND, name)),
            None => {
                self.note(KIND, &at("", name));
                Ok(None)
            }
        }
    }

    async fn pod_template(
        &self,
        target: &GroupVersionKindResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        let found = self.files.template(&target.kind, namespace, name).cloned();
        if found.is_none() {
            self.note(&target.kind, &at(namespace, name));
        }
        Ok(found)
    }
}
