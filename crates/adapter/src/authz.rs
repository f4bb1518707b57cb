//! May they? SubjectAccessReviews, with their answers kept for a few seconds.
//!
//! A request for a metric is the verb `list` on a resource that is named like the metric (platform.md 3.4). Before that question, a wider
//! one is asked and kept: whether the user may list every metric in every namespace (resource `*`, namespace empty; the API documents
//! both as "all"). The HPA controller may, by Kubernetes' own roles. Without the wider question each metric of each object
//! would be asked about at each of its reads: the HPA reads every 15 seconds, answers are kept for 10.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use keda_api::external_metrics::GROUP;
use keda_telemetry::metrics;
use kube::Client;

use crate::{
    cache::{Answered, Cache},
    options::Options,
    review,
    user::{User, put},
};

/// How many decisions are kept at most.
const KEPT: usize = 8192;
/// Questions that are longer than this are asked and forgotten, as the API server libraries do.
const LONGEST: usize = 10_000;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish<'a> {
    /// With a metric.
    Metric { verb: &'a str, namespace: &'a str, metric: &'a str },
    /// With a path.
    Path { verb: &'a str, path: &'a str },
}

impl Wish<'_> {
    /// What a refusal says (`k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`).
    pub(crate) fn refusal(&self, user: &User, reason: &str) -> String {
        let name = &user.name;
        let what = match self {
            Self::Metric { verb, namespace, metric } => format!(
                "User {name:?} cannot {verb} resource {metric:?} in API group {GROUP:?} in the namespace {namespace:?}"
            ),
            Self::Path { verb, path } => format!("User {name:?} cannot {verb} path {path:?}"),
        };
        if reason.is_empty() { what } else { format!("{what}: {reason}") }
    }
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    /// With the API server's reason, which may be empty.
    Denied(Arc<str>),
}

pub(crate) struct Authorizer {
    client: Client,
    allowed_ttl: Duration,
    denied_ttl: Duration,
    always: Vec<String>,
    known: Cache<Decision>,
    metrics: Arc<metrics::Adapter>,
}

impl Authorizer {
    pub(crate) fn new(client: Client, options: &Options, metrics: Arc<metrics::Adapter>) -> Self {
        Self {
            client,
            allowed_ttl: options.authorized_cache_ttl,
            denied_ttl: options.unauthorized_cache_ttl,
            always: options.always_allow_paths.clone(),
            known: Cache::new(KEPT),
            metrics,
        }
    }

    /// Whether the path is everybody's.
    pub(crate) fn is_open(&self, path: &str) -> bool {
        self.always.iter().any(|always| match always.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == always,
        })
    }

    /// Whether `user` may.
    pub(crate) async fn decide(&self, user: &User, wish: Wish<'_>) -> Result<Decision, String> {
        if user.is_master() {
            return Ok(Decision::Allowed);
        }
        if let Wish::Metric { verb, .. } = wish {
            let everything = Wish::Metric { verb, namespace: "", metric: "*" };
            if self.ask_once(user, everything).await? == Decision::Allowed {
                return Ok(Decision::Allowed);
            }
        }
        self.ask_once(user, wish).await
    }

    async fn ask_once(&self, user: &User, wish: Wish<'_>) -> Result<Decision, String> {
        let mut question = Vec::with_capacity(256);
        user.append_key(&mut question);
        match wish {
            Wish::Metric { verb, namespace, metric } => {
                [verb, namespace, metric].iter().for_each(|text| put(&mut question, text));
            }
            Wish::Path { verb, path } => [verb, path].iter().for_each(|text| put(&mut question, text)),
        }
        let ask = self.ask(user, wish);
        if question.len() > LONGEST {
            return Ok(ask.await?.0);
        }
        self.known.get(&question, ask).await
    }

    async fn ask(&self, user: &User, wish: Wish<'_>) -> Answered<Decision> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut spec = SubjectAccessReviewSpec {
            user: some(&user.name),
            uid: some(&user.uid),
            groups: Some(user.groups.clone()),
            extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
            ..SubjectAccessReviewSpec::default()
        };
        match wish {
            Wish::Metric { verb, namespace, metric } => {
                spec.resource_attributes = Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    version: Some("v1beta1".to_owned()),
                    verb: Some(verb.to_owned()),
                    resource: Some(metric.to_owned()),
                    namespace: some(namespace),
                    ..ResourceAttributes::default()
                });
            }
            Wish::Path { verb, path } => {
                spec.non_resource_attributes =
                    Some(NonResourceAttributes { path: Some(path.to_owned()), verb: Some(verb.to_owned()) });
            }
        }
        let question = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = Box::pin(review::submit(&self.client, &question)).await;
        let status =
            answer.inspect_err(|_| self.metrics.review("access", "error"))?.status.unwrap_or_default();
        if let Some(error) = status.evaluation_error.filter(|error| !error.is_empty()) {
            tracing::debug!(%error, "the API server had trouble to decide");
        }
        if status.allowed && status.denied != Some(true) {
            self.metrics.review("access", "allowed");
            Ok((Decision::Allowed, self.allowed_ttl))
        } else {
            self.metrics.review("access", "denied");
            Ok((Decision::Denied(status.reason.unwrap_or_default().into()), self.denied_ttl))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_like_the_api_servers() {
        let user = User { name: "bob".to_owned(), ..User::default() };
        let wish = Wish::Metric { verb: "list", namespace: "ns", metric: "s0-x" };
        assert_eq!(
            wish.refusal(&user, ""),
            "User \"bob\" cannot list resource \"s0-x\" in API group \"external.metrics.k8s.io\" in the namespace \"ns\""
        );
        let wish = Wish::Path { verb: "get", path: "/metrics" };
        assert_eq!(wish.refusal(&user, "no RBAC"), "User \"bob\" cannot get path \"/metrics\": no RBAC");
    }
}
