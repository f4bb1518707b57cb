//! The three processes: whether they run, which version, and who of the operators leads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Container, Pod, PodSpec},
};
use kube::{Api, ResourceExt, api::ListParams};

use super::{World, unread};
use crate::doctor::report::Report;

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Operator,
    MetricsServer,
    Webhooks,
}

impl Part {
    const ALL: [Self; 3] = [Self::Operator, Self::MetricsServer, Self::Webhooks];

    fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::MetricsServer => "metrics server",
            Self::Webhooks => "webhooks",
        }
    }

    /// What a container runs: by the name of the executable, or by its first argument.
    fn of(container: &Container) -> Option<Self> {
        let mut words = container.command.iter().flatten().chain(container.args.iter().flatten());
        let first = words.next()?;
        match (first.rsplit('/').next()?, words.next().map(String::as_str)) {
            ("keda-adapter", _) | ("keda", Some("adapter")) => Some(Self::MetricsServer),
            ("keda-admission-webhooks", _) | ("keda", Some("webhooks")) => Some(Self::Webhooks),
            ("keda", Some("operator")) => Some(Self::Operator),
            ("keda", Some(flag)) if flag.starts_with("--") => Some(Self::Operator),
            _ => None,
        }
    }
}

/// A Deployment of one of the three.
pub(super) struct Process {
    part: Part,
    pub(super) name: String,
    pub(super) account: String,
    image: String,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    /// Labels of its pods.
    pub(super) labels: BTreeMap<String, String>,
    wanted: i32,
    ready: i32,
}

impl Process {
    fn of(deployment: &Deployment) -> Option<Self> {
        let spec = deployment.spec.as_ref()?;
        let pod: &PodSpec = spec.template.spec.as_ref()?;
        let (part, container) = pod.containers.iter().find_map(|one| Some((Part::of(one)?, one)))?;
        let words = container.command.iter().flatten().skip(1).chain(container.args.iter().flatten());
        let variables = container.env.iter().flatten();
        let status = deployment.status.as_ref();
        Some(Self {
            part,
            name: deployment.name_any(),
            account: pod.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
            image: container.image.clone().unwrap_or_default(),
            arguments: words.cloned().collect(),
            variables: variables
                .filter_map(|variable| Some((variable.name.clone(), variable.value.clone()?)))
                .collect(),
            labels: spec
                .template
                .metadata
                .as_ref()
                .and_then(|metadata| metadata.labels.clone())
                .unwrap_or_default(),
            wanted: spec.replicas.unwrap_or(1),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
        })
    }

    /// The value of a flag, in any of the forms that the processes take.
    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        let flag = format!("--{name}");
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            if let Some(value) = word.strip_prefix(&format!("{flag}=")) {
                return Some(value);
            }
            if *word == flag {
                return Some(
                    words
                        .as_slice()
                        .first()
                        .filter(|next| !next.starts_with("--"))
                        .map_or("true", String::as_str),
                );
            }
        }
        None
    }

    pub(super) fn is_on(&self, flag: &str) -> bool {
        self.flag(flag).is_some_and(|value| matches!(value, "true" | "1" | "t" | "T" | "TRUE" | "True"))
    }

    fn shares_namespaces_with(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.namespaces(), other.namespaces());
        ours.is_empty() || theirs.is_empty() || ours.iter().any(|name| theirs.contains(name))
    }

    /// The namespaces that it watches; none means all.
    pub(super) fn namespaces(&self) -> Vec<&str> {
        let given = self.variables.get("WATCH_NAMESPACE").map(String::as_str).unwrap_or_default();
        given.trim_matches('"').split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }
}

/// Those that were found.
#[derive(Default)]
pub(super) struct Processes {
    found: Vec<Process>,
}

impl Processes {
    /// Reads the Deployments of the namespace, and says how they are.
    pub(super) async fn read(world: &World, report: &mut Report) -> Self {
        let api: Api<Deployment> = Api::namespaced(world.client.clone(), &world.namespace);
        let list = match api.list(&ListParams::default()).await {
            Ok(list) => list,
            Err(error) => {
                unread(
                    report,
                    "Deployment",
                    &format!("the Deployments of namespace {}", world.namespace),
                    &error,
                );
                return Self::default();
            }
        };
        let found = Self { found: list.items.iter().filter_map(Process::of).collect() };
        if found.found.is_empty() {
            let text = format!("there is no Deployment of KEDA in namespace {}", world.namespace);
            report.wrong(
                "Deployment",
                text,
                "say where KEDA is with --namespace, or install it: docs/guides/install.md",
            );
            return found;
        }
        for part in Part::ALL {
            match found.get(part) {
                Some(process) => world.deployment(process, report).await,
                None if part == Part::Webhooks => {
                    report.unknown(
                        part.name(),
                        "not installed: what it would refuse is said by the operator, in conditions",
                    );
                }
                None => {
                    let text = format!("there is no Deployment of it in namespace {}", world.namespace);
                    report.wrong(part.name(), text, "install it: docs/guides/install.md");
                }
            }
        }
        found.versions(report);
        if let Some(operator) = found.get(Part::Operator) {
            world.rivals(operator, report).await;
        }
        found
    }

    pub(super) fn are_there(&self) -> bool {
        !self.found.is_empty()
    }

    pub(super) fn get(&self, part: Part) -> Option<&Process> {
        self.found.iter().find(|process| process.part == part)
    }

    /// One image for all of them: an adapter of one version and an operator of another work, but are half an upgrade.
    fn versions(&self, report: &mut Report) {
        let Some(first) = self.found.first() else { return };
        if self.found.iter().all(|process| process.image == first.image) {
            return report.good("version", format!("all of them run {}", first.image));
        }
        let images: Vec<_> =
            self.found.iter().map(|process| format!("{} {}", process.part.name(), process.image)).collect();
        let text = format!("they run different images: {}", images.join(", "));
        report.wrong("version", text, "upgrade the whole release, so that the three are of one version");
    }
}

impl World {
    async fn deployment(&self, process: &Process, report: &mut Report) {
        let (step, name) = (process.part.name(), &process.name);
        let Process { wanted, ready, .. } = process;
        if wanted <= ready && *wanted > 0 {
            return report.good(step, format!("Deployment {name}, {ready} of {wanted} ready"));
        }
        if *wanted == 0 {
            let fix = format!("kubectl scale -n {} deployment {name} --replicas=1", self.namespace);
            return report.wrong(step, format!("Deployment {name} wants no replicas"), &fix);
        }
        let why = self.why_not_ready(process).await;
        let fix = format!(
            "kubectl logs -n {} deployment/{name}; kubectl describe -n {} pods",
            self.namespace, self.namespace
        );
        report.wrong(step, format!("Deployment {name}, {ready} of {wanted} ready{why}"), &fix);
    }

    /// Operators of other namespaces that watch what this one watches: another installation, or upstream's.
    async fn rivals(&self, operator: &Process, report: &mut Report) {
        let api: Api<Deployment> = Api::all(self.client.clone());
        // Who may not look elsewhere has nothing to say of it.
        let Ok(list) = api.list(&ListParams::default()).await else { return };
        let elsewhere =
            list.items.iter().filter(|other| other.namespace().as_deref() != Some(self.namespace.as_str()));
        for (namespace, rival) in
            elsewhere.filter_map(|other| Some((other.namespace()?, Process::of(other)?)))
        {
            if rival.part != Part::Operator || rival.wanted == 0 || !operator.shares_namespaces_with(&rival) {
                continue;
            }
            let text = format!(
                "Deployment {namespace}/{} ({}) is an operator, too: both scale the same objects",
                rival.name, rival.image
            );
            let fix = format!(
                "keep one: kubectl scale -n {namespace} deployment {} --replicas=0, or give them different namespaces to watch",
                rival.name
            );
            report.wrong("operator", text, &fix);
        }
    }

    /// What the first pod that is not ready waits for.
    async fn why_not_ready(&self, process: &Process) -> String {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let Ok(pods) = api.list(&ListParams::default()).await else { return String::new() };
        let of = |pod: &&Pod| process.labels.iter().all(|(key, value)| pod.labels().get(key) == Some(value));
        let told = pods.items.iter().filter(of).find_map(|pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            let status = statuses.iter().find(|status| !status.ready)?;
            let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
            let reason =
                waiting.and_then(|waiting| waiting.reason.clone()).unwrap_or_else(|| "not ready".to_owned());
            let restarts = status.restart_count;
            Some(format!(": {} is {reason}, {restarts} restarts", pod.name_any()))
        });
        told.unwrap_or_default()
    }

    /// The Lease of the operator that works.
    pub(super) async fn leader(&self, processes: &Processes, report: &mut Report) {
        const STEP: &str = "lease";
        let Some(operator) = processes.get(Part::Operator) else {
            return report.unknown(STEP, "there is no operator");
        };
        if !operator.is_on("leader-elect") {
            return report.unknown(STEP, "the operator runs without --leader-elect");
        }
        let name = operator.flag("leader-election-id").unwrap_or("operator.keda.sh");
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let logs = format!("kubectl logs -n {} deployment/{}", self.namespace, operator.name);
        let lease = match api.get_opt(name).await {
            Ok(Some(lease)) => lease.spec.unwrap_or_default(),
            Ok(None) => {
                let text = format!("Lease {name} does not exist: no operator has ever led");
                return report.wrong(STEP, text, &logs);
            }
            Err(error) => return unread(report, STEP, &format!("Lease {name}"), &error),
        };
        let holder = lease.holder_identity.clone().unwrap_or_default();
        if holder.is_empty() {
            return report.wrong(STEP, format!("nobody holds Lease {name}: nothing is scaled"), &logs);
        }
        let now = self.clock.now();
        let renewed = lease.renew_time.map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let age = now.duration_since(renewed).as_secs();
        let lasts = i64::from(lease.lease_duration_seconds.unwrap_or(15));
        if age > lasts {
            let text = format!(
                "{holder} renewed Lease {name} {age} s ago, and it lasts {lasts} s: nothing is scaled"
            );
            return report.wrong(STEP, text, &logs);
        }
        report.good(STEP, format!("{holder} leads, renewed {age} s ago"));
    }
}
