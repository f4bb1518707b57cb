//! The rules of a ScaledJob beyond its schema: what the operator checks, in its words.

use keda_api::ScaledJob;
use keda_core::{
    admission::{scaled_job, scaled_object},
    refusal,
};

use super::{document::Object, report::Finding};

/// What holds before any trigger is parsed.
pub(super) fn check(object: &Object, typed: &ScaledJob) -> Vec<Finding> {
    let job = scaled_job::job(typed).into_iter().map(|violation| (refusal::JOB, violation));
    let triggers = Vec::from_iter(scaled_object::triggers(&typed.spec.triggers));
    let triggers = triggers.into_iter().chain(scaled_job::triggers(&typed.spec));
    let violations = job.chain(triggers.map(|violation| (refusal::JOB_TRIGGERS, violation)));
    let mut findings: Vec<Finding> = violations
        .map(|(check, it)| Finding::error(object.line_of(&it.path), refusal::message(check, it.text)))
        .collect();
    let warnings = scaled_job::warnings(&typed.spec).into_iter();
    findings.extend(warnings.map(|it| Finding::warning(object.line_of(&it.path), it.text)));
    findings
}
