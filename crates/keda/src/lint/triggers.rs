//! One trigger: resolved, parsed and planned as the operator does it.

use keda_api::{GroupVersionKindResource, ScaleTrigger};
use keda_auth::Scope;
use keda_core::refusal;
use keda_scaler::judge::{self, Outcome};
use keda_scaler::{Context, Parsed, PodIdentity, Registry, kube::Reader as _};

use super::{
    check::Options,
    document::Object,
    files::{Files, FilesReader},
    report::{Entry, Finding, Trigger},
};

/// Whose trigger it is.
pub(super) struct Subject<'a> {
    pub(super) object: &'a Object,
    /// What is scaled: kind and name.
    pub(super) target: (GroupVersionKindResource, String),
    pub(super) env_source_container: Option<String>,
    /// A formula takes the trigger's value.
    pub(super) as_metric_source: bool,
}

/// Judges one trigger.
pub(super) async fn judge(
    registry: &Registry,
    files: &Files,
    options: &Options,
    subject: &Subject<'_>,
    (index, trigger): (usize, &ScaleTrigger),
) -> Entry {
    let object = subject.object;
    let path = format!("spec.triggers[{index}]");
    let reader = files.reader(!options.strict);
    let scope = Scope {
        namespace: object.namespace().to_owned(),
        cluster_object_namespace: Some(options.cluster_object_namespace.clone()),
        target: Some(subject.target.clone()),
        env_source_container: subject.env_source_container.clone(),
        files: keda_auth::Files::Elsewhere,
        ..Scope::default()
    };
    let mut findings = Vec::new();
    let mut metrics = Vec::new();
    let mut known = true;
    match given(registry, trigger, &scope, &reader, options.strict).await {
        Err(text) => findings.push(Finding::error(object.line_of(&source_of(&path, trigger, &text)), text)),
        Ok(given) => {
            let missing = !given.missing.is_empty() && (!options.strict || given.elsewhere);
            for (source, name) in given.missing.iter().filter(|_| missing) {
                let line = object.line_of(&format!("{path}.{source}"));
                findings.push(Finding::warning(line, format!("{name} is not among the files")));
            }
            let context = context(subject, index, trigger, given.known.identity.clone());
            match judge::judge(registry, trigger, given.known, &context, missing) {
                Outcome::Parsed(parsed) => {
                    findings.extend(notices(registry, object, &path, trigger, &parsed));
                    metrics = parsed.specs().to_vec();
                }
                Outcome::Faults(faults) => findings.extend(
                    faults
                        .into_iter()
                        .map(|fault| Finding::error(line_of(object, &path, trigger, &fault), fault)),
                ),
                Outcome::Unknown => known = false,
            }
        }
    }
    findings.sort_by_key(|finding| finding.line);
    Entry {
        file: object.file.clone(),
        line: object.line_of(&path),
        kind: object.kind().to_owned(),
        object: format!("{}/{}", object.namespace(), object.name()),
        trigger: Some(Trigger { trigger_type: trigger.r#type.clone(), index, known, metrics }),
        spoiled: false,
        findings,
    }
}

/// What a trigger's parameters are read from.
#[derive(Default)]
struct Given {
    known: judge::Given,
    /// Something is in a file of the operator, which is never among the files.
    elsewhere: bool,
    /// What is not among the files, each with the field that needs it.
    missing: Vec<(String, String)>,
}

/// Resolves authentication and environment.
///
/// # Errors
/// What the operator would say. For want of an object only in strict mode.
async fn given(
    registry: &Registry,
    trigger: &ScaleTrigger,
    scope: &Scope,
    reader: &FilesReader<'_>,
    strict: bool,
) -> Result<Given, String> {
    let mut given = Given::default();
    match keda_auth::resolve(trigger.authentication_ref.as_ref(), scope, reader).await {
        Ok(resolved) => {
            (given.known.auth, given.known.identity) = (resolved.params, resolved.pod_identity);
        }
        Err(keda_auth::Error::ElsewhereFile { path, .. }) => {
            (given.known.partial, given.elsewhere) = (true, true);
            given.missing.push((AUTHENTICATION.to_owned(), format!("the operator's file {path}")));
        }
        Err(keda_auth::Error::ElsewhereStore { origin, field }) => {
            (given.known.partial, given.elsewhere) = (true, true);
            given.missing.push((AUTHENTICATION.to_owned(), format!("what {field} of {origin} holds")));
        }
        Err(error) if !strict && for_want_of_an_object(&error, reader) => given.known.partial = true,
        Err(error) => return Err(error.to_string()),
    }
    note_missing(&mut given.missing, reader, AUTHENTICATION);
    let target = scope.target.as_ref().filter(|_| registry.needs_env(&trigger.r#type, &trigger.metadata));
    if let Some((kind, name)) = target {
        let template =
            reader.pod_template(kind, &scope.namespace, name).await.map_err(|error| error.to_string())?;
        let container = scope.env_source_container.as_deref();
        match template {
            None => given.known.partial = true,
            Some(template) => {
                match keda_auth::container_env(&template, container, &scope.namespace, reader).await {
                    Ok(env) => given.known.env = env,
                    Err(keda_auth::Error::ElsewhereFile { path, .. }) => {
                        given.known.partial = true;
                        given
                            .missing
                            .push((AUTHENTICATION.to_owned(), format!("the operator's file {path}")));
                    }
                    Err(error) if !strict && for_want_of_an_object(&error, reader) => {
                        given.known.partial = true;
                    }
                    Err(error) => return Err(format!("{}{error}", refusal::ENVIRONMENT)),
                }
            }
        }
        note_missing(&mut given.missing, reader, &environment_of(trigger));
    }
    Ok(given)
}

/// The field that names an authentication.
const AUTHENTICATION: &str = "authenticationRef";

/// The field that needs the environment.
fn environment_of(trigger: &ScaleTrigger) -> String {
    let key = trigger.metadata.keys().find(|key| key.ends_with("FromEnv"));
    key.map_or_else(|| "metadata".to_owned(), |key| format!("metadata.{key}"))
}

/// The field that could not be resolved.
fn source_of(path: &str, trigger: &ScaleTrigger, text: &str) -> String {
    match text.starts_with(refusal::ENVIRONMENT) {
        true => format!("{path}.{}", environment_of(trigger)),
        false => format!("{path}.{AUTHENTICATION}"),
    }
}

/// Adds what the reader did not find since the last time.
fn note_missing(missing: &mut Vec<(String, String)>, reader: &FilesReader<'_>, source: &str) {
    for name in reader.missing() {
        if missing.iter().all(|(_, known)| *known != name) {
            missing.push((source.to_owned(), name));
        }
    }
}

fn for_want_of_an_object(error: &keda_auth::Error, reader: &FilesReader<'_>) -> bool {
    use keda_auth::Error::{MissingEnvFrom, MissingObject, MissingVariable, NoTemplate, NotFound};
    matches!(
        error,
        NotFound(_)
            | MissingObject { .. }
            | MissingEnvFrom { .. }
            | NoTemplate { .. }
            | MissingVariable { .. }
    ) && !reader.missing().is_empty()
}

fn context(
    subject: &Subject<'_>,
    index: usize,
    trigger: &ScaleTrigger,
    pod_identity: PodIdentity,
) -> Context {
    let object = subject.object;
    let owner = (object.kind(), object.namespace(), object.name());
    Context { pod_identity, ..judge::context(owner, (index, trigger), subject.as_metric_source) }
}

fn notices(
    registry: &Registry,
    object: &Object,
    path: &str,
    trigger: &ScaleTrigger,
    parsed: &Parsed,
) -> Vec<Finding> {
    let finding = |notice: &keda_scaler::Notice| {
        let line = line_of(object, path, trigger, &notice.text);
        Finding::warning(line, judge::notice_text(registry, trigger, notice))
    };
    parsed.notices().iter().map(finding).collect()
}

/// The line to change: that of the metadata entry that the text is about, else of the metadata, or of the type.
fn line_of(object: &Object, path: &str, trigger: &ScaleTrigger, text: &str) -> u64 {
    if let Some(key) = judge::mentioned(trigger, text) {
        return object.line_of(&format!("{path}.metadata.{key}"));
    }
    if text.starts_with("no scaler found") {
        return object.line_of(&format!("{path}.type"));
    }
    if text.contains("useCachedMetrics") {
        return object.line_of(&format!("{path}.useCachedMetrics"));
    }
    if text.contains("metric type") {
        return object.line_of(&format!("{path}.metricType"));
    }
    object.line_of(&format!("{path}.metadata"))
}
