//! The HorizontalPodAutoscaler controller: every sync period, each autoscaler once.
//!
//! Reads top to bottom: [`run`] → [`Controller::sync`] (one autoscaler) → [`Controller::read`] (one metric). What to do
//! is decided by [`keda_core::autoscale`]; here it is asked, done and reported ([`status`]).

mod status;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures::{StreamExt, stream};
use jiff::SignedDuration;
use k8s_openapi::api::{
    autoscaling::{
        v1::Scale,
        v2::{HorizontalPodAutoscaler, MetricSpec},
    },
    core::v1::Pod,
};
use keda_api::external_metrics::{API_VERSION, ExternalMetricValueList};
use keda_core::autoscale::{self, History, Metric, Outcome, Replicas, Settings, Situation};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{Clock, sync::lock};

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
    /// Stamps conditions, and times windows; give it the server's.
    pub clock: Clock,
    /// Is told every change of a target.
    pub rescales: Option<mpsc::UnboundedSender<Rescale>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
            clock: Clock::default(),
            rescales: None,
        }
    }
}

impl Options {
    fn settings(&self) -> Settings {
        let window = SignedDuration::try_from(self.downscale_stabilization);
        Settings {
            tolerance: self.tolerance,
            downscale_stabilization: window.unwrap_or(SignedDuration::MAX),
            ..Settings::default()
        }
    }
}

/// A change of a target that an autoscaler made.
#[derive(Clone, Debug)]
pub struct Rescale {
    /// The autoscaler's namespace.
    pub namespace: String,
    /// The autoscaler.
    pub name: String,
    /// The name of its target.
    pub target: String,
    /// The whole sync.
    pub outcome: Outcome,
}

struct Controller {
    client: Client,
    options: Options,
    kinds: Mutex<HashMap<GroupVersionKind, ApiResource>>,
    /// By UID.
    histories: Mutex<HashMap<String, History>>,
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
        self.sync(&autoscaler, &mut report).await;
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
    async fn sync(&self, autoscaler: &HorizontalPodAutoscaler, report: &mut Report) {
        let Some(spec) = &autoscaler.spec else { return };
        let name = &spec.scale_target_ref.name;
        let read = async {
            let api = self.target(autoscaler).await?;
            let scale = api.get_scale(name).await?;
            Ok::<_, kube::Error>((api, scale))
        };
        let (api, scale) = match read.await {
            Ok(read) => read,
            Err(error) => return report.condition(&autoscale::scale_unreadable(&words(&error))),
        };
        let uid = autoscaler.uid().unwrap_or_default();
        let history = lock(&self.histories).get(&uid).cloned().unwrap_or_default();
        let specs = spec.metrics.as_deref().unwrap_or_default();
        let namespace = autoscaler.namespace().unwrap_or_default();
        let unread: Vec<Metric> = specs.iter().map(|metric| Metric::unread(&namespace, metric)).collect();
        let mut situation = Situation {
            now: self.options.clock.now(),
            replicas: replicas(&scale),
            min: spec.min_replicas,
            max: spec.max_replicas,
            behavior: spec.behavior.as_ref(),
            scaled_to_zero: report.scaled_to_zero(),
            metrics: &unread,
            history: &history,
            settings: self.options.settings(),
        };
        let read;
        if situation.asks_metrics() {
            situation.replicas.ready = Some(self.ready(autoscaler, &scale).await);
            read = self.read(autoscaler, specs, &unread).await;
            situation.metrics = &read;
        }
        let outcome = autoscale::evaluate(&situation);
        report.outcome(specs, &outcome);
        let mut history = outcome.history.clone();
        if let Some((from, to)) = outcome.change() {
            let patch = json!({"spec": {"replicas": to}});
            let written = api.patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
            match written {
                Ok(_) => {
                    history.scaled(from, to, outcome.at, spec.behavior.as_ref());
                    report.rescaled(&outcome);
                    self.tell(autoscaler, name, outcome);
                }
                Err(error) => report.not_rescaled(autoscaler, &autoscale::update_failed(&words(&error))),
            }
        }
        lock(&self.histories).insert(uid, history);
    }

    fn tell(&self, autoscaler: &HorizontalPodAutoscaler, target: &str, outcome: Outcome) {
        if let Some(rescales) = &self.options.rescales {
            let namespace = autoscaler.namespace().unwrap_or_default();
            let rescale =
                Rescale { namespace, name: autoscaler.name_any(), target: target.to_owned(), outcome };
            // Whoever wanted to know may have gone.
            let _gone = rescales.send(rescale);
        }
    }

    /// Every metric with its values, or with why there are none, in the controller's words.
    async fn read(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        specs: &[MetricSpec],
        unread: &[Metric],
    ) -> Vec<Metric> {
        let mut metrics = unread.to_vec();
        for (spec, metric) in specs.iter().zip(&mut metrics) {
            if let Metric::External { .. } = metric {
                let answer = self.ask(autoscaler, spec).await;
                let values = answer.map(|list| list.items.into_iter().map(|item| item.value).collect());
                metric.read(values.map_err(|error| words(&error)));
            }
        }
        metrics
    }

    async fn ask(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        metric: &MetricSpec,
    ) -> kube::Result<ExternalMetricValueList> {
        let Some(external) = &metric.external else { return Ok(ExternalMetricValueList::new(Vec::new())) };
        let namespace = autoscaler.namespace().unwrap_or_default();
        let selector = serde_json::to_value(&external.metric.selector).unwrap_or_default();
        let selector = crate::selector::of_object(&selector).unwrap_or_default().text();
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("labelSelector", &selector).finish();
        let path = format!("/apis/{API_VERSION}/namespaces/{namespace}/{}?{query}", external.metric.name);
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request(request).await
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
}

/// What the target has; pods are counted where metrics are asked.
fn replicas(scale: &Scale) -> Replicas {
    Replicas {
        asked: scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0),
        reported: scale.status.as_ref().map_or(0, |status| status.replicas),
        ready: None,
    }
}

/// What the API server said, without the client's own words around it.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
