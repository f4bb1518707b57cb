//! Who an object's triggers say they are: the door to `keda-auth`.

use std::{collections::BTreeMap, sync::Arc};

use keda_api::AuthenticationRef;
use keda_auth::{Files, Resolved, Scope};
use keda_scaler::kube::Reader as _;

use super::triggers::Fault;
use crate::{cluster::Target, credentials::Read, kind::Scaled, object::Object, reader::Reader};

/// Resolves the credentials of one reconcile of one object.
pub(super) struct Credentials {
    reader: Arc<Reader>,
    scope: Scope,
}

impl Credentials {
    pub(super) fn of<K: Scaled>(object: &Object<K>, target: &Target) -> Self {
        let controller = &object.controller;
        Credentials {
            reader: Arc::new(controller.reader()),
            scope: Scope {
                namespace: target.namespace.clone(),
                cluster_object_namespace: controller.scope().cluster_object_namespace.clone(),
                target: Some((target.gvkr.clone(), target.name.clone())),
                env_source_container: object.object.env_source_container().map(str::to_owned),
                files: controller.options().file_root.clone().map_or(Files::Off, Files::Below),
                bound_token_lifetime: controller.options().bound_token_lifetime,
                stores: controller.stores().clone(),
                destinations: controller.options().destinations.clone(),
            },
        }
    }

    /// The Secrets and ConfigMaps that were read.
    pub(super) fn read(&self) -> Read {
        self.reader.read()
    }

    /// The parameters of a trigger's authentication.
    pub(super) async fn resolve(
        &self,
        reference: Option<&AuthenticationRef>,
    ) -> Result<Resolved, keda_auth::Error> {
        keda_auth::resolve(reference, &self.scope, self.reader.as_ref()).await
    }

    /// The environment of the target's container, for parameters given by `…FromEnv`.
    ///
    /// # Errors
    /// What to tell the user: which variable, from which object.
    pub(super) async fn container_env(&self) -> Result<BTreeMap<String, String>, Fault> {
        let Some((gvkr, name)) = &self.scope.target else { return Ok(BTreeMap::new()) };
        let namespace = &self.scope.namespace;
        let template = self
            .reader
            .pod_template(gvkr, namespace, name)
            .await
            .map_err(|error| Fault { temporary: error.temporary, text: error.to_string() })?;
        // A target without containers has no environment; upstream goes on without one too.
        let Some(template) = template else { return Ok(BTreeMap::new()) };
        let container = self.scope.env_source_container.as_deref();
        Ok(keda_auth::container_env(&template, container, namespace, self.reader.as_ref()).await?)
    }
}
