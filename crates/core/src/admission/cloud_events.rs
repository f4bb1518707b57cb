//! The rules of a CloudEventSource or ClusterCloudEventSource.

use keda_api::cloud_event_source::{EventSubscription, EventType};

use super::Violation;

/// Whether a type may be chosen. The schema knows six more, about authentications, which upstream refuses here.
fn supported(chosen: &EventType) -> bool {
    !matches!(chosen, EventType::Unrecognised(_)) && !chosen.as_str().starts_with("keda.authentication.")
}

/// Checks which events are chosen.
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
        .filter(|(_, chosen)| !supported(chosen))
        .map(|(list, chosen)| {
            let text = format!(
                "{list}: {} in cloudeventsource/clustercloudeventsource spec is not supported",
                chosen.as_str()
            );
            Violation::new("", format!("{PATH}.{list}s"), text)
        })
        .collect()
}
