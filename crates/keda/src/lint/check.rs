//! From texts to a report: reads the objects, judges each of ours, then each of its triggers.

use anyhow::Result;
use keda_api::{
    ClusterTriggerAuthentication, GroupVersionKindResource, ScaledJob, ScaledObject, TriggerAuthentication,
};
use keda_core::{formula, refusal};
use keda_scaler::Registry;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    authentication,
    document::{self, Object},
    files::{self, Files},
    input::Source,
    neighbours::Neighbours,
    report::{Entry, Finding, Report, Severity, Verdict},
    requests, scaled_job, scaled_object,
    schema::Kinds,
    triggers::{self, Subject},
};

/// What is not in the files.
pub struct Options {
    /// Missing objects are errors.
    pub strict: bool,
    /// Namespace of objects that name none.
    pub namespace: String,
    /// Where ClusterTriggerAuthentications find Secrets and ConfigMaps.
    pub cluster_object_namespace: String,
}

/// Checks everything.
pub(super) async fn check(sources: &[Source], options: &Options) -> Result<Report> {
    let kinds = Kinds::known()?;
    let registry = keda_scalers::registry();
    let mut report = Report::default();
    let mut objects = Vec::new();
    for source in sources {
        let (found, broken) = document::objects(source);
        objects.extend(found);
        report.entries.extend(broken.into_iter().map(|broken| Entry {
            file: broken.file,
            line: broken.line,
            kind: String::new(),
            object: String::new(),
            trigger: None,
            spoiled: false,
            findings: vec![Finding::error(broken.line, broken.error)],
        }));
    }
    // The schema first: everything after sees what the API server would store.
    let mut findings: Vec<Vec<Finding>> = Vec::new();
    for object in &mut objects {
        findings.push(prepare(kinds, object, &options.namespace));
    }
    let files = Files::of(&objects, &options.cluster_object_namespace);
    let neighbours = Neighbours {
        scaled_objects: objects
            .iter()
            .filter(|object| object.kind() == "ScaledObject")
            .filter_map(typed)
            .collect(),
        objects: &objects,
    };
    let run = Run { registry, files, neighbours, options };
    for (object, findings) in objects.iter().zip(findings) {
        run.object(kinds, object, findings, &mut report).await;
    }
    // Documents that could not be read stand where they are.
    let place = |entry: &Entry| sources.iter().position(|source| source.name == entry.file);
    report.entries.sort_by_key(|entry| (place(entry), entry.line));
    Ok(report)
}

/// Gives a namespace, drops, fills in; says what the schema says.
fn prepare(kinds: &Kinds, object: &mut Object, namespace: &str) -> Vec<Finding> {
    if object.kind().is_empty() || object.value.get("apiVersion").is_none() {
        return vec![Finding::warning(object.line, "not a Kubernetes object: it lacks apiVersion or kind")];
    }
    let concerns = kinds.concerns(object);
    let kind = kinds.of(object);
    let namespaced = kind.as_ref().map_or(!concerns, |kind| kind.namespaced);
    if namespaced
        && object.namespace().is_empty()
        && let Some(metadata) = object.value.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    let mut findings = match kind {
        Ok(kind) => kind.check(object),
        Err(finding) if concerns => vec![finding],
        Err(_) => {
            let keys = if object.kind() == "Secret" { files::undecodable(&object.value) } else { Vec::new() };
            let fault = |key: &String| {
                Finding::error(
                    object.line_of(&format!("data.{key}")),
                    format!("data.{key} is not a text in base64"),
                )
            };
            return keys.iter().map(fault).collect();
        }
    };
    let generated = object.value.pointer("/metadata/generateName").is_some();
    if object.name().is_empty() && !generated {
        let text = "metadata.name: Required value: name or generateName is required";
        findings.push(Finding::error(object.line_of("metadata"), text));
    }
    findings
}

fn typed<T: DeserializeOwned>(object: &Object) -> Option<T> {
    serde_json::from_value(object.value.clone()).ok()
}

struct Run<'a> {
    registry: Registry,
    files: Files,
    neighbours: Neighbours<'a>,
    options: &'a Options,
}

impl Run<'_> {
    async fn object(&self, kinds: &Kinds, object: &Object, mut findings: Vec<Finding>, report: &mut Report) {
        let concerns = kinds.concerns(object);
        if !concerns && findings.is_empty() {
            return;
        }
        let sound = !findings.iter().any(|finding| finding.severity == Severity::Error);
        let mut entries = Vec::new();
        match (object.kind(), concerns) {
            ("ScaledObject", true) => {
                if let Some(typed) = typed::<ScaledObject>(object) {
                    (findings, entries) = self.scaled_object(object, &typed, findings, sound).await;
                }
            }
            ("ScaledJob", true) => {
                if let Some(typed) = typed::<ScaledJob>(object) {
                    if sound {
                        findings.extend(scaled_job::check(object, &typed));
                    }
                    entries = self.scaled_job(object, &typed).await;
                }
            }
            ("TriggerAuthentication", true) if sound => {
                if let Some(typed) = typed::<TriggerAuthentication>(object) {
                    findings.extend(authentication::check(object, &typed.spec));
                }
            }
            ("ClusterTriggerAuthentication", true) if sound => {
                if let Some(typed) = typed::<ClusterTriggerAuthentication>(object) {
                    findings.extend(authentication::check(object, &typed.spec));
                }
            }
            ("TriggerAuthentication" | "ClusterTriggerAuthentication", true) => {
                findings.extend(authentication::retired(object));
            }
            ("CloudEventSource" | "ClusterCloudEventSource", true) if sound => {
                findings.extend(authentication::check_event_source(object));
            }
            _ => {}
        }
        let named = if object.namespace().is_empty() {
            object.name().to_owned()
        } else {
            format!("{}/{}", object.namespace(), object.name())
        };
        findings.sort_by_key(|finding| finding.line);
        report.entries.push(Entry {
            file: object.file.clone(),
            line: object.line,
            kind: object.kind().to_owned(),
            object: named,
            trigger: None,
            spoiled: entries.iter().any(|entry| entry.verdict() == Verdict::Error),
            findings,
        });
        report.entries.extend(entries);
    }

    async fn scaled_object(
        &self,
        object: &Object,
        typed: &ScaledObject,
        mut findings: Vec<Finding>,
        sound: bool,
    ) -> (Vec<Finding>, Vec<Entry>) {
        let target = scaled_object::target(typed);
        let name = typed.spec.scale_target_ref.name.clone();
        if sound {
            findings.extend(scaled_object::check(object, typed));
            findings.extend(self.neighbours.check(object, typed));
            findings.extend(requests::check(object, typed, &self.files, self.neighbours.objects));
            if self.options.strict && !self.holds(&target, object.namespace(), &name) {
                let text = format!(
                    "{}: {}/{}.{} {}/{name} is not among the files",
                    refusal::TARGET,
                    target.group,
                    target.version,
                    target.kind,
                    object.namespace()
                );
                findings.push(Finding::error(object.line_of("spec.scaleTargetRef.name"), text));
            }
        }
        let subject = Subject {
            object,
            target: (target, name),
            env_source_container: typed.spec.scale_target_ref.env_source_container_name.clone(),
            as_metric_source: formula::is_used(&typed.spec),
        };
        let entries = self.triggers(&subject, &typed.spec.triggers).await;
        let metrics: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.trigger.as_ref())
            .flat_map(|it| it.metrics.clone())
            .collect();
        let planned = entries
            .iter()
            .all(|entry| entry.trigger.as_ref().is_some_and(|trigger| !trigger.metrics.is_empty()));
        if sound && planned && !entries.is_empty() {
            findings.extend(scaled_object::check_autoscaler(object, typed, &metrics));
        }
        (findings, entries)
    }

    async fn scaled_job(&self, object: &Object, typed: &ScaledJob) -> Vec<Entry> {
        // Its pod template is its own.
        let target = GroupVersionKindResource {
            group: "keda.sh".to_owned(),
            version: "v1alpha1".to_owned(),
            kind: "ScaledJob".to_owned(),
            resource: "scaledjobs".to_owned(),
        };
        let subject = Subject {
            object,
            target: (target, object.name().to_owned()),
            env_source_container: typed.spec.env_source_container_name.clone(),
            as_metric_source: false,
        };
        self.triggers(&subject, &typed.spec.triggers).await
    }

    async fn triggers(&self, subject: &Subject<'_>, triggers: &[keda_api::ScaleTrigger]) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(triggers.len());
        for trigger in triggers.iter().enumerate() {
            entries.push(triggers::judge(&self.registry, &self.files, self.options, subject, trigger).await);
        }
        entries
    }

    fn holds(&self, target: &GroupVersionKindResource, namespace: &str, name: &str) -> bool {
        self.neighbours.objects.iter().any(|object| {
            object.kind() == target.kind
                && object.group() == target.group
                && object.namespace() == namespace
                && object.name() == name
        })
    }
}
