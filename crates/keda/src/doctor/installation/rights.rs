//! What the accounts of the processes may do, of what they have to.

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};

use super::{
    World,
    processes::{Part, Process, Processes},
};
use crate::doctor::report::Report;

/// Verbs on a resource of a group.
struct Need {
    verbs: &'static [&'static str],
    group: &'static str,
    /// With its subresource: `deployments/scale`.
    resource: &'static str,
    place: Place,
    name: &'static str,
}

/// Where it is needed.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In every namespace that is watched.
    Watched,
    /// In KEDA's own.
    Own,
    /// Not in a namespace.
    Cluster,
    System,
}

const fn need(verbs: &'static [&'static str], group: &'static str, resource: &'static str) -> Need {
    Need { verbs, group, resource, place: Place::Watched, name: "" }
}

impl Need {
    const fn of(mut self, place: Place, name: &'static str) -> Self {
        self.place = place;
        self.name = name;
        self
    }
}

const WATCH: &[&str] = &["list", "watch"];

const OPERATOR: &[Need] = &[
    need(&["get", "list", "watch", "patch"], "keda.sh", "scaledobjects"),
    need(&["patch"], "keda.sh", "scaledobjects/status"),
    need(&["get", "list", "watch", "patch"], "keda.sh", "scaledjobs"),
    need(&["patch"], "keda.sh", "scaledjobs/status"),
    need(&["create", "delete", "get", "list", "watch"], "batch", "jobs"),
    need(WATCH, "", "pods"),
    need(&["get", "list", "watch"], "keda.sh", "triggerauthentications"),
    need(&["patch"], "keda.sh", "triggerauthentications/status"),
    need(&["get", "list", "watch"], "keda.sh", "clustertriggerauthentications").of(Place::Cluster, ""),
    need(&["patch"], "keda.sh", "clustertriggerauthentications/status").of(Place::Cluster, ""),
    need(&["get", "list", "watch", "create", "update", "delete"], "autoscaling", "horizontalpodautoscalers"),
    need(WATCH, "apps", "deployments"),
    need(WATCH, "apps", "statefulsets"),
    need(&["get", "update"], "apps", "deployments/scale"),
    need(&["get", "update"], "apps", "statefulsets/scale"),
    need(&["get"], "", "configmaps"),
    need(&["create"], "events.k8s.io", "events"),
];

const LEASE: &[Need] =
    &[need(&["get", "update"], "coordination.k8s.io", "leases").of(Place::Own, "operator.keda.sh")];

const ROTATION: &[Need] = &[
    need(&["get", "update"], "", "secrets").of(Place::Own, "kedaorg-certs"),
    need(&["get", "patch"], "apiregistration.k8s.io", "apiservices")
        .of(Place::Cluster, "v1beta1.external.metrics.k8s.io"),
];

const WEBHOOKS_CA: &[Need] =
    &[need(&["get", "patch"], "admissionregistration.k8s.io", "validatingwebhookconfigurations")
        .of(Place::Cluster, "keda-admission")];

const METRICS_SERVER: &[Need] = &[
    need(&["create"], "authentication.k8s.io", "tokenreviews").of(Place::Cluster, ""),
    need(&["create"], "authorization.k8s.io", "subjectaccessreviews").of(Place::Cluster, ""),
    need(&["get"], "", "configmaps").of(Place::System, "extension-apiserver-authentication"),
];

const WEBHOOKS: &[Need] = &[
    need(WATCH, "keda.sh", "scaledobjects"),
    need(WATCH, "autoscaling", "horizontalpodautoscalers"),
    need(WATCH, "apps", "deployments"),
    need(WATCH, "apps", "statefulsets"),
    need(WATCH, "", "limitranges"),
];

const HPA_CONTROLLER: &[Need] = &[need(&["get", "list"], "external.metrics.k8s.io", "s0-prometheus")];

/// One question to the API server.
struct Question {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    name: &'static str,
    namespace: String,
}

impl Question {
    fn words(&self) -> String {
        let Self { verb, group, resource, namespace, .. } = self;
        let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
        let name = if self.name.is_empty() { String::new() } else { format!(" {}", self.name) };
        match namespace.as_str() {
            "" => format!("{verb} {resource}{name}"),
            namespace => format!("{verb} {resource}{name} in {namespace}"),
        }
    }

    fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ResourceAttributes {
            verb: given(self.verb),
            group: given(self.group),
            resource: given(resource),
            subresource: given(subresource),
            name: given(self.name),
            namespace: given(&self.namespace),
            ..ResourceAttributes::default()
        }
    }
}

impl World {
    pub(super) async fn permissions(&self, processes: &Processes, report: &mut Report) {
        if let Some(operator) = processes.get(Part::Operator) {
            let mut needs = vec![OPERATOR];
            needs.extend(operator.is_on("leader-elect").then_some(LEASE));
            if operator.is_on("enable-cert-rotation") {
                needs.push(ROTATION);
                let webhooks = processes.get(Part::Webhooks).is_some();
                needs.extend((webhooks && operator.is_on("enable-webhook-patching")).then_some(WEBHOOKS_CA));
            }
            self.account("operator", operator, &needs, report).await;
        }
        if let Some(server) = processes.get(Part::MetricsServer) {
            self.account("metrics server", server, &[METRICS_SERVER], report).await;
        }
        if let Some(webhooks) = processes.get(Part::Webhooks) {
            self.account("webhooks", webhooks, &[WEBHOOKS], report).await;
        }
        let user = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
        let watched: Vec<&str> = processes.get(Part::Operator).map(Process::namespaces).unwrap_or_default();
        let questions = self.questions(&[HPA_CONTROLLER], &watched);
        self.may("HPA controller", user, &questions, report).await;
    }

    async fn account(
        &self,
        step: &'static str,
        process: &Process,
        needs: &[&'static [Need]],
        report: &mut Report,
    ) {
        let user = format!("system:serviceaccount:{}:{}", self.namespace, process.account);
        let questions = self.questions(needs, &process.namespaces());
        self.may(step, &user, &questions, report).await;
    }

    fn questions(&self, needs: &[&'static [Need]], watched: &[&str]) -> Vec<Question> {
        let mut questions = Vec::new();
        for need in needs.iter().copied().flatten() {
            let places = match need.place {
                Place::Watched if watched.is_empty() => vec![""],
                Place::Watched => watched.to_vec(),
                Place::Own => vec![self.namespace.as_str()],
                Place::Cluster => vec![""],
                Place::System => vec!["kube-system"],
            };
            for namespace in places {
                for verb in need.verbs {
                    let Need { group, resource, name, .. } = *need;
                    questions.push(Question { verb, group, resource, name, namespace: namespace.to_owned() });
                }
            }
        }
        questions
    }

    async fn may(&self, step: &'static str, user: &str, questions: &[Question], report: &mut Report) {
        let answers = join_all(questions.iter().map(|question| self.ask(user, question))).await;
        let mut lacking = Vec::new();
        for (question, answer) in questions.iter().zip(answers) {
            match answer {
                Ok(true) => {}
                Ok(false) => lacking.push(question.words()),
                Err(error) => {
                    let words = keda_cluster::words(&error);
                    return report.unknown(step, format!("cannot ask what {user} may do: {words}"));
                }
            }
        }
        if lacking.is_empty() {
            return report.good(step, format!("{user} may do the {} things that it has to", questions.len()));
        }
        let fix = "restore the roles and bindings: helm upgrade (permissions.*, rbac.*), or kubectl apply of the manifests";
        report.wrong(step, format!("{user} may not {}", lacking.join(", ")), fix);
    }

    /// Asks about an account; about the own one without needing the right to ask about others.
    async fn ask(&self, user: &str, question: &Question) -> Result<bool, kube::Error> {
        let attributes = Some(question.attributes());
        if self.own.as_ref().is_some_and(|own| own.to_string() == user) {
            let spec = SelfSubjectAccessReviewSpec { resource_attributes: attributes, ..Default::default() };
            let review = SelfSubjectAccessReview { spec, ..Default::default() };
            let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
            let answer = api.create(&PostParams::default(), &review).await?;
            return Ok(answer.status.is_some_and(|status| status.allowed));
        }
        let namespace = user.split(':').nth(2).unwrap_or_default();
        let groups = [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ];
        let spec = SubjectAccessReviewSpec {
            resource_attributes: attributes,
            user: Some(user.to_owned()),
            groups: Some(groups.to_vec()),
            ..Default::default()
        };
        let review = SubjectAccessReview { spec, ..Default::default() };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
