//! The parameters of `prometheus` (core.md 10.1).

use std::collections::BTreeMap;
use std::time::Duration;

use keda_scaler::config::Retired;
use keda_scaler::{Context, Secret, TriggerConfig};

use super::azure::Azure;
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

    /// Managed variants of Google and Amazon.
    #[param(group, optional)]
    pub cloud: Cloud,
}

/// Parameters of the managed variants of Google and Amazon (core.md 10.5), which cannot be asked yet. They are declared so
/// that a manifest that needs one is refused by name and not queried without its credentials.
#[derive(Debug, TriggerConfig)]
pub struct Cloud {
    /// Region of an Amazon managed Prometheus.
    #[param(from(metadata, auth))]
    pub aws_region: Option<String>,
    /// Whose AWS identity signs requests: `pod` or `operator`.
    #[param(from(metadata))]
    pub identity_owner: Option<String>,
    /// AWS role to assume.
    #[param(from(auth))]
    pub aws_role_arn: Option<String>,
    /// AWS access key.
    #[param(name = "awsAccessKeyID", alias = "awsAccessKeyId", from(auth, metadata, env))]
    pub aws_access_key_id: Option<Secret>,
    /// Secret of the AWS access key.
    #[param(from(auth, env))]
    pub aws_secret_access_key: Option<Secret>,
    /// Key of a Google service account, JSON.
    #[param(name = "GoogleApplicationCredentials", from(auth))]
    pub google_application_credentials: Option<Secret>,
    /// Key of a Google service account, JSON, in a variable of the workload.
    #[param(from(env))]
    pub credentials: Option<Secret>,
    /// Name of a variable of the workload that names a file with the key of a Google service account.
    #[param(from(metadata))]
    pub credentials_from_env_file: Option<String>,
}

impl Config {
    /// Deadline of a query.
    pub fn timeout(&self, context: &Context) -> Duration {
        self.timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(context.http_timeout)
    }

    /// Whether an Azure Monitor workspace is asked, with the token of an identity. Not with `authModes`.
    pub(super) fn is_azure(&self, context: &Context) -> bool {
        context.pod_identity.is_azure() && !self.auth.any()
    }

    /// What this manifest needs from a cloud and cannot have. With `authModes`, upstream does not look for any.
    pub(super) fn cloud_variant(&self, context: &Context) -> Option<String> {
        if self.auth.any() || self.is_azure(context) {
            return None;
        }
        if let Some(provider) = context.pod_identity.provider() {
            return Some(format!("pod identity provider {provider}"));
        }
        let cloud = &self.cloud;
        let google = cloud.google_application_credentials.is_some()
            || cloud.credentials.is_some()
            || cloud.credentials_from_env_file.is_some();
        let keys = cloud.aws_access_key_id.is_some() && cloud.aws_secret_access_key.is_some();
        let operator = cloud.identity_owner.as_deref().is_some_and(|owner| owner != "pod");
        if google {
            Some("Google managed Prometheus (GoogleApplicationCredentials, credentialsFromEnv)".to_owned())
        } else if operator || keys || cloud.aws_role_arn.is_some() {
            Some("Amazon managed Prometheus (identityOwner, awsRoleArn, awsAccessKeyID)".to_owned())
        } else {
            None
        }
    }
}
