//! A cluster for the tests: objects by namespace and name.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{
    ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication, TriggerAuthenticationSpec,
};
use keda_scaler::Secret;
use keda_scaler::kube::{ReadError, Reader};

/// Keys are `namespace/name`, or the name of a cluster's object.
#[derive(Default)]
pub(crate) struct Memory {
    secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    config_maps: BTreeMap<String, BTreeMap<String, String>>,
    authentications: BTreeMap<String, TriggerAuthenticationSpec>,
    templates: BTreeMap<String, PodTemplateSpec>,
    accounts: BTreeMap<String, BTreeMap<String, String>>,
    /// Every read of a Secret fails with this.
    pub(crate) secrets_fail: Option<ReadError>,
    /// No Secret may be read.
    pub(crate) restricted: bool,
}

impl Memory {
    pub(crate) fn secret(mut self, at: &str, data: &[(&str, &[u8])]) -> Self {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
        self.secrets.insert(at.to_owned(), data);
        self
    }

    pub(crate) fn config_map(mut self, at: &str, data: &[(&str, &str)]) -> Self {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.config_maps.insert(at.to_owned(), data);
        self
    }

    /// A ServiceAccount with its annotations.
    pub(crate) fn account(mut self, at: &str, annotations: &[(&str, &str)]) -> Self {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.accounts.insert(at.to_owned(), annotations.collect());
        self
    }

    /// A TriggerAuthentication at `namespace/name`, or a ClusterTriggerAuthentication at `name`, from its spec in JSON.
    pub(crate) fn authentication(mut self, at: &str, spec: serde_json::Value) -> Self {
        let spec = serde_json::from_value(spec).expect("a valid spec");
        self.authentications.insert(at.to_owned(), spec);
        self
    }

    /// A target at `namespace/name`, from its pod template in JSON.
    pub(crate) fn template(mut self, at: &str, template: serde_json::Value) -> Self {
        let template = serde_json::from_value(template).expect("a valid pod template");
        self.templates.insert(at.to_owned(), template);
        self
    }
}

#[async_trait]
impl Reader for Memory {
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        match &self.secrets_fail {
            Some(error) => Err(error.clone()),
            None => Ok(self.secrets.get(&format!("{namespace}/{name}")).cloned()),
        }
    }

    fn may_read_secrets(&self, _: &str) -> bool {
        !self.restricted
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        Ok(self.config_maps.get(&format!("{namespace}/{name}")).cloned())
    }

    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        let spec = self.authentications.get(&format!("{namespace}/{name}"));
        Ok(spec.map(|spec| TriggerAuthentication::new(name, spec.clone())))
    }

    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        let spec = self.authentications.get(name);
        Ok(spec.map(|spec| ClusterTriggerAuthentication::new(name, spec.clone().into())))
    }

    async fn pod_template(
        &self,
        _: &GroupVersionKindResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        Ok(self.templates.get(&format!("{namespace}/{name}")).cloned())
    }

    async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        Ok(self.accounts.get(&format!("{namespace}/{name}")).cloned())
    }

    /// A token in the API server's form, unsigned, valid for ever.
    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audience: Option<&str>,
        _: Duration,
    ) -> Result<Option<Secret>, ReadError> {
        let subject = format!("system:serviceaccount:{namespace}:{name}");
        let token = crate::azure::fake::federated_token(&subject, audience.unwrap_or("kubernetes"), None);
        Ok(self.accounts.contains_key(&format!("{namespace}/{name}")).then(|| Secret::from(token)))
    }
}
