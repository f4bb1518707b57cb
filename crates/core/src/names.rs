//! Names that other software looks for: metrics, the HPA, labels.
//!
//! A metric name ties three parties together (the HPA asks for it, the metrics server passes it on, the operator
//! answers), so these rules are upstream's to the letter (`pkg/scalers/scaler.go`, `pkg/util/normalize_string.go`,
//! `controllers/keda/hpa.go`).

use keda_api::{GroupVersionKindResource, ScaledObject};

/// Longest value of a Kubernetes label.
const LABEL_VALUE_MAX: usize = 63;

/// A trigger's part of a metric name: each of `/ . : % ( )` becomes `-`, everything else stays, case included.
pub fn normalize(part: &str) -> String {
    part.replace(['/', '.', ':', '%', '(', ')'], "-")
}

/// The metric name of the trigger at `index` (zero-based position in `spec.triggers`): `s<index>-<part>`.
pub fn with_index(index: usize, part: &str) -> String {
    format!("s{index}-{part}")
}

/// The name the HPA of this object should have: the one the user chose, else `keda-hpa-<object>`.
pub fn hpa_name(object: &ScaledObject) -> String {
    let chosen = object
        .spec
        .advanced
        .as_ref()
        .and_then(|advanced| advanced.horizontal_pod_autoscaler_config.as_ref())
        .and_then(|config| config.name.as_deref())
        .filter(|name| !name.is_empty());
    match chosen {
        Some(name) => name.to_owned(),
        None => format!("keda-hpa-{}", object.metadata.name.as_deref().unwrap_or_default()),
    }
}

/// A name as a label value: cut to 63 bytes, then trailing characters other than letters and digits are dropped, since
/// a label value has to end in one.
pub fn label_value(name: &str) -> &str {
    let mut end = name.len().min(LABEL_VALUE_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// `group/version.Kind`, as events and `status.scaleTargetKind` write a type.
pub fn gvk(target: &GroupVersionKindResource) -> String {
    target.gvk_string()
}

#[cfg(test)]
mod tests;
