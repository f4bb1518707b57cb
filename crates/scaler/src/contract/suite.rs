//! The promises of a trigger, checked for each one in the same way.
//!
//! A broken promise is a panic: this is test code.

use std::time::Duration;

use tokio::time::Instant;

use super::{Scripted, environment};
use crate::config::Shape;
use crate::http::{self, Response, StatusCode};
use crate::{Context, Error, Factory, Kind, Outcome, Parameters, Parsed, Reading, Secrets};

/// A trigger with an example of its parameters.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The trigger.
    pub factory: Factory,
    /// Parameters that parse, with credentials if the trigger has any: distinct texts of six characters and more.
    pub parameters: Parameters,
    /// For triggers that ask an HTTP endpoint.
    pub http: Option<Http>,
}

/// How an HTTP trigger's source speaks.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// An answer that carries this value.
    pub answer: fn(f64) -> Response,
    /// The value up to which the example is inactive.
    pub activation: f64,
}

#[expect(clippy::panic, clippy::expect_used, reason = "test code")]
impl Contract {
    /// Everything that can be checked of this trigger. To be run with paused time.
    pub async fn check(&self) {
        self.declaration_is_complete();
        self.names_carry_the_index();
        self.utilization_is_refused();
        self.missing_parameters_are_named();
        self.debug_shows_no_credential().await;
        if let Some(http) = self.http {
            self.activation_is_strict(http).await;
            self.deadline_is_kept().await;
            self.panics_are_contained().await;
            self.errors_show_no_credential().await;
        }
    }

    /// Every parameter is documented, and every default is a value of its parameter.
    fn declaration_is_complete(&self) {
        for parameter in self.factory.parameters() {
            assert!(parameter.doc.len() > 10, "{}: its doc says nothing", parameter.name());
            let allowed = &parameter.one_of;
            if let (Some(default), false) = (parameter.default, allowed.is_empty()) {
                assert!(
                    allowed.contains(&default),
                    "{}: {default} is not among {allowed:?}",
                    parameter.name()
                );
            }
        }
        let parsed = self.parsed();
        let values = parsed.values(Secrets::Hidden);
        for parameter in
            self.factory.parameters().iter().filter(|parameter| parameter.shape != Shape::Retired)
        {
            assert!(values.contains_key(parameter.name()), "{}: not among the values", parameter.name());
        }
    }

    fn names_carry_the_index(&self) {
        for index in [0, 7] {
            let parsed = self.parse(&Context { index, ..context() }).expect("the example parses");
            assert!(!parsed.specs().is_empty(), "the plan has no metric");
            for spec in parsed.specs().iter().filter(|spec| spec.external_name().is_some()) {
                let rest = spec.name().strip_prefix(&format!("s{index}-")).unwrap_or_default();
                assert!(
                    !rest.is_empty() && !rest.contains(['/', '.', ':', '%', '(', ')']),
                    "{}",
                    spec.name()
                );
            }
        }
    }

    fn utilization_is_refused(&self) {
        if !self.parsed().is_sampled() {
            return;
        }
        let context = Context { metric_type: Some("Utilization".to_owned()), ..Context::default() };
        let error = self.parse(&context).expect_err("Utilization is for cpu and memory");
        assert!(
            error.message.starts_with("'Utilization' metric type is unsupported for external metrics"),
            "{error}"
        );
    }

    fn missing_parameters_are_named(&self) {
        for parameter in self.factory.parameters().iter().filter(|parameter| parameter.required()) {
            let mut parameters = self.parameters.clone();
            for name in parameter.names {
                parameters.metadata.remove(*name);
                parameters.auth.remove(*name);
            }
            let given = (&parameters.metadata, &parameters.auth)
                != (&self.parameters.metadata, &self.parameters.auth);
            if let (true, Err(error)) = (given, self.factory.parse(&parameters, &context())) {
                let text = format!("missing required parameter {:?}", parameter.names.join(","));
                assert!(error.message.contains(&text), "{error}");
                assert_eq!(error.kind, Kind::Config);
            } else if given {
                panic!("{} is required and was not missed", parameter.name());
            }
        }
    }

    async fn activation_is_strict(&self, http: Http) {
        let edge = http.activation;
        for (value, active) in
            [(edge, false), (edge + 0.001, true), (edge - 0.001, false), (edge + 1e6, true)]
        {
            let reading = self.reading(http, value).await;
            assert_eq!((reading.value, reading.active), (value, active), "at activation {edge}");
        }
    }

    /// A source that never answers costs the trigger its deadline and not more.
    async fn deadline_is_kept(&self) {
        let parsed = self.parsed();
        let live = parsed.connect(&environment(Scripted::silent())).await.expect("connects");
        let started = Instant::now();
        for error in failures(live.sample().await) {
            assert_eq!(error.kind, Kind::Timeout, "{error}");
            assert!(error.temporary());
        }
        let allowed = parsed.deadline() + Duration::from_millis(250);
        assert!(started.elapsed() <= allowed, "took {:?} of {allowed:?}", started.elapsed());
    }

    async fn panics_are_contained(&self) {
        let transport =
            Scripted::answering(|_| panic!("a defect in the trigger, with a credential in its text"));
        let live = self.parsed().connect(&environment(transport)).await.expect("connects");
        for error in failures(live.sample().await) {
            let named = error.message.contains(self.factory.trigger_type());
            assert!(error.kind == Kind::Panic && named && !error.message.contains("credential"), "{error}");
        }
    }

    /// A source that repeats whatever it was sent, in the ways sources do.
    async fn errors_show_no_credential(&self) {
        let echo = |status: StatusCode| {
            Scripted::answering(move |request: &http::Request| {
                let headers =
                    request.headers.iter().map(|(_, value)| String::from_utf8_lossy(value.as_bytes()));
                let text = format!("{} {}", request.url, headers.collect::<Vec<_>>().join(" "));
                Ok(Response::new(status, text))
            })
        };
        for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::INTERNAL_SERVER_ERROR] {
            let live = self.parsed().connect(&environment(echo(status))).await.expect("connects");
            for error in failures(live.sample().await) {
                self.assert_hidden(&format!("{error} {error:?}"));
            }
        }
    }

    async fn debug_shows_no_credential(&self) {
        let parsed = self.parsed();
        let live = parsed.connect(&environment(Scripted::silent())).await.expect("connects");
        let values = serde_json::Value::Object(parsed.values(Secrets::Hidden));
        let notices = parsed.notices();
        self.assert_hidden(&format!("{:?} {parsed:?} {live:?} {values} {notices:?}", self.parameters));
    }

    fn assert_hidden(&self, text: &str) {
        for parameter in self.factory.parameters().iter().filter(|parameter| parameter.secret()) {
            for secret in parameter.names.iter().filter_map(|name| self.parameters.auth.get(*name)) {
                let name = parameter.name();
                assert!(!text.contains(secret.expose().trim()), "the credential {name} is shown in: {text}");
            }
        }
    }

    async fn reading(&self, http: Http, value: f64) -> Reading {
        let transport = Scripted::answering(move |_| Ok((http.answer)(value)));
        let live = self.parsed().connect(&environment(transport)).await.expect("connects");
        let first = live.sample().await.into_iter().next().expect("one outcome a metric");
        first.result.unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    fn parsed(&self) -> Parsed {
        self.parse(&context()).expect("the example parses")
    }

    fn parse(&self, context: &Context) -> Result<Parsed, Error> {
        self.factory.parse(&self.parameters, context)
    }
}

/// The metric type that every trigger takes.
fn context() -> Context {
    Context { metric_type: Some("AverageValue".to_owned()), ..Context::default() }
}

#[expect(clippy::panic, reason = "test code")]
fn failures(outcomes: Vec<Outcome>) -> Vec<Error> {
    assert!(!outcomes.is_empty(), "one outcome a metric");
    outcomes
        .into_iter()
        .map(|outcome| match outcome.result {
            Ok(reading) => panic!("a failing source gave {reading:?}"),
            Err(error) => error,
        })
        .collect()
}
