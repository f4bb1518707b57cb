//! Which of the operator's events are CloudEvents, for whom, and what they are called.
//!
//! Types, source and subject are upstream's (`pkg/eventemitter/eventemitter.go`, `apis/eventing/v1alpha1`); what is sent
//! where, and when again, is the operator's matter.

use keda_api::cloud_event_source::{CloudEventSourceSpec, EventSubscription, EventType};

use crate::admission::cloud_events::is_http;

/// Name of the cluster in events when nobody gives one: upstream's default of `--k8s-cluster-name`.
pub const DEFAULT_CLUSTER: &str = "kubernetes-default";

/// The type of CloudEvent that an event is, by the kind of the object and the event's reason; `None` for those that only
/// Kubernetes hears of: what triggers and scaling loops say.
pub fn event_type(kind: &str, reason: &str) -> Option<EventType> {
    Some(match (kind, reason) {
        ("ScaledObject", "ScaledObjectReady") => EventType::ScaledObjectReady,
        ("ScaledObject", "ScaledObjectCheckFailed" | "ScaledObjectUpdateFailed") => {
            EventType::ScaledObjectFailed
        }
        ("ScaledObject", "ScaledObjectDeleted") => EventType::ScaledObjectRemoved,
        ("ScaledObject", "ScaledObjectPaused") => EventType::ScaledObjectPaused,
        ("ScaledObject", "ScaledObjectUnpaused") => EventType::ScaledObjectUnpaused,
        ("ScaledJob", "ScaledJobReady") => EventType::ScaledJobReady,
        ("ScaledJob", "ScaledJobCheckFailed" | "ScaledJobUpdateFailed") => EventType::ScaledJobFailed,
        ("ScaledJob", "ScaledJobDeleted") => EventType::ScaledJobRemoved,
        ("ScaledJob", "ScaledJobPaused") => EventType::ScaledJobPaused,
        ("ScaledJob", "ScaledJobUnpaused") => EventType::ScaledJobUnpaused,
        ("ScaledJob", "ScaledJobRolloutCleanupStarted") => EventType::RolloutCleanupStarted,
        ("ScaledJob", "ScaledJobRolloutCleanupCompleted") => EventType::RolloutCleanupCompleted,
        ("ScaledJob", "ScaledJobRolloutCleanupFailed") => EventType::RolloutCleanupFailed,
        ("TriggerAuthentication", "TriggerAuthenticationAdded") => EventType::TriggerAuthenticationCreated,
        // Upstream's reason for both kinds.
        ("TriggerAuthentication", "ClusterTriggerAuthenticationUpdated") => {
            EventType::TriggerAuthenticationUpdated
        }
        ("TriggerAuthentication", "TriggerAuthenticationDeleted") => EventType::TriggerAuthenticationRemoved,
        ("ClusterTriggerAuthentication", "ClusterTriggerAuthenticationAdded") => {
            EventType::ClusterTriggerAuthenticationCreated
        }
        ("ClusterTriggerAuthentication", "ClusterTriggerAuthenticationUpdated") => {
            EventType::ClusterTriggerAuthenticationUpdated
        }
        ("ClusterTriggerAuthentication", "ClusterTriggerAuthenticationDeleted") => {
            EventType::ClusterTriggerAuthenticationRemoved
        }
        _ => return None,
    })
}

/// Whether a subscription asks for events of this type. What is included wins; two empty lists, like none, mean all.
pub fn is_wanted(subscription: Option<&EventSubscription>, event_type: &EventType) -> bool {
    let list = |types: &'_ Option<Vec<EventType>>| types.clone().filter(|types| !types.is_empty());
    let Some(subscription) = subscription else { return true };
    if let Some(included) = list(&subscription.included_event_types) {
        return included.contains(event_type);
    }
    list(&subscription.excluded_event_types).is_none_or(|excluded| !excluded.contains(event_type))
}

/// The `source` of events: the operator of a cluster, by the namespace that it lives in.
pub fn source(cluster: &str, operator_namespace: &str) -> String {
    format!("/{cluster}/{operator_namespace}/keda")
}

/// The `subject` of events: the object they are about. The namespace of an object of the cluster is empty.
pub fn subject(cluster: &str, namespace: &str, kind: &str, name: &str) -> String {
    format!("/{cluster}/{namespace}/{}/{}", kind.to_lowercase(), name.to_lowercase())
}

/// Where a CloudEventSource sends its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// An HTTP endpoint, at this address.
    Http(&'a str),
    /// A topic of Azure Event Grid, at this endpoint.
    EventGrid(&'a str),
}

impl Destination<'_> {
    /// Its name in `spec.destination` and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::EventGrid(_) => "azureEventGridTopic",
        }
    }
}

/// Where the events go. HTTP wins where both are given.
///
/// # Errors
/// None is given, or its address is none: which field, and what it has to be. Addresses may hold credentials and are not
/// shown.
pub fn destination(spec: &CloudEventSourceSpec) -> Result<Destination<'_>, String> {
    let given = &spec.destination;
    if let Some(http) = &given.http {
        if !is_http(&http.uri) {
            return Err("destination.http.uri must be an http or https address".to_owned());
        }
        return Ok(Destination::Http(&http.uri));
    }
    let Some(topic) = &given.azure_event_grid_topic else {
        return Err("destination must have http or azureEventGridTopic".to_owned());
    };
    // Both a key and a token are credentials: Azure's own client refuses to send them in the clear, too.
    if !is_http(&topic.endpoint) || !topic.endpoint.starts_with("https:") {
        return Err("destination.azureEventGridTopic.endpoint must be an https address".to_owned());
    }
    Ok(Destination::EventGrid(&topic.endpoint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_of_the_schema_is_some_event() {
        let events = [
            ("ScaledObject", "ScaledObjectReady", "keda.scaledobject.ready.v1"),
            ("ScaledObject", "ScaledObjectCheckFailed", "keda.scaledobject.failed.v1"),
            ("ScaledObject", "ScaledObjectUpdateFailed", "keda.scaledobject.failed.v1"),
            ("ScaledObject", "ScaledObjectDeleted", "keda.scaledobject.removed.v1"),
            ("ScaledObject", "ScaledObjectPaused", "keda.scaledobject.paused.v1"),
            ("ScaledObject", "ScaledObjectUnpaused", "keda.scaledobject.unpaused.v1"),
            ("ScaledJob", "ScaledJobReady", "keda.scaledjob.ready.v1"),
            ("ScaledJob", "ScaledJobCheckFailed", "keda.scaledjob.failed.v1"),
            ("ScaledJob", "ScaledJobUpdateFailed", "keda.scaledjob.failed.v1"),
            ("ScaledJob", "ScaledJobDeleted", "keda.scaledjob.removed.v1"),
            ("ScaledJob", "ScaledJobPaused", "keda.scaledjob.paused.v1"),
            ("ScaledJob", "ScaledJobUnpaused", "keda.scaledjob.unpaused.v1"),
            ("ScaledJob", "ScaledJobRolloutCleanupStarted", "keda.scaledjob.rolloutcleanup.started.v1"),
            ("ScaledJob", "ScaledJobRolloutCleanupCompleted", "keda.scaledjob.rolloutcleanup.completed.v1"),
            ("ScaledJob", "ScaledJobRolloutCleanupFailed", "keda.scaledjob.rolloutcleanup.failed.v1"),
            (
                "TriggerAuthentication",
                "TriggerAuthenticationAdded",
                "keda.authentication.triggerauthentication.created.v1",
            ),
            (
                "TriggerAuthentication",
                "ClusterTriggerAuthenticationUpdated",
                "keda.authentication.triggerauthentication.updated.v1",
            ),
            (
                "TriggerAuthentication",
                "TriggerAuthenticationDeleted",
                "keda.authentication.triggerauthentication.removed.v1",
            ),
            (
                "ClusterTriggerAuthentication",
                "ClusterTriggerAuthenticationAdded",
                "keda.authentication.clustertriggerauthentication.created.v1",
            ),
            (
                "ClusterTriggerAuthentication",
                "ClusterTriggerAuthenticationUpdated",
                "keda.authentication.clustertriggerauthentication.updated.v1",
            ),
            (
                "ClusterTriggerAuthentication",
                "ClusterTriggerAuthenticationDeleted",
                "keda.authentication.clustertriggerauthentication.removed.v1",
            ),
        ];
        for (kind, reason, wanted) in events {
            let found = event_type(kind, reason).map(|it| it.as_str().to_owned());
            assert_eq!(found.as_deref(), Some(wanted), "{kind} {reason}");
        }
        for (kind, reason) in
            [("ScaledObject", "KEDAScalerFailed"), ("ScaledObject", "ScaledJobReady"), ("Pod", "Killing")]
        {
            assert_eq!(event_type(kind, reason), None, "{kind} {reason}");
        }
    }

    #[test]
    fn subscriptions() {
        let ready = EventType::ScaledObjectReady;
        let wanted =
            |given: serde_json::Value| is_wanted(Some(&serde_json::from_value(given).unwrap()), &ready);
        assert!(is_wanted(None, &ready));
        assert!(wanted(json!({})));
        assert!(wanted(json!({ "includedEventTypes": [], "excludedEventTypes": [] })));
        assert!(wanted(json!({ "includedEventTypes": ["keda.scaledobject.ready.v1"] })));
        assert!(!wanted(json!({ "includedEventTypes": ["keda.scaledobject.failed.v1"] })));
        assert!(!wanted(json!({ "excludedEventTypes": ["keda.scaledobject.ready.v1"] })));
        assert!(wanted(json!({ "excludedEventTypes": ["keda.scaledobject.failed.v1"] })));
        let both = json!({ "includedEventTypes": ["keda.scaledobject.ready.v1"], "excludedEventTypes": ["keda.scaledobject.ready.v1"] });
        assert!(wanted(both), "what is included wins");
    }

    #[test]
    fn source_and_subject() {
        assert_eq!(source("prod", "keda"), "/prod/keda/keda");
        assert_eq!(subject("prod", "shop", "ScaledObject", "Web"), "/prod/shop/scaledobject/web");
        let of_the_cluster = subject("prod", "", "ClusterTriggerAuthentication", "topic");
        assert_eq!(of_the_cluster, "/prod//clustertriggerauthentication/topic");
    }

    #[test]
    fn destinations() {
        let of = |given: serde_json::Value| -> CloudEventSourceSpec {
            serde_json::from_value(json!({ "destination": given })).unwrap()
        };
        let http = "http://u:secret@sink:8080/in?code=secret";
        let topic = "https://topic.westeurope-1.eventgrid.azure.net/api/events";
        let both = json!({ "http": { "uri": http }, "azureEventGridTopic": { "endpoint": topic } });
        assert_eq!(destination(&of(both)), Ok(Destination::Http(http)));
        let spec = of(json!({ "azureEventGridTopic": { "endpoint": topic } }));
        assert_eq!(destination(&spec), Ok(Destination::EventGrid(topic)));
        for (given, text) in [
            (json!({}), "destination must have http or azureEventGridTopic"),
            (
                json!({ "http": { "uri": "sink:80/secret" } }),
                "destination.http.uri must be an http or https address",
            ),
            (
                json!({ "http": { "uri": "http://" } }),
                "destination.http.uri must be an http or https address",
            ),
            (
                json!({ "azureEventGridTopic": { "endpoint": "http://topic" } }),
                "destination.azureEventGridTopic.endpoint must be an https address",
            ),
        ] {
            assert_eq!(destination(&of(given.clone())), Err(text.to_owned()), "{given}");
        }
    }
}
