//! The rules of a ScaledObject beyond its schema: what the operator checks, in its words and by its functions, and what
//! admission checks besides (core.md 1.8).

use keda_api::{GroupVersionKindResource, ScaledObject};
use keda_core::{admission, formula, hpa, metric::MetricSpec, pause::Annotations, refusal};

use super::{document::Object, report::Finding};

/// The target with upstream's defaults. The resource is a guess where the kind is not one of the two that everybody has.
pub(super) fn target(typed: &ScaledObject) -> GroupVersionKindResource {
    let (api_version, kind) = admission::scaled_object::target_type(&typed.spec.scale_target_ref);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    GroupVersionKindResource {
        group: group.to_owned(),
        version: version.to_owned(),
        resource: format!("{}s", kind.to_lowercase()),
        kind,
    }
}

/// What holds before any trigger is looked at.
pub(super) fn check(object: &Object, typed: &ScaledObject) -> Vec<Finding> {
    let spec = &typed.spec;
    let mut findings = Vec::new();
    let mut error = |path: &str, text: String| findings.push(Finding::error(object.line_of(path), text));
    if let Err(cause) = Annotations::parse(typed.metadata.annotations.as_ref()) {
        let path = format!("metadata.annotations.{}", keda_api::keys::PAUSED_REPLICAS);
        error(&path, refusal::message(refusal::PAUSE, cause));
    }
    for violation in admission::scaled_object::check(typed) {
        let text = match refusal::check_of(&violation) {
            // Upstream puts some texts on two lines.
            refusal::ADMISSION => violation.text.replace("\n", ": "),
            check => refusal::message(check, violation.text),
        };
        error(&violation.path, text);
    }
    let warnings = admission::scaled_object::warnings(spec);
    findings.extend(
        warnings.into_iter().map(|warning| Finding::warning(object.line_of(&warning.path), warning.text)),
    );
    findings
}

/// Whether the HPA can be as the triggers want it.
pub(super) fn check_autoscaler(
    object: &Object,
    typed: &ScaledObject,
    specs: &[MetricSpec],
) -> Option<Finding> {
    let mut typed = typed.clone();
    // The API server gives one to every object.
    typed.metadata.uid.get_or_insert_with(|| "0".to_owned());
    // A formula that is wrong was reported with the object.
    let modifiers = formula::modifiers(&typed.spec).ok()?;
    let specs = formula::hpa_specs(specs, modifiers.as_ref());
    let cause = hpa::desired(&typed, &target(&typed), &specs, env!("CARGO_PKG_VERSION")).err()?;
    Some(Finding::error(object.line_of("spec.triggers"), refusal::message(refusal::HPA, cause)))
}
