//! The HorizontalPodAutoscaler controller: every sync period, each autoscaler once.
//!
//! Reads top to bottom: [`run`] → [`Controller::sync`] (one autoscaler) → [`Controller::measure`] (one metric) →
//! [`replicas`] (how many), [`limits`] (how fast), [`status`] (what is reported).

mod limits;
mod replicas;
mod status;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::{
    autoscaling::{
        v1::Scale,
        v2::{HorizontalPodAutoscaler, MetricSpec},
    },
    core::v1::Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use keda_api::external_metrics::{API_VERSION, ExternalMetricValueList};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Clock, sync::lock};

use limits::History;
use replicas::{Current, Measured};
use status::Report;

/// How many autoscalers are looked at at once.
const WORKERS: usize = 5;

/// Options of the HPA controller; the defaults are kube-controller-manager's.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--horizontal-pod-autoscaler-sync-period`.
    pub sync_period: Duration,
    /// `--horizontal-pod-autoscaler-tolerance`.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`.
    pub downscale_stabilization: Duration,
    /// Stamps conditions; give it the server's.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
            clock: Clock::default(),
        }
    }
}

struct Controller {
    client: Client,
    options: Options,
    kinds: Mutex<HashMap<GroupVersionKind, ApiResource>>,
    /// By UID.
    histories: Mutex<HashMap<String, History>>,
}

/// Why an autoscaler could not be served: a condition's reason and message.
struct Failure {
    condition: &'static str,
    reason: &'static str,
    message: String,
}

/// Serves every autoscaler, for ever.
pub(super) async fn run(client: Client, options: Options) {
    let mut ticks = interval(options.sync_period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let controller = Controller { client, options, kinds: Mutex::default(), histories: Mutex::default() };
    let all: Api<HorizontalPodAutoscaler> = Api::all(controller.client.clone());
    loop {
        ticks.tick().await;
        let listed = match all.list(&ListParams::default()).await {
            Ok(listed) => listed.items,
            Err(error) => {
                tracing::debug!(%error, "autoscalers cannot be listed");
                continue;
            }
        };
        let uids: Vec<String> = listed.iter().filter_map(ResourceExt::uid).collect();
        lock(&controller.histories).retain(|uid, _| uids.contains(uid));
        stream::iter(listed).for_each_concurrent(WORKERS, |autoscaler| controller.serve(autoscaler)).await;
    }
}

impl Controller {
    async fn serve(&self, autoscaler: HorizontalPodAutoscaler) {
        let mut report = Report::on(&autoscaler);
        if let Err(failure) = self.sync(&autoscaler, &mut report).await {
            report.condition(failure.condition, false, failure.reason, &failure.message);
        }
        let Some(patch) = report.difference(&autoscaler, self.options.clock.now()) else { return };
        let namespace = autoscaler.namespace().unwrap_or_default();
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), &namespace);
        let written =
            api.patch_status(&autoscaler.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
        if let Err(error) = written {
            tracing::debug!(name = autoscaler.name_any(), %error, "status not written");
        }
    }

    /// Brings the target of one autoscaler to where it should be.
    async fn sync(&self, autoscaler: &HorizontalPodAutoscaler, report: &mut Report) -> Result<(), Failure> {
        let Some(spec) = &autoscaler.spec else { return Ok(()) };
        let cannot =
            |message: String| Failure { condition: "AbleToScale", reason: "FailedGetScale", message };
        let name = &spec.scale_target_ref.name;
        let api = self.target(autoscaler).await.map_err(|error| {
            cannot(format!("the HPA controller was unable to get the target's current scale: {error}"))
        })?;
        let scale = api.get_scale(name).await.map_err(|error| {
            cannot(format!(
                "the HPA controller was unable to get the target's current scale: {}",
                words(&error)
            ))
        })?;
        report.condition(
            "AbleToScale",
            true,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        );
        let current = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        report.current_replicas(current);
        let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
        self.with_history(autoscaler, |history| history.begin(current, Instant::now()));
        let desired = if current == 0 && min != 0 {
            report.condition(
                "ScalingActive",
                false,
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            );
            current
        } else if current > max {
            max
        } else if current < min {
            min
        } else {
            let proposed = self.propose(autoscaler, &scale, report).await?;
            let bounds = limits::Bounds { min, max, current };
            let window = self.options.downscale_stabilization;
            let limited = self.with_history(autoscaler, |history| {
                limits::limit(history, spec.behavior.as_ref(), &bounds, proposed, window, Instant::now())
            });
            report.limited(&limited);
            limited.replicas
        };
        if desired != current {
            let patch = json!({"spec": {"replicas": desired}});
            api.patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map_err(|error| {
                Failure {
                    condition: "AbleToScale",
                    reason: "FailedUpdateScale",
                    message: format!(
                        "the HPA controller was unable to update the target scale: {}",
                        words(&error)
                    ),
                }
            })?;
            let message = format!("the HPA controller was able to update the target scale to {desired}");
            report.condition("AbleToScale", true, "SucceededRescale", &message);
            report.rescaled();
            self.with_history(autoscaler, |history| history.scaled(current, desired, Instant::now()));
        }
        report.desired_replicas(desired);
        Ok(())
    }

    /// What the metrics ask for: the most that any of them does. A metric that fails never lets the target shrink.
    async fn propose(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        scale: &Scale,
        report: &mut Report,
    ) -> Result<i32, Failure> {
        let metrics = autoscaler.spec.as_ref().and_then(|spec| spec.metrics.as_deref()).unwrap_or_default();
        let current = Current {
            spec: scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0),
            status: scale.status.as_ref().map_or(0, |status| status.replicas),
            ready: self.ready(autoscaler, scale).await,
        };
        let tolerance = replicas::Tolerance::of(autoscaler, self.options.tolerance);
        let mut most: Option<(i32, String)> = None;
        let mut failure = None;
        for metric in metrics {
            match self.measure(autoscaler, metric, &current, tolerance).await {
                Ok((measured, wanted, name)) => {
                    report.measured(metric, Some(&measured));
                    if most.as_ref().is_none_or(|(replicas, _)| wanted > *replicas) {
                        most = Some((wanted, name));
                    }
                }
                Err(error) => {
                    report.measured(metric, None);
                    failure.get_or_insert(error);
                }
            }
        }
        match (most, failure) {
            (Some((wanted, _)), Some(failure)) if wanted < current.spec => Err(failure),
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(current.spec),
            (Some((wanted, name)), _) => {
                let message =
                    format!("the HPA was able to successfully calculate a replica count from {name}");
                report.condition("ScalingActive", true, "ValidMetricFound", &message);
                Ok(wanted)
            }
        }
    }

    /// One metric: its value, and the replicas that it asks for.
    async fn measure(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        metric: &MetricSpec,
        current: &Current,
        tolerance: replicas::Tolerance,
    ) -> Result<(Measured, i32, String), Failure> {
        let Some(external) = metric.external.as_ref().filter(|_| metric.type_ == "External") else {
            return Err(Failure {
                condition: "ScalingActive",
                reason: "InvalidMetricSourceType",
                message: format!(
                    "the HPA was unable to compute the replica count: metrics of type {} are not available here",
                    metric.type_
                ),
            });
        };
        let namespace = autoscaler.namespace().unwrap_or_default();
        let chosen = external.metric.selector.clone().unwrap_or_default();
        let selector = serde_json::to_value(&chosen).unwrap_or_default();
        let selector = crate::selector::of_object(&selector).unwrap_or_default().text();
        let (name, chosen) = (&external.metric.name, go_text(&chosen));
        let failed = |message: String| Failure {
            condition: "ScalingActive",
            reason: "FailedGetExternalMetric",
            message: format!(
                "the HPA was unable to compute the replica count: unable to get external metric {namespace}/{name}/{chosen}: {message}"
            ),
        };
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("labelSelector", &selector).finish();
        let path = format!("/apis/{API_VERSION}/namespaces/{namespace}/{name}?{query}");
        let request = http::Request::get(path).body(Vec::new()).map_err(|error| failed(error.to_string()))?;
        let answer: ExternalMetricValueList = self.client.request(request).await.map_err(|error| {
            failed(format!("unable to fetch metrics from external metrics API: {}", words(&error)))
        })?;
        if answer.items.is_empty() {
            return Err(failed("no metrics returned from external metrics API".to_owned()));
        }
        let usage = answer.items.iter().map(|item| item.value.milli()).sum();
        let (measured, wanted) =
            replicas::of_external(&external.target, usage, current, tolerance).map_err(failed)?;
        Ok((measured, wanted, format!("external metric {name}({chosen})")))
    }

    /// Pods of the target that are ready; what its status says where nobody makes pods.
    async fn ready(&self, autoscaler: &HorizontalPodAutoscaler, scale: &Scale) -> i32 {
        let status = scale.status.as_ref();
        let replicas = status.map_or(0, |status| status.replicas);
        let Some(selector) = status.and_then(|status| status.selector.as_deref()) else { return replicas };
        let namespace = autoscaler.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let Ok(pods) = pods.list(&ListParams::default().labels(selector)).await else { return replicas };
        if pods.items.is_empty() {
            return replicas;
        }
        let is_ready = |pod: &&Pod| {
            let status = pod.status.as_ref();
            let conditions = status.and_then(|status| status.conditions.as_ref());
            status.and_then(|status| status.phase.as_deref()) == Some("Running")
                && conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
        };
        i32::try_from(pods.items.iter().filter(is_ready).count()).unwrap_or(i32::MAX)
    }

    /// The API of the target's kind.
    async fn target(&self, autoscaler: &HorizontalPodAutoscaler) -> kube::Result<Api<DynamicObject>> {
        let reference = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
        let api_version = reference.and_then(|reference| reference.api_version.as_deref()).unwrap_or("v1");
        let kind = reference.map_or("", |reference| reference.kind.as_str());
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let known = lock(&self.kinds).get(&kind).cloned();
        let resource = match known {
            Some(resource) => resource,
            None => {
                let (resource, _) = kube::discovery::pinned_kind(&self.client, &kind).await?;
                lock(&self.kinds).insert(kind, resource.clone());
                resource
            }
        };
        let namespace = autoscaler.namespace().unwrap_or_default();
        Ok(Api::namespaced_with(self.client.clone(), &namespace, &resource))
    }

    fn with_history<T>(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        act: impl FnOnce(&mut History) -> T,
    ) -> T {
        act(lock(&self.histories).entry(autoscaler.uid().unwrap_or_default()).or_default())
    }
}

/// What the API server said, without the client's own words around it.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// A selector as Go prints it, which is what people see in conditions.
fn go_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten();
    let labels: String = labels.map(|(key, value)| format!("{key}: {value},")).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
    )
}
