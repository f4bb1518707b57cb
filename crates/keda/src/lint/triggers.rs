//! One trigger: resolved, parsed and planned as the operator does it.

use std::collections::BTreeMap;

use keda_api::{GroupVersionKindResource, ScaleTrigger};
use keda_auth::Scope;
use keda_core::refusal;
use keda_scaler::config::{Origin, Shape};
use keda_scaler::{
    Context, NoticeKind, Parameters, Parsed, PodIdentity, Registry, Secret, kube::Reader as _,
};

use super::{
    check::Options,
    document::Object,
    files::{Files, FilesReader, PLACEHOLDER},
    nearest::nearest,
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
            let context = context(subject, index, trigger, given.identity.clone());
            match parse(registry, trigger, given, &context, missing) {
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
struct Given {
    auth: BTreeMap<String, Secret>,
    env: BTreeMap<String, String>,
    identity: PodIdentity,
    /// The authentication, or the environment, could not be resolved for want of an object.
    partial: bool,
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
    let mut given = Given {
        auth: BTreeMap::new(),
        env: BTreeMap::new(),
        identity: PodIdentity::default(),
        partial: false,
        elsewhere: false,
        missing: Vec::new(),
    };
    match keda_auth::resolve(trigger.authentication_ref.as_ref(), scope, reader).await {
        Ok(resolved) => (given.auth, given.identity) = (resolved.params, resolved.pod_identity),
        Err(keda_auth::Error::ElsewhereFile { path, .. }) => {
            (given.partial, given.elsewhere) = (true, true);
            given.missing.push((AUTHENTICATION.to_owned(), format!("the operator's file {path}")));
        }
        Err(error) if !strict && for_want_of_an_object(&error, reader) => given.partial = true,
        Err(error) => return Err(error.to_string()),
    }
    note_missing(&mut given.missing, reader, AUTHENTICATION);
    let target = scope.target.as_ref().filter(|_| registry.needs_env(&trigger.r#type, &trigger.metadata));
    if let Some((kind, name)) = target {
        let template =
            reader.pod_template(kind, &scope.namespace, name).await.map_err(|error| error.to_string())?;
        let container = scope.env_source_container.as_deref();
        match template {
            None => given.partial = true,
            Some(template) => {
                match keda_auth::container_env(&template, container, &scope.namespace, reader).await {
                    Ok(env) => given.env = env,
                    Err(keda_auth::Error::ElsewhereFile { path, .. }) => {
                        given.partial = true;
                        given
                            .missing
                            .push((AUTHENTICATION.to_owned(), format!("the operator's file {path}")));
                    }
                    Err(error) if !strict && for_want_of_an_object(&error, reader) => given.partial = true,
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
    Context {
        index,
        trigger_name: trigger.name.clone().filter(|name| !name.is_empty()),
        metric_type: trigger.metric_type.clone().filter(|word| !word.is_empty()),
        use_cached_metrics: trigger.use_cached_metrics.unwrap_or(false),
        object_kind: subject.object.kind().to_owned(),
        namespace: subject.object.namespace().to_owned(),
        object_name: subject.object.name().to_owned(),
        as_metric_source: subject.as_metric_source,
        pod_identity,
        ..Context::default()
    }
}

enum Outcome {
    Parsed(Parsed),
    Faults(Vec<String>),
    /// It depends on what the missing objects hold.
    Unknown,
}

/// Parses; where objects are missing, without what they hold and with placeholders for it. What is wrong both times is wrong.
fn parse(
    registry: &Registry,
    trigger: &ScaleTrigger,
    given: Given,
    context: &Context,
    incomplete: bool,
) -> Outcome {
    let run = |auth, env| {
        let parameters = Parameters { metadata: trigger.metadata.clone(), auth, env };
        registry
            .parse(&trigger.r#type, &parameters, context)
            .map_err(|error| faults(&trigger.r#type, &error.message))
    };
    if !incomplete {
        return run(given.auth, given.env).map_or_else(Outcome::Faults, Outcome::Parsed);
    }
    let mut without = given.auth.clone();
    without.retain(|_, value| value.expose() != PLACEHOLDER);
    let without = match run(without, given.env.clone()) {
        Ok(parsed) => return Outcome::Parsed(parsed),
        Err(faults) => faults,
    };
    let (auth, env) = filled(registry, trigger, given);
    match run(auth, env) {
        Ok(parsed) => Outcome::Parsed(parsed),
        Err(with) => {
            let certain: Vec<String> = without.into_iter().filter(|fault| with.contains(fault)).collect();
            if certain.is_empty() { Outcome::Unknown } else { Outcome::Faults(certain) }
        }
    }
}

/// Something for every text that the missing objects may hold.
fn filled(
    registry: &Registry,
    trigger: &ScaleTrigger,
    given: Given,
) -> (BTreeMap<String, Secret>, BTreeMap<String, String>) {
    let Given { mut auth, mut env, partial, .. } = given;
    if partial {
        let parameters =
            registry.get(&trigger.r#type).map(|factory| factory.parameters()).unwrap_or_default();
        for parameter in parameters {
            let text = matches!(parameter.shape, Shape::Text | Shape::Secret) && parameter.one_of.is_empty();
            if text && parameter.from.contains(&Origin::Auth) && trigger.authentication_ref.is_some() {
                auth.entry(parameter.name().to_owned()).or_insert_with(|| Secret::from(PLACEHOLDER));
            }
        }
        for (_, variable) in trigger.metadata.iter().filter(|(key, _)| key.ends_with("FromEnv")) {
            env.entry(variable.clone()).or_insert_with(|| PLACEHOLDER.to_owned());
        }
    }
    (auth, env)
}

/// The faults of a message that lists them one a line, each with what stands before the first.
fn faults(trigger_type: &str, message: &str) -> Vec<String> {
    let prefix = format!("error parsing {trigger_type} metadata: ");
    match message.strip_prefix(&prefix) {
        Some(listed) => listed.lines().map(|fault| format!("{prefix}{fault}")).collect(),
        None => vec![message.to_owned()],
    }
}

fn notices(
    registry: &Registry,
    object: &Object,
    path: &str,
    trigger: &ScaleTrigger,
    parsed: &Parsed,
) -> Vec<Finding> {
    let declared = registry.get(&trigger.r#type).map(|factory| factory.parameters()).unwrap_or_default();
    let names = || {
        let readable = declared.iter().filter(|parameter| parameter.from.contains(&Origin::Metadata));
        readable.flat_map(|parameter| parameter.names.iter().copied())
    };
    let finding = |notice: &keda_scaler::Notice| {
        let mut text = notice.text.clone();
        if notice.kind == NoticeKind::Unread
            && let Some(key) = mentioned(trigger, &text)
            && let Some(meant) = nearest(key, names())
        {
            text.push_str(&format!(", did you mean {meant:?}?"));
        }
        Finding::warning(line_of(object, path, trigger, &notice.text), text)
    };
    parsed.notices().iter().map(finding).collect()
}

/// The line to change: that of the metadata entry that the text is about, else of the metadata, or of the type.
fn line_of(object: &Object, path: &str, trigger: &ScaleTrigger, text: &str) -> u64 {
    if let Some(key) = mentioned(trigger, text) {
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

/// The metadata entry that a text mentions first, as a word or as the source of one.
fn mentioned<'a>(trigger: &'a ScaleTrigger, text: &str) -> Option<&'a str> {
    let text = match text.strip_prefix("error parsing ") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, fault)| fault),
        None => text,
    };
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    words.find_map(|word| {
        let mut keys = trigger.metadata.keys().map(String::as_str);
        keys.find(|key| key.strip_suffix("FromEnv").unwrap_or(key) == word || *key == word)
    })
}
