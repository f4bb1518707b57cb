//! cpu and memory triggers: what admission would say, for a target whose manifest is among the files.

use keda_api::ScaledObject;
use keda_core::admission::requests::{self, Amounts, Containers};

use super::{document::Object, files::Files, report::Finding, scaled_object::target};

/// Whether the containers of the target have what the triggers measure by.
pub(super) fn check(
    object: &Object,
    typed: &ScaledObject,
    files: &Files,
    objects: &[Object],
) -> Vec<Finding> {
    let namespace = typed.metadata.namespace.as_deref().unwrap_or_default();
    let name = typed.spec.scale_target_ref.name.as_str();
    let template = files.template(&target(typed).kind, namespace, name);
    let Some(template) = template.filter(|_| requests::matter(typed)) else { return Vec::new() };
    let ranges =
        objects.iter().filter(|object| object.kind() == "LimitRange" && object.namespace() == namespace);
    let defaults = ranges
        .filter_map(|range| serde_json::from_value(range.value.clone()).ok())
        .fold(Amounts::default(), |sum, range| sum.or(Amounts::of_limit_range(&range)));
    requests::check(typed, &Containers::of(template), defaults)
        .into_iter()
        .map(|violation| Finding::error(object.line_of(&violation.path), violation.text))
        .collect()
}
