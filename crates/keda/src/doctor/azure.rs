//! From the operator's Azure identity to a workspace's answer: login host, identity, federated token, access token, role, query.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, bail};
use async_trait::async_trait;
use k8s_openapi::api::apps::v1::Deployment;
use keda_api::{ScaleTrigger, ScaledObject};
use keda_auth::{Files, Scope, azure};
use keda_cluster::Cluster;
use keda_core::admission;
use keda_operator::Reader;
use keda_scaler::{
    Clock, Code, Context, Environment, Error, Kind, Parameters, Registry,
    http::{self, Transport},
    identity::{self, PodIdentity, ServiceAccount, Token, TokenRequest, Tokens},
    kube::Reader as _,
    telemetry::Silent,
};
use kube::{Api, Client};

use super::report::Report;
use crate::{environment, kubernetes::ApiFlags};

/// Whom to examine, and from where.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// A ScaledObject, as namespace/name: its triggers with an Azure identity are asked. Without it the way ends at a token for
    /// Azure Monitor workspaces.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    scaledobject: Option<String>,
    /// Namespace of the operator.
    #[arg(long, short, env = "POD_NAMESPACE", default_value = "keda")]
    namespace: String,
    /// Deployment of the operator, from which its ServiceAccount and settings are read outside of its pod.
    #[arg(long, default_value = "keda-operator")]
    deployment: String,
    /// Folders of additional CA certificates, as the operator's.
    #[arg(long, default_value = "/custom/ca")]
    ca_dir: Vec<PathBuf>,
    #[command(flatten)]
    api: ApiFlags,
}

/// Examines with the process's own connections.
pub(super) async fn run(flags: &Flags) -> Result<Report> {
    let object = flags.scaledobject.as_deref().map(object).transpose()?;
    let client = flags.api.client().await?;
    let mut settings = environment::http_settings()?;
    settings.ca_dirs.clone_from(&flags.ca_dir);
    let timeout = settings.timeout;
    let world = World {
        client,
        transport: Arc::new(http::Client::new(settings)),
        clock: Clock::system(),
        own: environment::azure_identity(),
        timeout,
    };
    Ok(world.examine(&flags.namespace, &flags.deployment, object).await)
}

fn object(text: &str) -> Result<(&str, &str)> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok((namespace, name)),
        _ => bail!("--scaledobject={text} is not namespace/name"),
    }
}

/// What the doctor looks through.
struct World {
    client: Client,
    transport: Arc<dyn Transport>,
    clock: Clock,
    /// What this process knows of its own identity; something only in the operator's pod.
    own: azure::Settings,
    timeout: std::time::Duration,
}

impl World {
    async fn examine(&self, namespace: &str, deployment: &str, object: Option<(&str, &str)>) -> Report {
        let mut report = Report::default();
        report.heading("operator");
        let Some(settings) = self.settings(namespace, deployment, &mut report).await else { return report };
        let reader = Arc::new(Reader::new(self.client.clone()));
        let broker = azure::Broker::new(settings, self.transport.clone(), reader.clone(), self.clock);
        match object {
            None => {
                report.heading("token for Azure Monitor workspaces");
                let request = identity::azure::Request {
                    identity: PodIdentity::from_provider("azure-workload"),
                    scope: "https://prometheus.monitor.azure.com/.default".to_owned(),
                    cloud: Default::default(),
                };
                walk(&broker, &request, &mut report).await;
            }
            Some((place, name)) => {
                let examination = Examination { world: self, broker, reader, operator: namespace };
                if let Err(text) = examination.object(place, name, &mut report).await {
                    report.wrong("ScaledObject", text, "");
                }
            }
        }
        report
    }

    /// The operator's identity: this process's own in its pod, else what the Deployment says.
    async fn settings(&self, namespace: &str, name: &str, report: &mut Report) -> Option<azure::Settings> {
        const STEP: &str = "settings";
        if self.own.token_file.is_some() || self.own.service_account.is_some() {
            report.good(STEP, "of this pod");
            return Some(self.own.clone());
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let found = match api.get_opt(name).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let text = format!("there is no Deployment {namespace}/{name}");
                report.wrong(STEP, text, "say where the operator is with --namespace and --deployment");
                return None;
            }
            Err(error) => {
                let text =
                    format!("cannot read Deployment {namespace}/{name}: {}", keda_cluster::words(&error));
                report.wrong(STEP, text, "");
                return None;
            }
        };
        let pod = found.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
        let account = pod.service_account_name.unwrap_or_else(|| "default".to_owned());
        let variables: BTreeMap<String, String> = pod
            .containers
            .into_iter()
            .flat_map(|container| container.env.unwrap_or_default())
            .filter_map(|variable| Some((variable.name, variable.value?)))
            // A file of the pod is not here.
            .filter(|(name, _)| name != "AZURE_FEDERATED_TOKEN_FILE")
            .collect();
        report.good(STEP, format!("of Deployment {namespace}/{name}, ServiceAccount {account}"));
        let account = ServiceAccount { namespace: namespace.to_owned(), name: account };
        Some(azure::Settings::read(|name| variables.get(name).cloned(), Some(account)))
    }
}

/// The steps to a token.
async fn walk(broker: &azure::Broker, request: &identity::azure::Request, report: &mut Report) -> bool {
    let walk = broker.walk(request).await;
    for step in &walk.steps {
        match &step.found {
            Ok(text) => report.good(step.name, text.clone()),
            Err(error) => report.failed(step.name, error),
        }
    }
    walk.token.is_some()
}

/// One ScaledObject.
struct Examination<'a> {
    world: &'a World,
    broker: azure::Broker,
    reader: Arc<Reader>,
    operator: &'a str,
}

impl Examination<'_> {
    async fn object(&self, namespace: &str, name: &str, report: &mut Report) -> Result<(), String> {
        report.heading(format!("ScaledObject {namespace}/{name}"));
        let api: Api<ScaledObject> = Api::namespaced(self.world.client.clone(), namespace);
        let object = api.get_opt(name).await.map_err(|error| keda_cluster::words(&error))?;
        let object = object.ok_or("it does not exist")?;
        let scope = self.scope(namespace, &object).await?;
        let registry = keda_scalers::registry();
        let mut asked = 0;
        for (index, trigger) in object.spec.triggers.iter().enumerate() {
            report.heading(format!("trigger {index} ({})", trigger.r#type));
            match self.trigger(&object, &scope, &registry, (index, trigger), report).await {
                Ok(used) => asked += usize::from(used),
                Err(text) => report.wrong("trigger", text, ""),
            }
        }
        if asked == 0 && report.is_well() {
            let text = "no trigger asks an Azure identity for a token";
            report.wrong(
                "triggers",
                text,
                "refer to a TriggerAuthentication with podIdentity provider azure-workload",
            );
        }
        Ok(())
    }

    async fn scope(&self, namespace: &str, object: &ScaledObject) -> Result<Scope, String> {
        let target = &object.spec.scale_target_ref;
        let (api_version, kind) = admission::scaled_object::target_type(target);
        let resolved = Cluster::new(self.world.client.clone()).resolve(&api_version, &kind).await;
        Ok(Scope {
            namespace: namespace.to_owned(),
            cluster_object_namespace: Some(
                environment::given("KEDA_CLUSTER_OBJECT_NAMESPACE")
                    .unwrap_or_else(|| self.operator.to_owned()),
            ),
            target: Some((resolved.map_err(|error| error.to_string())?, target.name.clone())),
            env_source_container: target.env_source_container_name.clone(),
            files: Files::Elsewhere,
            ..Scope::default()
        })
    }

    /// Whether the trigger asked for a token.
    async fn trigger(
        &self,
        object: &ScaledObject,
        scope: &Scope,
        registry: &Registry,
        (index, trigger): (usize, &ScaleTrigger),
        report: &mut Report,
    ) -> Result<bool, String> {
        let resolved = keda_auth::resolve(trigger.authentication_ref.as_ref(), scope, self.reader.as_ref())
            .await
            .map_err(|error| error.to_string())?;
        let Some(reference) =
            trigger.authentication_ref.as_ref().filter(|_| resolved.pod_identity.is_azure())
        else {
            report.unknown("authentication", "no Azure identity, not examined");
            return Ok(false);
        };
        report.good("authentication", format!("{} with podIdentity azure-workload", reference.name));
        let context = Context {
            index,
            trigger_name: trigger.name.clone().filter(|name| !name.is_empty()),
            metric_type: trigger.metric_type.clone().filter(|kind| !kind.is_empty()),
            namespace: scope.namespace.clone(),
            object_name: object.metadata.name.clone().unwrap_or_default(),
            http_timeout: self.world.timeout,
            pod_identity: resolved.pod_identity,
            ..Context::default()
        };
        let env = self.env(registry, trigger, scope).await?;
        let parameters = Parameters { metadata: trigger.metadata.clone(), auth: resolved.params, env };
        let parsed =
            registry.parse(&trigger.r#type, &parameters, &context).map_err(|error| error.to_string())?;
        for notice in parsed.notices().iter().filter(|notice| notice.warning) {
            report.unknown("notice", notice.text.clone());
        }
        let tokens = Arc::new(Overheard { broker: self.broker.clone(), request: Mutex::default() });
        let environment = Environment {
            http: self.world.transport.clone(),
            grpc: keda_scaler::grpc::Channels::new(keda_scaler::http::Settings::default()),
            clock: self.world.clock,
            kube: self.reader.clone(),
            tokens: tokens.clone(),
            telemetry: Arc::new(Silent),
        };
        let answers = match parsed.connect(&environment).await {
            Ok(live) => live.sample().await,
            Err(error) => return Err(error.to_string()),
        };
        let request = tokens.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(TokenRequest::Azure(request)) = request else { return Ok(false) };
        if !walk(&self.broker, &request, report).await {
            report.unknown("role", "not tried without a token");
            report.unknown("query", "not tried without a token");
            return Ok(true);
        }
        for answer in answers {
            tell(&answer.result.map(|reading| (answer.name, reading.value)), report);
        }
        Ok(true)
    }

    async fn env(
        &self,
        registry: &Registry,
        trigger: &ScaleTrigger,
        scope: &Scope,
    ) -> Result<BTreeMap<String, String>, String> {
        let Some((kind, name)) = &scope.target else { return Ok(BTreeMap::new()) };
        if !registry.needs_env(&trigger.r#type, &trigger.metadata) {
            return Ok(BTreeMap::new());
        }
        let template = self.reader.pod_template(kind, &scope.namespace, name).await;
        let Some(template) = template.map_err(|error| error.to_string())? else { return Ok(BTreeMap::new()) };
        let container = scope.env_source_container.as_deref();
        keda_auth::container_env(&template, container, &scope.namespace, self.reader.as_ref())
            .await
            .map_err(|error| error.to_string())
    }
}

/// What a workspace's answer says about the role and the query.
fn tell(answer: &Result<(String, f64), Error>, report: &mut Report) {
    let forbidden = [Code::AzureWorkspaceForbidden, Code::AzureWorkspaceUnauthorized];
    match answer {
        Ok((metric, value)) => {
            report.good("role", "the identity may read the workspace");
            report.good("query", format!("{metric} is {value}"));
        }
        Err(error) if error.code.is_some_and(|code| forbidden.contains(&code)) => {
            report.failed("role", error);
            report.unknown("query", "not answered");
        }
        Err(error) => {
            // A workspace that looks at the query has let the identity in.
            match error.kind {
                Kind::Answer => report.good("role", "the identity may read the workspace"),
                _ if error.code == Some(Code::AzureWorkspaceQuery) => {
                    report.good("role", "the identity may read the workspace");
                }
                _ => report.unknown("role", "not known"),
            }
            report.failed("query", error);
        }
    }
}

/// The broker, and what it was asked for last.
struct Overheard {
    broker: azure::Broker,
    request: Mutex<Option<TokenRequest>>,
}

#[async_trait]
impl Tokens for Overheard {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
        self.broker.token(request).await
    }

    async fn renew(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error> {
        self.broker.renew(request, refused).await
    }
}

#[cfg(test)]
#[path = "azure_tests.rs"]
mod tests;
