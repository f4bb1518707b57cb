//! What the API server is told to ask KEDA: the metrics API, and admission.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingWebhookConfiguration,
        core::v1::{Pod, Service},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec},
};
use kube::{Api, ResourceExt, api::ListParams};

use super::{
    World,
    processes::{Part, Process, Processes},
    unread,
};
use crate::doctor::report::Report;

const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
const WEBHOOKS: &str = "keda-admission";

impl World {
    /// The APIService: there, KEDA's, and answered.
    pub(super) async fn metrics_api(
        &self,
        processes: &Processes,
        report: &mut Report,
    ) -> Option<APIServiceSpec> {
        const STEP: &str = "APIService";
        let api: Api<APIService> = Api::all(self.client.clone());
        let live = match api.get_opt(API_SERVICE).await {
            Ok(Some(live)) => live,
            Ok(None) => {
                let text = format!("{API_SERVICE} does not exist: HPAs cannot read any metric of KEDA");
                report.wrong(STEP, text, "install the chart or manifests as a whole: docs/guides/install.md");
                return None;
            }
            Err(error) => {
                unread(report, STEP, API_SERVICE, &error);
                return None;
            }
        };
        let spec = live.spec.clone().unwrap_or_default();
        let server = processes.get(Part::MetricsServer);
        let service = spec.service.clone().unwrap_or_default();
        let (namespace, name) = (service.namespace.unwrap_or_default(), service.name.unwrap_or_default());
        if namespace != self.namespace {
            let text = format!(
                "{API_SERVICE} is served by {namespace}/{name}, not by KEDA: a cluster has one provider of external metrics"
            );
            let fix = "remove the other provider, then let KEDA's chart or manifests write the APIService again (helm upgrade, kubectl \
                       apply)";
            report.wrong(STEP, text, fix);
            return None;
        }
        let behind = self.behind(&name, server, report).await;
        if spec.insecure_skip_tls_verify == Some(true) {
            let text = "insecureSkipTLSVerify is set: whoever answers at that address is believed";
            report.wrong(
                "TLS",
                text,
                "take insecureSkipTLSVerify out of the APIService; the operator writes its caBundle",
            );
        }
        let conditions = live.status.and_then(|status| status.conditions).unwrap_or_default();
        match conditions.iter().find(|condition| condition.type_ == "Available") {
            Some(condition) if condition.status == "True" => {
                report.good(STEP, format!("{API_SERVICE} is available"));
            }
            Some(condition) => {
                let reason = condition.reason.clone().unwrap_or_default();
                let message = condition.message.clone().unwrap_or_default();
                let fix = match reason.as_str() {
                    "FailedDiscoveryCheck" if message.contains("certificate") || message.contains("x509") => {
                        "see certificates, below"
                    }
                    "FailedDiscoveryCheck" if behind => {
                        "the API server cannot reach the metrics server's port: look at network policies and firewalls between \
                         control plane and pods"
                    }
                    "ServiceNotFound" | "MissingEndpoints" => {
                        "see processes, above: no metrics server is ready behind its Service"
                    }
                    _ => "kubectl describe apiservice v1beta1.external.metrics.k8s.io",
                };
                report.wrong(STEP, format!("{API_SERVICE} is not available: {reason}: {message}"), fix);
            }
            None => report.unknown(STEP, "the API server has not looked at it yet"),
        }
        Some(spec)
    }

    /// The webhooks' configuration, and who answers.
    pub(super) async fn admission(
        &self,
        processes: &Processes,
        report: &mut Report,
    ) -> Option<ValidatingWebhookConfiguration> {
        const STEP: &str = "webhooks";
        let operator = processes.get(Part::Operator);
        let name = operator.and_then(|operator| operator.flag("validating-webhook-name")).unwrap_or(WEBHOOKS);
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let process = processes.get(Part::Webhooks);
        let live = match (api.get_opt(name).await, process) {
            (Ok(Some(live)), _) => live,
            (Ok(None), None) => {
                report.unknown(STEP, "not installed");
                return None;
            }
            (Ok(None), Some(_)) => {
                let text =
                    format!("ValidatingWebhookConfiguration {name} does not exist: nobody asks the webhooks");
                report.wrong(STEP, text, "install the chart or manifests as a whole: docs/guides/install.md");
                return None;
            }
            (Err(error), _) => {
                unread(report, STEP, &format!("ValidatingWebhookConfiguration {name}"), &error);
                return None;
            }
        };
        let hooks = live.webhooks.clone().unwrap_or_default();
        let services: std::collections::BTreeSet<_> = hooks
            .iter()
            .filter_map(|hook| hook.client_config.service.as_ref())
            .map(|service| (service.namespace.clone(), service.name.clone()))
            .collect();
        for (namespace, service) in services {
            if namespace != self.namespace {
                let text = format!(
                    "{name} asks {namespace}/{service}, which is not in namespace {}",
                    self.namespace
                );
                report.wrong(
                    STEP,
                    text,
                    "remove what is left of another installation, or examine it with --namespace",
                );
                return None;
            }
            if process.is_none() {
                let text = format!("{name} asks {namespace}/{service}, and no webhooks are installed");
                let fix =
                    format!("kubectl delete validatingwebhookconfiguration {name}, or install the webhooks");
                report.wrong(STEP, text, &fix);
                return None;
            }
            if !self.behind(&service, process, report).await {
                let strict = hooks.iter().any(|hook| hook.failure_policy.as_deref() == Some("Fail"));
                let text = if strict {
                    "nobody answers, and failurePolicy is Fail: no object of KEDA can be written"
                } else {
                    "nobody answers, and failurePolicy is Ignore: objects land unchecked"
                };
                report.wrong(STEP, text, "see processes, above");
                return Some(live);
            }
        }
        report.good(STEP, format!("{name} asks for {} kinds", hooks.len()));
        Some(live)
    }

    /// Whether a pod that is ready stands behind a Service of ours. What is not there, or leads elsewhere, is said.
    async fn behind(&self, name: &str, process: Option<&Process>, report: &mut Report) -> bool {
        const STEP: &str = "Service";
        let api: Api<Service> = Api::namespaced(self.client.clone(), &self.namespace);
        let selector = match api.get_opt(name).await {
            Ok(Some(service)) => service.spec.and_then(|spec| spec.selector).unwrap_or_default(),
            Ok(None) => {
                let text = format!("there is no Service {}/{name}", self.namespace);
                report.wrong(STEP, text, "install the chart or manifests as a whole: docs/guides/install.md");
                return false;
            }
            Err(error) => {
                unread(report, STEP, &format!("Service {name}"), &error);
                return true;
            }
        };
        if let Some(process) = process
            && !selects(&selector, &process.labels)
        {
            let text = format!("Service {name} does not select the pods of Deployment {}", process.name);
            report.wrong(
                STEP,
                text,
                "restore the Service's selector: helm upgrade, or kubectl apply of the manifests",
            );
            return false;
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        match pods.list(&ListParams::default()).await {
            Ok(pods) => {
                let ready =
                    pods.items.iter().filter(|pod| selects(&selector, pod.labels()) && is_ready(pod)).count();
                if ready == 0 {
                    report.wrong(
                        STEP,
                        format!("no pod behind Service {name} is ready"),
                        "see processes, above",
                    );
                } else {
                    report.good(STEP, format!("{name}, {ready} ready"));
                }
                ready > 0
            }
            Err(error) => {
                unread(report, STEP, &format!("the pods behind Service {name}"), &error);
                true
            }
        }
    }
}

fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|condition| condition.status == "True")
}
