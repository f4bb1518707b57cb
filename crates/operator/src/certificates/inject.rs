//! The CA, announced to the API server: `caBundle` of the APIService and of every webhook, by difference.

use k8s_openapi::{
    ByteString, api::admissionregistration::v1::ValidatingWebhookConfiguration,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::Rotation;
use crate::cluster::retry;

/// The APIService of the metrics that the adapter serves.
const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";

/// Where the CA is announced, and what has been said about that.
pub(super) struct Announcements {
    api_services: Option<Api<APIService>>,
    webhooks: Option<(Api<ValidatingWebhookConfiguration>, String)>,
    told: [Option<&'static str>; 2],
}

/// A target as it was found.
enum Found {
    /// It says what it should, or does now.
    Announced,
    /// Nothing can be announced there; why.
    Not(&'static str),
}

impl Announcements {
    pub(super) fn new(client: &Client, rotation: &Rotation) -> Self {
        let webhooks = rotation.webhooks.clone().map(|name| (Api::all(client.clone()), name));
        Self {
            api_services: rotation.api_service.then(|| Api::all(client.clone())),
            webhooks,
            told: [None, None],
        }
    }

    /// Every target that exists, with its name.
    pub(super) fn api_service(&self) -> Option<(Api<APIService>, String)> {
        self.api_services.clone().map(|api| (api, API_SERVICE.to_owned()))
    }

    /// The webhooks' configuration.
    pub(super) fn webhooks(&self) -> Option<(Api<ValidatingWebhookConfiguration>, String)> {
        self.webhooks.clone()
    }

    /// Has every target say `ca` (PEM). A missing target is said once and no failure: it is announced there when it appears.
    pub(super) async fn announce(&mut self, ca: &[u8]) -> Result<(), kube::Error> {
        if let Some(api) = self.api_services.clone() {
            let found = in_api_service(&api, ca).await?;
            self.tell(0, "apiservice", API_SERVICE, &found);
        }
        if let Some((api, name)) = self.webhooks.clone() {
            let found = in_webhooks(&api, &name, ca).await?;
            self.tell(1, "validatingwebhookconfiguration", &name, &found);
        }
        Ok(())
    }

    fn tell(&mut self, at: usize, kind: &str, name: &str, found: &Found) {
        let why = match found {
            Found::Announced => None,
            Found::Not(why) => Some(*why),
        };
        if let Some(why) = why
            && self.told[at] != Some(why)
        {
            tracing::warn!(logger = "cert-rotation", kind, name, why, "the CA is not injected");
        }
        self.told[at] = why;
    }
}

async fn in_api_service(api: &Api<APIService>, ca: &[u8]) -> Result<Found, kube::Error> {
    let Some(live) = retry(|| api.get_opt(API_SERVICE)).await? else {
        return Ok(Found::Not("it does not exist"));
    };
    let spec = live.spec.unwrap_or_default();
    if spec.ca_bundle.as_ref().is_some_and(|bundle| bundle.0 == ca) {
        return Ok(Found::Announced);
    }
    if spec.insecure_skip_tls_verify == Some(true) {
        // The API server refuses a CA beside it, and whoever set it wants no verification.
        return Ok(Found::Not("insecureSkipTLSVerify is set"));
    }
    if spec.service.is_none() {
        return Ok(Found::Not("it has no service"));
    }
    let patch = Patch::Merge(json!({"spec": {"caBundle": ByteString(ca.to_vec())}}));
    let parameters = PatchParams::default();
    retry(|| api.patch(API_SERVICE, &parameters, &patch)).await?;
    tracing::info!(logger = "cert-rotation", apiservice = API_SERVICE, "injected the CA");
    Ok(Found::Announced)
}

async fn in_webhooks(
    api: &Api<ValidatingWebhookConfiguration>,
    name: &str,
    ca: &[u8],
) -> Result<Found, kube::Error> {
    let Some(live) = retry(|| api.get_opt(name)).await? else { return Ok(Found::Not("it does not exist")) };
    let Some(patch) = webhooks_patch(&live, ca)? else { return Ok(Found::Announced) };
    let (parameters, patch) = (PatchParams::default(), Patch::<()>::Json(patch));
    retry(|| api.patch(name, &parameters, &patch)).await?;
    tracing::info!(logger = "cert-rotation", validatingwebhookconfiguration = name, "injected the CA");
    Ok(Found::Announced)
}

/// A patch for those webhooks that say something else, `None` when none does. Each one is tested for its name first: a configuration that was
/// replaced meanwhile is not patched at the wrong places, but looked at again.
fn webhooks_patch(
    live: &ValidatingWebhookConfiguration,
    ca: &[u8],
) -> Result<Option<json_patch::Patch>, kube::Error> {
    let bundle = ByteString(ca.to_vec());
    let differing = live.webhooks.iter().flatten().enumerate();
    let differing =
        differing.filter(|(_, webhook)| webhook.client_config.ca_bundle.as_ref() != Some(&bundle));
    let steps: Vec<Value> = differing
        .flat_map(|(at, webhook)| {
            [
                json!({"op": "test", "path": format!("/webhooks/{at}/name"), "value": webhook.name}),
                json!({"op": "add", "path": format!("/webhooks/{at}/clientConfig/caBundle"), "value": bundle}),
            ]
        })
        .collect();
    if steps.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(Value::Array(steps)).map(Some).map_err(kube::Error::SerdeError)
}
