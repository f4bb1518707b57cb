//! The parameters of `prometheus` (core.md 10.1).

use std::collections::BTreeMap;
use std::time::Duration;

use keda_scaler::aws::{Aws, Service};
use keda_scaler::config::Retired;
use keda_scaler::identity::google::Credential;
use keda_scaler::identity::{Provider, TokenRequest};
use keda_scaler::{Context, Error, TriggerConfig};

use super::amazon;
use super::azure::Azure;
use super::google::Google;
use crate::auth_modes::AuthModes;

/// What a manifest says about a `prometheus` trigger.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// Address of the server, e.g. `http://prometheus.monitoring:9090`; `/api/v1/query` is added to it.
    #[param(from(metadata))]
    pub server_address: String,

    /// PromQL query. It must give one element: a vector of one, or a scalar.
    #[param(from(metadata))]
    pub query: String,

    /// Further parameters of the query's URL, as `key=value` separated by commas.
    #[param(from(metadata), optional)]
    pub query_parameters: BTreeMap<String, String>,

    /// Value that one replica stands for (or all, with metricType `Value`).
    #[param(from(metadata))]
    pub threshold: f64,

    /// The trigger is active while the query gives more than this.
    #[param(from(metadata), optional)]
    pub activation_threshold: f64,

    /// Namespace for servers that query by namespace (Thanos, OpenShift); added to the URL as it is.
    #[param(from(metadata))]
    pub namespace: Option<String>,

    /// Further headers of the request, as `name=value` separated by commas.
    #[param(from(metadata), optional)]
    pub custom_headers: BTreeMap<String, String>,

    /// Whether an empty answer, NaN and infinity are read as 0. If not, they are errors, and nothing scales on them.
    #[param(from(metadata), default = true)]
    pub ignore_null_values: bool,

    /// Believe any server. Not used together with `ca` or the mode `tls`.
    #[param(from(metadata), optional)]
    pub unsafe_ssl: bool,

    /// Deadline of a query, as a duration or in milliseconds; 0 means the operator's default.
    #[param(from(metadata))]
    pub timeout: Option<Duration>,

    /// Not used: the name of the metric is always `prometheus`. Old manifests carry it.
    #[param(
        from(metadata),
        deprecated_announce = "The 'metricName' setting is not used any more and can be removed"
    )]
    pub metric_name: Retired,

    /// How requests authenticate.
    #[param(group, optional)]
    pub auth: AuthModes,

    /// Azure Monitor managed Prometheus.
    #[param(group, optional)]
    pub azure: Azure,

    /// Google Cloud Managed Service for Prometheus.
    #[param(group, optional)]
    pub google: Google,

    /// Amazon Managed Service for Prometheus.
    #[param(group, optional)]
    pub aws: Aws,
}

impl Config {
    /// Deadline of a query.
    pub fn timeout(&self, context: &Context) -> Duration {
        self.timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(context.http_timeout)
    }

    /// Which managed Prometheus is asked, if one is. With `authModes` none is; of several that apply the last one is, as
    /// upstream's order has it.
    pub(super) fn managed(&self, context: &Context) -> Option<Managed> {
        if self.auth.any() {
            return None;
        }
        if let Some(service) = amazon::service(&self.aws, context) {
            return Some(Managed::Amazon(service));
        }
        if let Some(credential) = self.google.credential(context) {
            return Some(Managed::Google(credential));
        }
        match &context.pod_identity.provider {
            Provider::AzureWorkload => Some(Managed::Azure),
            Provider::Other(provider) => {
                Some(Managed::Unsupported(format!("pod identity provider {provider}")))
            }
            _ => None,
        }
    }

    /// Which token requests are sent with, if any.
    ///
    /// # Errors
    /// The parameters do not say it, or not clearly.
    pub(super) fn token_request(&self, context: &Context) -> Result<Option<TokenRequest>, Error> {
        match self.managed(context) {
            Some(Managed::Azure) => self.azure.token_request(context).map(|request| Some(request.into())),
            Some(Managed::Google(credential)) => {
                Google::token_request(credential).map(|request| Some(request.into()))
            }
            Some(Managed::Unsupported(what)) => {
                Err(Error::unsupported(format!("{what} is not supported yet by the prometheus trigger")))
            }
            Some(Managed::Amazon(_)) => Ok(None),
            None => Ok(self.auth.oauth(self.unsafe_ssl)?.map(TokenRequest::from)),
        }
    }
}

/// A Prometheus that a cloud runs.
pub(super) enum Managed {
    /// Azure Monitor's, with the token of a workload identity.
    Azure,
    /// Google's, with a token for these credentials.
    Google(Credential),
    /// Amazon's, with requests that are signed.
    Amazon(Service),
    /// One that cannot be asked, in words.
    Unsupported(String),
}
