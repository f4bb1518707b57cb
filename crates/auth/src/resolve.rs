//! From an `authenticationRef` to parameters (core.md 6.1, 6.2; upstream `pkg/scaling/resolver`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{AuthenticationRef, GroupVersionKindResource, TriggerAuthenticationSpec};
use keda_scaler::destinations::{Destinations, Mode, Policy};
use keda_scaler::{PodIdentity, Secret, kube::Reader};

use crate::binding::Binding;
use crate::claims::Claims;
use crate::stores::{Ask, Stores};
use crate::{Error, ReadKey, Tracked, env, file, identity};

mod oauth2;

/// Where a reference is looked up and what it may read.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The namespace of the ScaledObject or ScaledJob.
    pub namespace: String,
    /// Where a ClusterTriggerAuthentication finds Secrets and ConfigMaps (`KEDA_CLUSTER_OBJECT_NAMESPACE`, else the
    /// operator's own namespace).
    pub cluster_object_namespace: Option<String>,
    /// The scale target and its name, whose pod template `env` sources read.
    pub target: Option<(GroupVersionKindResource, String)>,
    /// The container that `...FromEnv` metadata reads (`envSourceContainerName`). An `env` source does not follow it:
    /// without a container of its own it means the first one, as upstream.
    pub env_source_container: Option<String>,
    /// Where the files of `filePath` are (`--filepath-auth-root-path`).
    pub files: Files,
    /// How long a `boundServiceAccountToken` lives (`KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY`).
    pub bound_token_lifetime: Duration,
    /// The secret stores outside of the cluster; by default this process does not reach them.
    pub stores: Stores,
    /// Where credentials of the cluster may be sent.
    pub destinations: Policy,
}

impl Default for Scope {
    /// Nothing but upstream's defaults.
    fn default() -> Self {
        Self {
            namespace: String::new(),
            cluster_object_namespace: None,
            target: None,
            env_source_container: None,
            files: Files::Off,
            bound_token_lifetime: BOUND_TOKEN_LIFETIME,
            stores: Stores::default(),
            destinations: Policy { mode: Mode::Ignore, ..Policy::default() },
        }
    }
}

/// Upstream's default life of a `boundServiceAccountToken`.
pub const BOUND_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Where the files of `filePath` are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Files {
    /// The flag is not given: `filePath` is refused.
    #[default]
    Off,
    /// Below this folder.
    Below(PathBuf),
    /// In the operator's container, which this process does not see.
    Elsewhere,
}

/// What a reference came to.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The trigger's authentication parameters by name.
    pub params: BTreeMap<String, Secret>,
    /// The identity the trigger should use towards its cloud.
    pub pod_identity: PodIdentity,
    /// Where they may be sent.
    pub destinations: Destinations,
    /// What the object's author, or the cluster's administrator, should know.
    pub warnings: Vec<String>,
    /// When the first of the tokens among the parameters expires, where there is one: they have to be resolved again before.
    pub expires: Option<Timestamp>,
    /// Every object that was read, found or not, sorted.
    pub reads: Vec<ReadKey>,
}

/// Resolves a trigger's `authenticationRef`. No reference, or one without a name, is no parameters.
///
/// Later sources overwrite equal names, in upstream's order: `env`, `configMapTargetRef`, `secretTargetRef`, the secret
/// stores, `boundServiceAccountToken`, `oauth2`. A `filePath` stands in place of all of them.
///
/// # Errors
///
/// When the referenced object, or anything that it names, does not exist or cannot be read, and when it uses a source
/// that is not supported yet. Nothing is resolved partially.
pub async fn resolve(
    reference: Option<&AuthenticationRef>,
    scope: &Scope,
    reader: &dyn Reader,
) -> Result<Resolved, Error> {
    let tracked = Tracked::new(reader);
    let mut resolved = Resolved::default();
    if let Some(reference) = reference.filter(|reference| !reference.name.is_empty()) {
        let Found { key, spec, namespace, annotations } = find(reference, scope, &tracked).await?;
        refuse_unsupported(&key, &spec)?;
        resolved.pod_identity = identity::of(&key, &spec, scope, &tracked).await?;
        let binding = Binding::of(&key, &annotations, scope)?;
        let ask = Ask { origin: &key, namespace: &namespace, scope, reader: &tracked, binding: &binding };
        resolved.params = params(&spec, &ask, &mut resolved.warnings).await?;
        resolved.expires = expiry_of_bound(&spec, &resolved.params);
        resolved.destinations = binding.destinations(&resolved.params, &resolved.pod_identity);
    }
    resolved.reads = tracked.reads();
    Ok(resolved)
}

/// When the first `boundServiceAccountToken` expires, by what it says of itself: the API server may grant less than was asked for.
fn expiry_of_bound(spec: &TriggerAuthenticationSpec, params: &BTreeMap<String, Secret>) -> Option<Timestamp> {
    let sources = spec.bound_service_account_token.iter().flatten();
    let tokens = sources.filter_map(|source| params.get(&source.parameter));
    tokens.filter_map(|token| Claims::of(token.expose())?.expires).min()
}

async fn params(
    spec: &TriggerAuthenticationSpec,
    ask: &Ask<'_>,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Secret>, Error> {
    let Ask { origin: key, namespace, scope, reader, .. } = *ask;
    if let Some(path) = spec.file_path.as_deref().filter(|path| !path.is_empty()) {
        return file::params(key, path, &scope.files);
    }
    let mut params = BTreeMap::new();
    let sources = spec.env.as_deref().unwrap_or_default();
    if !sources.is_empty() {
        let template = pod_template(scope, reader).await?;
        for source in sources {
            let no_template =
                || Error::NoTemplate { parameter: source.parameter.clone(), variable: source.name.clone() };
            let template = template.as_ref().ok_or_else(no_template)?;
            let container =
                env::container(template, source.container_name.as_deref())?.ok_or_else(no_template)?;
            let variables = env::variables(container, &scope.namespace, reader).await?;
            let value = variables.get(&source.name).ok_or_else(|| Error::MissingVariable {
                parameter: source.parameter.clone(),
                variable: source.name.clone(),
                container: container.name.clone(),
            })?;
            params.insert(source.parameter.clone(), Secret::from(value.clone()));
        }
    }

    for source in spec.config_map_target_ref.iter().flatten() {
        let object = ReadKey::config_map(namespace.get(key)?, &source.name);
        let data = reader
            .config_map(namespace.get(key)?, &source.name)
            .await
            .map_err(|cause| Error::Read { object: object.clone(), cause })?;
        let value = pick(data, &parameter(&source.parameter), &source.key, object)?;
        params.insert(source.parameter.clone(), Secret::from(value));
    }
    for source in spec.secret_target_ref.iter().flatten() {
        let object = ReadKey::secret(namespace.get(key)?, &source.name);
        let data = reader
            .secret(namespace.get(key)?, &source.name)
            .await
            .map_err(|cause| Error::Read { object: object.clone(), cause })?;
        let value = pick(data, &parameter(&source.parameter), &source.key, object.clone())?;
        let value =
            String::from_utf8(value).map_err(|_| Error::NotText { key: source.key.clone(), object })?;
        params.insert(source.parameter.clone(), Secret::from(value));
    }
    scope.stores.params(spec, ask, &mut params, warnings).await?;
    for source in spec.bound_service_account_token.iter().flatten() {
        let (namespace, name) = (namespace.get(key)?, source.service_account_name.as_str());
        let object = ReadKey::namespaced("ServiceAccount", namespace, name);
        let token = reader
            .service_account_token(namespace, name, None, scope.bound_token_lifetime)
            .await
            .map_err(|cause| Error::Read { object: object.clone(), cause })?;
        let missing = || Error::MissingAccount { parameter: source.parameter.clone(), object };
        params.insert(source.parameter.clone(), token.ok_or_else(missing)?);
    }
    if let Some(given) = &spec.oauth2 {
        params.extend(oauth2::params(ask, spec, given).await?);
    }
    Ok(params)
}

/// The referenced object.
struct Found {
    key: ReadKey,
    spec: TriggerAuthenticationSpec,
    namespace: SourceNamespace,
    annotations: BTreeMap<String, String>,
}

/// Where the object's Secrets and ConfigMaps are. It matters only once one is read.
pub(crate) struct SourceNamespace(Option<String>);

impl SourceNamespace {
    pub(crate) fn get(&self, key: &ReadKey) -> Result<&str, Error> {
        self.0.as_deref().ok_or_else(|| Error::NoClusterObjectNamespace(key.clone()))
    }
}

async fn find(reference: &AuthenticationRef, scope: &Scope, reader: &dyn Reader) -> Result<Found, Error> {
    let name = reference.name.as_str();
    match reference.kind.as_deref().unwrap_or_default() {
        "" | "TriggerAuthentication" => {
            let key = ReadKey::namespaced("TriggerAuthentication", &scope.namespace, name);
            let found = reader.trigger_authentication(&scope.namespace, name).await;
            let found = found.map_err(|cause| Error::Read { object: key.clone(), cause })?;
            let found = found.ok_or_else(|| Error::NotFound(key.clone()))?;
            let annotations = found.metadata.annotations.unwrap_or_default();
            let namespace = SourceNamespace(Some(scope.namespace.clone()));
            Ok(Found { key, spec: found.spec, namespace, annotations })
        }
        "ClusterTriggerAuthentication" => {
            let key = ReadKey::cluster("ClusterTriggerAuthentication", name);
            let found = reader.cluster_trigger_authentication(name).await;
            let found = found.map_err(|cause| Error::Read { object: key.clone(), cause })?;
            let found = found.ok_or_else(|| Error::NotFound(key.clone()))?;
            let namespace = SourceNamespace(scope.cluster_object_namespace.clone());
            let annotations = found.metadata.annotations.unwrap_or_default();
            Ok(Found { key, spec: found.spec.0, namespace, annotations })
        }
        other => Err(Error::UnknownKind(other.to_owned())),
    }
}

/// A parameter must never be missing in silence.
fn refuse_unsupported(origin: &ReadKey, spec: &TriggerAuthenticationSpec) -> Result<(), Error> {
    match unsupported(spec) {
        Some(source_name) => Err(Error::Unsupported { origin: origin.clone(), source_name }),
        None => Ok(()),
    }
}

/// Names the first source that a spec needs and that is not supported yet.
pub fn unsupported(spec: &TriggerAuthenticationSpec) -> Option<String> {
    let provider = spec.pod_identity.as_ref().map(|identity| identity.provider.as_str()).unwrap_or_default();
    if !matches!(provider, "" | "none" | "azure-workload" | "azure" | "aws" | "aws-eks" | "gcp") {
        return Some(format!("podIdentity provider {provider}"));
    }
    let sources = [("azureKeyVault", spec.azure_key_vault.is_some())];
    sources.into_iter().find(|(_, used)| *used).map(|(name, _)| name.to_owned())
}

pub(crate) async fn pod_template(
    scope: &Scope,
    reader: &dyn Reader,
) -> Result<Option<PodTemplateSpec>, Error> {
    let Some((kind, name)) = &scope.target else { return Ok(None) };
    let read = reader.pod_template(kind, &scope.namespace, name).await;
    read.map_err(|cause| Error::Read {
        object: ReadKey::namespaced(&kind.kind, &scope.namespace, name),
        cause,
    })
}

/// A parameter, in words.
fn parameter(name: &str) -> String {
    format!("parameter \"{name}\"")
}

pub(crate) fn pick<V>(
    data: Option<BTreeMap<String, V>>,
    what: &str,
    key: &str,
    object: ReadKey,
) -> Result<V, Error> {
    let what = what.to_owned();
    let Some(mut data) = data else {
        return Err(Error::MissingObject { what, key: key.to_owned(), object });
    };
    data.remove(key).ok_or_else(|| Error::MissingKey { what, key: key.to_owned(), object })
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
