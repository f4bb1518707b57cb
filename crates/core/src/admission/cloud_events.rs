//! The rules of a CloudEventSource or ClusterCloudEventSource.

use keda_api::cloud_event_source::{CloudEventSourceSpec, EventSubscription, EventType};

use super::{Violation, Warning};
use crate::cloud_events::{Destination, destination};

/// Checks which events are chosen.
///
/// Upstream refuses the types about authentications, which its schema, its documentation and its emitter know; they may be
/// chosen here.
pub fn check(subscription: Option<&EventSubscription>) -> Vec<Violation> {
    const PATH: &str = "spec.eventSubscription";
    let Some(subscription) = subscription else { return Vec::new() };
    if subscription.included_event_types.is_some() && subscription.excluded_event_types.is_some() {
        let text = "setting included types and excluded types at the same time is not supported";
        return vec![Violation::new("", PATH, text)];
    }
    let lists = [
        ("excludedEventType", &subscription.excluded_event_types),
        ("includedEventType", &subscription.included_event_types),
    ];
    let chosen =
        lists.into_iter().flat_map(|(list, types)| types.iter().flatten().map(move |one| (list, one)));
    chosen
        .filter(|(_, chosen)| matches!(chosen, EventType::Unrecognised(_)))
        .map(|(list, chosen)| {
            let text = format!(
                "{list}: {} in cloudeventsource/clustercloudeventsource spec is not supported",
                chosen.as_str()
            );
            Violation::new("", format!("{PATH}.{list}s"), text)
        })
        .collect()
}

/// What is accepted, as upstream accepts it, and sends nothing, or not as it looks. `clustered`: of the cluster's kind.
pub fn warnings(spec: &CloudEventSourceSpec, clustered: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let given = &spec.destination;
    let reference = spec.authentication_ref.as_ref().filter(|reference| !reference.name.is_empty());
    match destination(spec) {
        Err(fault) => {
            let field = fault.split(' ').next().unwrap_or_default();
            warnings.push(Warning::new(format!("spec.{field}"), format!("no event is sent: {fault}")));
        }
        Ok(Destination::Http(_)) => {
            if given.azure_event_grid_topic.is_some() {
                let text = "azureEventGridTopic has no effect beside http: events go to one destination";
                warnings.push(Warning::new("spec.destination.azureEventGridTopic", text));
            }
            if reference.is_some() {
                let text = "authenticationRef has no effect on an http destination: events are sent without credentials";
                warnings.push(Warning::new("spec.authenticationRef", text));
            }
        }
        Ok(Destination::EventGrid(_)) => {
            if let Some(fault) = reference_fault(spec, clustered) {
                warnings.push(Warning::new("spec.authenticationRef", format!("no event is sent: {fault}")));
            }
        }
    }
    warnings
}

/// Why an `authenticationRef` cannot be what a topic of Event Grid needs.
pub fn reference_fault(spec: &CloudEventSourceSpec, clustered: bool) -> Option<&'static str> {
    let Some(reference) = spec.authentication_ref.as_ref().filter(|it| !it.name.is_empty()) else {
        return Some(
            "an azureEventGridTopic needs an authenticationRef with the parameter accessKey or podIdentity azure-workload",
        );
    };
    let namespaced = matches!(reference.kind.as_deref().unwrap_or_default(), "" | "TriggerAuthentication");
    (clustered && namespaced).then_some(
        "authenticationRef of a ClusterCloudEventSource must be of kind ClusterTriggerAuthentication: it has no namespace to look in",
    )
}

/// Whether a text is an http or https address with a host.
pub(crate) fn is_http(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    !host.is_empty()
        && !host.starts_with(':')
        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
}
