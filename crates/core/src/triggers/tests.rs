use keda_api::AuthenticationRef;

use super::*;

fn trigger(kind: &str, name: &str) -> ScaleTrigger {
    ScaleTrigger {
        r#type: kind.to_owned(),
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        ..ScaleTrigger::default()
    }
}

#[test]
fn names_are_unique_where_they_are_given() {
    assert_eq!(check(&[trigger("cron", ""), trigger("cron", ""), trigger("cron", "a")]), Ok(()));
    assert_eq!(
        check(&[trigger("cron", "a"), trigger("kafka", "a")]).unwrap_err().to_string(),
        "triggerName \"a\" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique"
    );
}

#[test]
fn there_has_to_be_one() {
    assert_eq!(check(&[]).unwrap_err().to_string(), "no triggers defined in the ScaledObject/ScaledJob");
}

#[test]
fn three_types_have_nothing_to_answer_from() {
    for (kind, allowed) in [("cpu", false), ("memory", false), ("cron", false), ("prometheus", true)] {
        let cached = ScaleTrigger { use_cached_metrics: Some(true), ..trigger(kind, "") };
        assert_eq!(check(&[cached]).is_ok(), allowed, "{kind}");
        let not_cached = ScaleTrigger { use_cached_metrics: Some(false), ..trigger(kind, "") };
        assert_eq!(check(&[not_cached]), Ok(()));
    }
    let cached = ScaleTrigger { use_cached_metrics: Some(true), ..trigger("cpu", "") };
    assert_eq!(
        check(&[cached]).unwrap_err().to_string(),
        "property \"useCachedMetrics\" is not supported for \"cpu\" scaler"
    );
}

#[test]
fn columns_list_what_is_distinct_in_order_of_appearance() {
    let with_auth = |name: &str| ScaleTrigger {
        authentication_ref: Some(AuthenticationRef { name: name.to_owned(), kind: None }),
        ..trigger("prometheus", "")
    };
    let triggers = [with_auth("b"), trigger("cron", ""), with_auth("a"), with_auth("b")];
    assert_eq!(types(&triggers), "prometheus,cron");
    assert_eq!(authentications(&triggers), "b,a");
    assert_eq!(authentications(&triggers[1..2]), "");
}
