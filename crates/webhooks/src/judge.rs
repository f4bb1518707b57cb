//! From a path and a question to a verdict: which kind, which operation, how long.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use http::StatusCode;
use keda_api::{
    CloudEventSource, ClusterCloudEventSource, ClusterTriggerAuthentication, ScaledJob, ScaledObject,
    TriggerAuthentication,
};
use serde::de::DeserializeOwned;

use crate::{
    others,
    review::{Request, Verdict},
    scaled_object::{self, Checker},
};

/// What is asked for at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ScaledObject,
    ScaledJob,
    TriggerAuthentication,
    ClusterTriggerAuthentication,
    CloudEventSource,
    ClusterCloudEventSource,
}

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("/validate-keda-sh-v1alpha1-scaledobject", Self::ScaledObject),
        ("/validate-keda-sh-v1alpha1-scaledjob", Self::ScaledJob),
        ("/validate-keda-sh-v1alpha1-triggerauthentication", Self::TriggerAuthentication),
        ("/validate-keda-sh-v1alpha1-clustertriggerauthentication", Self::ClusterTriggerAuthentication),
        ("/validate-eventing-keda-sh-v1alpha1-cloudeventsource", Self::CloudEventSource),
        ("/validate-eventing-keda-sh-v1alpha1-clustercloudeventsource", Self::ClusterCloudEventSource),
    ];

    /// The kind that a path is for, with the path as a label of metrics.
    pub(crate) fn at(path: &str) -> Option<(&'static str, Self)> {
        Self::ALL.into_iter().find(|(known, _)| *known == path)
    }

    fn name(self) -> &'static str {
        match self {
            Self::ScaledObject => "ScaledObject",
            Self::ScaledJob => "ScaledJob",
            Self::TriggerAuthentication => "TriggerAuthentication",
            Self::ClusterTriggerAuthentication => "ClusterTriggerAuthentication",
            Self::CloudEventSource => "CloudEventSource",
            Self::ClusterCloudEventSource => "ClusterCloudEventSource",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::CloudEventSource | Self::ClusterCloudEventSource => "eventing.keda.sh",
            _ => "keda.sh",
        }
    }
}

/// The paths that are served: upstream's, and the order of its configuration.
pub const PATHS: [&str; 6] = {
    let mut paths = [""; 6];
    let mut at = 0;
    while at < paths.len() {
        paths[at] = Kind::ALL[at].0;
        at += 1;
    }
    paths
};

/// Judges a question within a time. A panic is answered like any other failure.
pub(crate) async fn judge(checker: &Checker, kind: Kind, request: &Request, within: Duration) -> Verdict {
    let judging = AssertUnwindSafe(decide(checker, kind, request)).catch_unwind();
    let about = || format!("{} {}/{}", kind.name(), request.namespace, request.name);
    match tokio::time::timeout(within, judging).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => {
            let text = format!("the check of {} panicked: this is a defect of keda", about());
            Verdict::refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", text)
        }
        Err(_) => {
            let text = format!("cannot check {}: the API server did not answer in time; try again", about());
            Verdict::refused(StatusCode::GATEWAY_TIMEOUT, "Timeout", text)
        }
    }
}

async fn decide(checker: &Checker, kind: Kind, request: &Request) -> Verdict {
    match request.operation.as_str() {
        // Whatever is wrong with an object, it may go.
        "DELETE" => return Verdict::allowed(Vec::new()),
        "CREATE" | "UPDATE" => {}
        other => {
            let text = format!("unknown operation {other:?}");
            return Verdict::refused(StatusCode::BAD_REQUEST, "BadRequest", text);
        }
    }
    if (request.kind.group.as_str(), request.kind.kind.as_str()) != (kind.group(), kind.name()) {
        let text = format!(
            "this path is for {}.{}, not for {}.{}: correct the webhook configuration",
            kind.name(),
            kind.group(),
            request.kind.kind,
            request.kind.group
        );
        return Verdict::refused(StatusCode::BAD_REQUEST, "BadRequest", text);
    }
    // The status and other subresources are the operator's business.
    if !request.sub_resource.is_empty() {
        return Verdict::allowed(Vec::new());
    }
    match kind {
        Kind::ScaledObject => match read::<ScaledObject>(kind, request) {
            Ok(object) => checker.judge(request, &object).await,
            Err(verdict) => verdict,
        },
        Kind::ScaledJob => read::<ScaledJob>(kind, request)
            .map_or_else(|verdict| verdict, |object| others::scaled_job(request, &object, checker)),
        Kind::TriggerAuthentication => read::<TriggerAuthentication>(kind, request)
            .map_or_else(|verdict| verdict, |object| others::trigger_authentication(request, &object.spec)),
        Kind::ClusterTriggerAuthentication => read::<ClusterTriggerAuthentication>(kind, request)
            .map_or_else(|verdict| verdict, |object| others::trigger_authentication(request, &object.spec.0)),
        Kind::CloudEventSource => read::<CloudEventSource>(kind, request).map_or_else(
            |verdict| verdict,
            |object| others::cloud_event_source(request, &object.spec, false),
        ),
        Kind::ClusterCloudEventSource => read::<ClusterCloudEventSource>(kind, request).map_or_else(
            |verdict| verdict,
            |object| others::cloud_event_source(request, &object.spec.0, true),
        ),
    }
}

fn read<K: DeserializeOwned>(kind: Kind, request: &Request) -> Result<K, Verdict> {
    K::deserialize(&request.object).map_err(|error| scaled_object::undecodable(kind.name(), &error))
}
