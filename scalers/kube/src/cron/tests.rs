//! The cron trigger against upstream's verdicts and over simulated time.

use std::time::Duration;

use keda_scaler::contract::{Contract, Scripted, Source, environment, parameters, upstream};
use keda_scaler::{Clock, Context, Environment, Factory, Kind, Parameters};

use super::Trigger;

const FACTORY: Factory = Factory::of::<Trigger>();

fn given(start: &str, end: &str, timezone: &str, desired: &str) -> Parameters {
    parameters(&[("start", start), ("end", end), ("timezone", timezone), ("desiredReplicas", desired)], &[])
}

fn at(time: &str) -> Environment {
    Environment { clock: Clock::tokio(time.parse().unwrap()), ..environment(Scripted::silent()) }
}

#[test]
fn upstream_agrees_with_every_case() {
    if let Some(report) = upstream::run(&FACTORY, include_str!("testdata/upstream-skips.txt")) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed > 90, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let parameters = given("0 7 * * 1-5", "0 19 * * 1-5", "Europe/Berlin", "10");
    Contract { factory: FACTORY, parameters, source: Source::Clock }.check().await;
}

#[test]
fn names_spell_the_schedules_out() {
    for (start, end, name) in [
        ("0 */2 * * *", "0 1-23/2 * * *", "s0-cron-Etc-UTC-0xSl2xxx-01-23Sl2xxx"),
        ("0,30 * ? * *", "15,45 * * * *", "s0-cron-Etc-UTC-0Cm30xQmxx-15Cm45xxxx"),
    ] {
        let parsed = FACTORY.parse(&given(start, end, "Etc/UTC", "10"), &Context::default()).unwrap();
        assert_eq!(parsed.specs()[0].name(), name);
        assert_eq!(parsed.specs()[0].target().to_string(), "1");
        assert_eq!(parsed.label(), "cronScaler");
    }
}

#[test]
fn cached_metrics_are_refused() {
    let context = Context { use_cached_metrics: true, ..Context::default() };
    let error = FACTORY.parse(&given("0 7 * * *", "0 19 * * *", "UTC", "1"), &context).unwrap_err();
    assert_eq!(error.to_string(), "property \"useCachedMetrics\" is not supported for \"cron\" scaler");
}

#[test]
fn every_fault_is_named_at_once() {
    let error = FACTORY.parse(&Parameters::default(), &Context::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error parsing cron metadata: missing required parameter \"start\" in [triggerMetadata]\n\
         missing required parameter \"end\" in [triggerMetadata]\n\
         missing required parameter \"timezone\" in [triggerMetadata]\n\
         missing required parameter \"desiredReplicas\" in [triggerMetadata]\n\
         error parsing start schedule: empty spec string"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_zone_is_an_error_of_connecting() {
    let parsed =
        FACTORY.parse(&given("0 7 * * *", "0 19 * * *", "Mars/Base", "1"), &Context::default()).unwrap();
    let error = parsed.connect(&at("2026-11-24T10:00:00Z")).await.unwrap_err();
    assert_eq!(error.to_string(), "unable to load timezone: unknown time zone Mars/Base");
    assert_eq!(error.kind, Kind::Config);
}

/// Over a week that has a change of clocks.
#[tokio::test(start_paused = true)]
async fn the_value_is_exact_at_every_boundary_6665_6709_7204_7770() {
    let parsed = FACTORY
        .parse(&given("0 7 * * *", "30 19 * * *", "Europe/Berlin", "45"), &Context::default())
        .unwrap();
    let live = parsed.connect(&at("2026-10-22T22:00:00Z")).await.unwrap();
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let mut now: jiff::Timestamp = "2026-10-22T22:00:00Z".parse().unwrap();
    for _ in 0..7 * 24 * 60 {
        let outcome = live.sample().await.remove(0);
        let reading = outcome.result.unwrap();
        let minute = now.to_zoned(berlin.clone());
        let minute = i32::from(minute.hour()) * 60 + i32::from(minute.minute());
        let open = (7 * 60..19 * 60 + 30).contains(&minute);
        assert_eq!((reading.value, reading.active), (if open { 45.0 } else { 0.0 }, open), "at {now}");
        tokio::time::advance(Duration::from_secs(60)).await;
        now += jiff::SignedDuration::from_secs(60);
    }
}

#[tokio::test(start_paused = true)]
async fn a_negative_number_of_replicas_is_active_and_zero() {
    let parsed = FACTORY.parse(&given("0 7 * * *", "0 19 * * *", "UTC", "-1"), &Context::default()).unwrap();
    let live = parsed.connect(&at("2026-11-24T10:00:00Z")).await.unwrap();
    let reading = live.sample().await.remove(0).result.unwrap();
    assert!(reading.active);
    assert_eq!(reading.quantity().to_string(), "0");
}

#[test]
fn the_sample_parses() {
    let object: keda_api::ScaledObject = serde_saphyr::from_str(include_str!("sample.yaml")).unwrap();
    let trigger = object.spec.triggers.into_iter().next().unwrap();
    let parameters = Parameters { metadata: trigger.metadata, ..Parameters::default() };
    let parsed = FACTORY.parse(&parameters, &Context::default()).unwrap();
    assert!(parsed.notices().is_empty(), "{:?}", parsed.notices());
}
