//! The frame, on triggers that misbehave.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::contract::{Recorder, Scripted, environment, parameters};
use crate::http::{self, Response, StatusCode};
use crate::{
    Context, Environment, Error, Factory, Family, Kind, Link, Measurement, Metric, Parameters, Registry,
    Secret, Source, Trigger, TriggerConfig,
};

#[derive(Debug, TriggerConfig)]
struct Config {
    /// What the trigger does: a number, or a misdeed.
    #[param(from(metadata))]
    does: String,
    /// A credential that it knows.
    #[param(from(auth), optional)]
    token: Secret,
    /// A target.
    #[param(from(metadata), default = 10)]
    target: f64,
}

struct Odd;

struct OddSource {
    config: Arc<Config>,
    link: Link,
}

impl Trigger for Odd {
    type Config = Config;
    type Source = OddSource;
    const TYPE: &'static str = "odd";
    const LABEL: &'static str = "oddScaler";

    fn plan(config: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        match config.does.as_str() {
            "panic in plan" => panic!("plan"),
            "refuse" => Err(Error::unsupported(format!("no token {} today", config.token.expose()))),
            "two" => Ok(vec![
                Metric::new("odd/one", config.target),
                Metric::new("odd(two)", 3_i64).activation(1.5),
            ]),
            _ => Ok(vec![Metric::new("odd", config.target).activation(2.0)]),
        }
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<OddSource, Error> {
        match config.does.as_str() {
            "hang in connect" => std::future::pending().await,
            "panic in connect" => panic!("connect"),
            _ => Ok(OddSource { config, link }),
        }
    }
}

impl Source for OddSource {
    async fn sample(&self, metric: &Metric) -> Result<Measurement, Error> {
        match self.config.does.as_str() {
            "two" => {
                // The first takes longer: order is the plan's, not that of arrival.
                let takes = if metric.name == "odd/one" { 20 } else { 10 };
                tokio::time::sleep(Duration::from_millis(takes)).await;
                Ok(Measurement::from(takes as f64))
            }
            "hang" => std::future::pending().await,
            "panic" => panic!("with the token {}", self.config.token.expose()),
            "leak" => Err(Error::answer(format!("you sent {}", self.config.token.expose()))),
            "call" => {
                let response = self.link.http.send(http::Request::get("http://source/x")).await?;
                Ok(f64::from(response.status.as_u16()).into())
            }
            "decide" => Ok(Measurement::with_activity(100.0, false)),
            number => Ok(number.parse::<f64>().unwrap().into()),
        }
    }
}

static FAMILY: Family = Family { triggers: &[Factory::of::<Odd>()] };

fn given(does: &str) -> Parameters {
    parameters(&[("does", does)], &[("token", "s3cr3t-token")])
}

async fn sample(does: &str, environment: &Environment) -> Vec<(String, Result<(f64, bool), Error>)> {
    let parsed = Registry::new(&[&FAMILY]).parse("odd", &given(does), &Context::default()).unwrap();
    let outcomes = parsed.connect(environment).await.unwrap().sample().await;
    outcomes
        .into_iter()
        .map(|outcome| (outcome.name, outcome.result.map(|reading| (reading.value, reading.active))))
        .collect()
}

async fn failure(does: &str) -> Error {
    sample(does, &environment(Scripted::silent())).await.remove(0).1.unwrap_err()
}

#[test]
fn an_unknown_type_lists_what_exists() {
    let registry = Registry::new(&[&FAMILY]);
    let error = registry.parse("promethius", &Parameters::default(), &Context::default()).unwrap_err();
    assert_eq!(error.to_string(), "no scaler found for type: promethius, available are: odd");
    assert_eq!(error.kind, Kind::Config);
    assert_eq!(registry.types().collect::<Vec<_>>(), ["odd"]);
    assert!(registry.needs_env("odd", &parameters(&[("doesFromEnv", "X")], &[]).metadata));
    assert!(!registry.needs_env("odd", &given("1").metadata));
}

#[test]
fn names_and_targets_are_made_by_the_frame() {
    let context = Context { index: 3, metric_type: Some("Value".into()), ..Context::default() };
    let parsed = FAMILY.triggers[0].parse(&given("two"), &context).unwrap();
    let specs: Vec<_> = parsed.specs().iter().map(|spec| (spec.name(), spec.target().to_string())).collect();
    assert_eq!(specs, [("s3-odd-one", "10".to_owned()), ("s3-odd-two-", "3".to_owned())]);
}

#[test]
fn a_panic_while_parsing_is_an_error() {
    let error = FAMILY.triggers[0].parse(&given("panic in plan"), &Context::default()).unwrap_err();
    assert_eq!(error.kind, Kind::Panic);
    assert_eq!(
        error.to_string(),
        "trigger odd panicked while its parameters were read: this is a defect of keda"
    );
}

#[test]
fn a_plan_cannot_leak_a_credential() {
    let error = FAMILY.triggers[0].parse(&given("refuse"), &Context::default()).unwrap_err();
    assert_eq!(error.to_string(), "no token <hidden> today");
}

#[test]
fn targets_must_be_positive_unless_a_formula_has_its_own() {
    for target in ["0", "-1", "0.0004"] {
        let given = parameters(&[("does", "1"), ("target", target)], &[]);
        let error = FAMILY.triggers[0].parse(&given, &Context::default()).unwrap_err();
        assert!(error.message.starts_with("metric s0-odd: an HPA target must be positive"), "{error}");
        let source = Context { as_metric_source: true, ..Context::default() };
        FAMILY.triggers[0].parse(&given, &source).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn outcomes_stand_in_the_order_of_the_plan() {
    let recorder = Recorder::default();
    let environment =
        Environment { telemetry: Arc::new(recorder.clone()), ..environment(Scripted::silent()) };
    let started = Instant::now();
    let outcomes = sample("two", &environment).await;
    assert_eq!(
        outcomes,
        [("s0-odd-one".to_owned(), Ok((20.0, true))), ("s0-odd-two-".to_owned(), Ok((10.0, true)))]
    );
    assert!(started.elapsed() < Duration::from_millis(30), "metrics are sampled concurrently");
    assert_eq!(
        recorder.lines(),
        ["sampled oddScaler s0-odd-two- 10 active=true", "sampled oddScaler s0-odd-one 20 active=true"]
    );
}

#[tokio::test(start_paused = true)]
async fn activation_is_above_the_threshold_or_the_sources_word() {
    let environment = environment(Scripted::silent());
    for (does, expected) in
        [("2", (2.0, false)), ("2.001", (2.001, true)), ("-5", (-5.0, false)), ("decide", (100.0, false))]
    {
        assert_eq!(sample(does, &environment).await[0].1, Ok(expected));
    }
}

/// Upstream made -9.2e15 of NaN.
#[tokio::test(start_paused = true)]
async fn no_number_is_no_reading_7475() {
    for (does, shown) in [("NaN", "NaN"), ("inf", "inf"), ("-inf", "-inf")] {
        let error = failure(does).await;
        assert_eq!(
            (error.kind, error.to_string()),
            (Kind::Answer, format!("metric odd is {shown}, not a number to scale on"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_for_connecting_and_sampling() {
    let started = Instant::now();
    let error = failure("hang").await;
    assert_eq!(
        (error.kind, error.to_string()),
        (Kind::Timeout, "trigger odd: no answer within 3s".to_owned())
    );
    assert_eq!(started.elapsed(), Duration::from_millis(3250));

    let parsed = FAMILY.triggers[0].parse(&given("hang in connect"), &Context::default()).unwrap();
    let error = parsed.connect(&environment(Scripted::silent())).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
}

/// Upstream's operator went down with it. The text may hold a credential and is not passed on.
#[tokio::test(start_paused = true)]
async fn panics_end_at_the_trigger_4413() {
    let error = failure("panic").await;
    assert_eq!(error.to_string(), "trigger odd panicked while it was sampled: this is a defect of keda");
    assert!(error.kind == Kind::Panic && error.temporary());
    let parsed = FAMILY.triggers[0].parse(&given("panic in connect"), &Context::default()).unwrap();
    let error = parsed.connect(&environment(Scripted::silent())).await.unwrap_err();
    assert_eq!(error.to_string(), "trigger odd panicked while it connected: this is a defect of keda");
}

#[tokio::test(start_paused = true)]
async fn credentials_are_cut_out_of_errors() {
    assert_eq!(failure("leak").await.to_string(), "you sent <hidden>");
}

#[tokio::test(start_paused = true)]
async fn http_calls_have_the_triggers_deadline_and_are_counted() {
    let recorder = Recorder::default();
    let transport = Scripted::answering(|_| Ok(Response::new(StatusCode::IM_A_TEAPOT, "")));
    let requests = transport.clone();
    let answering = Environment { telemetry: Arc::new(recorder.clone()), ..environment(transport) };
    assert_eq!(sample("call", &answering).await[0].1, Ok((418.0, true)));
    assert_eq!(requests.requests()[0].timeout, Some(Duration::from_secs(3)));

    let silent = Environment { telemetry: Arc::new(recorder.clone()), ..environment(Scripted::silent()) };
    let error = sample("call", &silent).await.remove(0).1.unwrap_err();
    assert_eq!(error.to_string(), "GET http://source/x: no answer within 3s");
    assert_eq!(
        recorder.lines(),
        [
            "http odd 418",
            "sampled oddScaler s0-odd 418 active=true",
            "http odd error",
            "sampled oddScaler s0-odd error timeout"
        ]
    );
}
