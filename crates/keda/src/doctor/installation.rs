//! The installation as the API server shows it: definitions, processes, leader, metrics API, certificates, admission, permissions.
//!
//! What may not be read by whoever asks is not known, which is no fault; only what is wrong fails.

mod processes;
mod rights;
mod serving;
mod trust;

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray as Items,
};
use keda_scaler::{Clock, identity::ServiceAccount};
use kube::{Api, Client};

use self::processes::Processes;
use super::report::Report;
use crate::{environment, kubernetes::ApiFlags};

/// Which installation to examine, and from where.
#[derive(Debug, clap::Args)]
pub(crate) struct Whereabouts {
    /// Namespace of KEDA.
    #[arg(long, short, env = "POD_NAMESPACE", default_value = "keda")]
    namespace: String,
    #[command(flatten)]
    api: ApiFlags,
}

/// Examines with the process's own connection.
pub(super) async fn run(flags: &Whereabouts) -> Result<Report> {
    let client = flags.api.client().await?;
    let own = environment::azure_identity().service_account;
    let world = World { client, namespace: flags.namespace.clone(), clock: Clock::system(), own };
    Ok(world.examine().await)
}

/// What the doctor looks at.
struct World {
    client: Client,
    namespace: String,
    clock: Clock,
    /// The account of the pod that this process is in.
    own: Option<ServiceAccount>,
}

/// What could not be read: nothing to blame the installation for.
fn unread(report: &mut Report, step: &'static str, what: &str, error: &kube::Error) {
    report.unknown(step, format!("cannot read {what}: {}", keda_cluster::words(error)));
}

impl World {
    async fn examine(&self) -> Report {
        let mut report = Report::default();
        report.heading("definitions");
        self.definitions(&mut report).await;
        report.heading("processes");
        let processes = Processes::read(self, &mut report).await;
        if !processes.are_there() {
            return report;
        }
        report.heading("leader");
        self.leader(&processes, &mut report).await;
        report.heading("metrics API");
        let api_service = self.metrics_api(&processes, &mut report).await;
        report.heading("admission");
        let webhooks = self.admission(&processes, &mut report).await;
        report.heading("certificates");
        self.certificates(&processes, api_service.as_ref(), webhooks.as_ref(), &mut report).await;
        report.heading("permissions");
        self.permissions(&processes, &mut report).await;
        report
    }

    /// The CRDs: there, served, and with every field that this version reads.
    async fn definitions(&self, report: &mut Report) {
        const FIX: &str = "install this version's definitions: keda crds | kubectl apply --server-side -f -";
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for ours in keda_api::crds::all() {
            let name = ours.metadata.name.clone().unwrap_or_default();
            let live = match api.get_opt(&name).await {
                Ok(Some(live)) => live,
                Ok(None) => {
                    report.wrong("CRD", format!("{name} does not exist"), FIX);
                    continue;
                }
                Err(error) => {
                    unread(report, "CRD", &name, &error);
                    continue;
                }
            };
            match fault_of(&ours, &live) {
                Some(fault) => report.wrong("CRD", format!("{name} {fault}"), FIX),
                None => report.good("CRD", name),
            }
        }
    }
}

/// What is wrong with a definition.
fn fault_of(ours: &CustomResourceDefinition, live: &CustomResourceDefinition) -> Option<String> {
    let mut conditions = live.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let established = conditions.find(|condition| condition.type_ == "Established");
    if let Some(condition) = established.filter(|condition| condition.status != "True") {
        return Some(format!("is not established: {}", condition.message.clone().unwrap_or_default()));
    }
    for version in &ours.spec.versions {
        let Some(found) = live.spec.versions.iter().find(|found| found.name == version.name) else {
            return Some(format!("has no version {}", version.name));
        };
        if !found.served {
            return Some(format!("does not serve version {}", version.name));
        }
        let schema = |version: &CustomResourceDefinitionVersion| {
            version.schema.clone().and_then(|schema| schema.open_api_v3_schema).unwrap_or_default()
        };
        let mut lacking = Vec::new();
        compare(&schema(version), &schema(found), "", &mut lacking);
        if let Some(first) = lacking.first() {
            let fields = if lacking.len() == 1 { "field" } else { "fields" };
            let count = lacking.len();
            return Some(format!(
                "is of another version: it lacks {count} {fields} of ours, such as {first}"
            ));
        }
    }
    None
}

/// The fields of ours that the other does not know, and would drop.
fn compare(ours: &JSONSchemaProps, other: &JSONSchemaProps, path: &str, lacking: &mut Vec<String>) {
    if other.x_kubernetes_preserve_unknown_fields == Some(true) {
        return;
    }
    for (name, ours) in ours.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        match other.properties.iter().flatten().find(|(found, _)| *found == name) {
            None => lacking.push(path.trim_start_matches('.').to_owned()),
            Some((_, other)) => compare(ours, other, &path, lacking),
        }
    }
    let item = |schema: &JSONSchemaProps| match &schema.items {
        Some(Items::Schema(schema)) => Some((**schema).clone()),
        _ => None,
    };
    if let (Some(ours), Some(other)) = (item(ours), item(other)) {
        compare(&ours, &other, &format!("{path}[]"), lacking);
    }
}

#[cfg(test)]
mod tests;
