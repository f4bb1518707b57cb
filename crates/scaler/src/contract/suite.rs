//! The promises of a trigger, checked for each one in the same way.
//!
//! A broken promise is a panic: this is test code.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::world::{Mood, World};
use super::{Remote, Scripted, environment};
use crate::config::Shape;
use crate::http::{self, Response, StatusCode};
use crate::kube::{self, ReadError};
use crate::{Context, Error, Factory, Kind, Metric, Outcome, Parameters, Parsed, Reading, Secrets, grpc};

/// A trigger with an example of its parameters.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The trigger.
    pub factory: Factory,
    /// Parameters that parse, with credentials if the trigger has any: distinct texts of six characters and more.
    pub parameters: Parameters,
    /// Whom it asks.
    pub source: Source,
}

/// Whom a trigger asks, and what its answers are.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// Nobody: it is for the HPA to read.
    Hpa,
    /// Nobody: it looks at the clock.
    Clock,
    /// An HTTP endpoint.
    Http {
        /// An answer that carries this value.
        answer: fn(f64) -> Response,
        /// The value up to which the example is inactive.
        activation: f64,
    },
    /// A gRPC server that says by itself which metrics there are.
    Remote(
        /// Channels to a server in this state.
        fn(Remote) -> grpc::Channels,
    ),
    /// Objects of the cluster.
    Cluster {
        /// A cluster in which the example has this value.
        holding: fn(f64) -> Arc<dyn kube::Reader>,
        /// The value up to which the example is inactive.
        activation: f64,
        /// The smallest difference between two values.
        step: f64,
    },
}

#[expect(clippy::panic, clippy::expect_used, reason = "test code")]
impl Contract {
    /// Everything that can be checked of this trigger. To be run with paused time.
    pub async fn check(&self) {
        self.check_declaration().await;
        let world = World::new(Mood::Silent);
        match self.source {
            Source::Hpa => assert!(!self.parsed().is_sampled(), "there is nothing for the HPA to read"),
            Source::Clock => {
                let live = self.parsed().connect(&world.environment()).await.expect("connects");
                assert!(live.sample().await.iter().all(|outcome| outcome.result.is_ok()));
                assert_eq!(world.asked(), 0, "it asks somebody");
            }
            Source::Remote(channels) => self.remote(channels).await,
            Source::Http { .. } | Source::Cluster { .. } => {
                self.activation_is_strict().await;
                self.deadline_is_kept().await;
                self.panics_are_contained().await;
                self.failures_have_their_kinds().await;
                self.cancelling_leaves_nothing_behind().await;
                self.errors_show_no_credential().await;
            }
        }
    }

    /// What holds for every trigger, whatever it asks: the part of [`Contract::check`] that needs no source.
    pub async fn check_declaration(&self) {
        self.declaration_is_complete();
        self.names_carry_the_index();
        self.utilization_is_refused();
        self.missing_parameters_are_named();
        self.debug_shows_no_credential().await;
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
            let mut parsed = self.parse(&Context { index, ..context() }).expect("the example parses");
            if parsed.is_remote() {
                parsed = parsed.planned(vec![Metric::new("depth", 5.0)]).expect("an HPA can have it");
            }
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
        if !self.parsed().is_sampled() && !self.parsed().is_remote() {
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

    async fn activation_is_strict(&self) {
        let (edge, step) = match self.source {
            Source::Http { activation, .. } => (activation, 0.001),
            Source::Cluster { activation, step, .. } => (activation, step),
            Source::Hpa | Source::Clock | Source::Remote(_) => return,
        };
        for (value, active) in
            [(edge, false), (edge + step, true), (edge - step, false), (edge + 1000.0 * step, true)]
        {
            let reading = self.reading(&self.world(value)).await;
            assert_eq!((reading.value, reading.active), (value, active), "at activation {edge}");
        }
    }

    /// A source that never answers costs the trigger its deadline and not more.
    async fn deadline_is_kept(&self) {
        let parsed = self.parsed();
        let started = Instant::now();
        for error in self.failures(&World::new(Mood::Silent)).await {
            assert_eq!(error.kind, Kind::Timeout, "{error}");
            assert!(error.temporary());
        }
        let allowed = parsed.deadline() + Duration::from_millis(250);
        assert!(started.elapsed() <= allowed, "took {:?} of {allowed:?}", started.elapsed());
    }

    async fn panics_are_contained(&self) {
        for error in self.failures(&World::new(Mood::Panicking)).await {
            let named = error.message.contains(self.factory.trigger_type());
            assert!(error.kind == Kind::Panic && named && !error.message.contains("credential"), "{error}");
        }
    }

    /// A refusal says who refused and whether it may pass; nothing that failed is a value.
    async fn failures_have_their_kinds(&self) {
        if let Source::Cluster { .. } = self.source {
            for (error, kind) in [
                (ReadError::temporary("the server is away"), Kind::Unreachable),
                (ReadError::permanent("secrets \"x\" is forbidden"), Kind::Auth),
            ] {
                let text = error.to_string();
                for failure in self.failures(&World::new(Mood::Unreadable(error))).await {
                    assert_eq!(failure.kind, kind, "{failure}");
                    assert!(failure.message.contains(&text), "{failure} does not say {text}");
                }
            }
            return;
        }
        for status in
            [401, 403, 404, 429, 500, 503].map(|status| StatusCode::from_u16(status).expect("is one"))
        {
            let answer = Response::new(status, "no");
            for error in self.failures(&World::new(Mood::Answering(answer))).await {
                assert_eq!(error.kind, Kind::Source(status.as_u16()), "{error}");
                assert!(error.message.contains(status.as_str()), "{error} does not say {status}");
            }
        }
        use http::ErrorKind::{Connect, Interrupted, Redirect, Timeout, TooLarge};
        for kind in [Timeout, Connect, Interrupted, TooLarge, Redirect] {
            let broken = http::Error::new(kind, "the transport's own words");
            let expected = Error::from(broken.clone()).kind;
            for error in self.failures(&World::new(Mood::Broken(broken))).await {
                assert_eq!(error.kind, expected, "{error}");
                assert!(error.message.contains("the transport's own words"), "{error}");
            }
        }
    }

    /// Whoever loses interest drops the future: nothing of it goes on, and the next sample is as good as ever.
    async fn cancelling_leaves_nothing_behind(&self) {
        let soon = Duration::from_millis(1);
        let value = match self.source {
            Source::Http { activation, .. } | Source::Cluster { activation, .. } => activation,
            Source::Hpa | Source::Clock | Source::Remote(_) => return,
        };
        let world = self.world(value);
        let parsed = self.parsed();
        world.be(Mood::Silent);
        let connecting = timeout(soon, parsed.connect(&world.environment())).await;
        assert_eq!(world.in_flight(), 0, "connecting goes on after it was dropped");
        world.be(Mood::Willing);
        let live = match connecting {
            Ok(connected) => connected.expect("connects"),
            Err(_) => parsed.connect(&world.environment()).await.expect("connects"),
        };
        world.be(Mood::Silent);
        let asked = world.asked();
        assert!(timeout(soon, live.sample()).await.is_err(), "it does not wait for its source");
        assert!(world.asked() > asked, "it was not begun");
        assert_eq!(world.in_flight(), 0, "sampling goes on after it was dropped");
        world.be(Mood::Willing);
        for outcome in live.sample().await {
            assert!(
                outcome.result.is_ok_and(|reading| reading.value == value),
                "the sample after a dropped one"
            );
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
        let Source::Http { .. } = self.source else { return };
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

    /// A world in which the example has this value.
    fn world(&self, value: f64) -> World {
        match self.source {
            Source::Http { answer, .. } => World::new(Mood::Answering(answer(value))).willing(),
            Source::Cluster { holding, .. } => World::new(Mood::Willing).with(holding(value)),
            Source::Hpa | Source::Clock | Source::Remote(_) => World::new(Mood::Willing),
        }
    }

    async fn reading(&self, world: &World) -> Reading {
        let live = self.parsed().connect(&world.environment()).await.expect("connects");
        let first = live.sample().await.into_iter().next().expect("one outcome a metric");
        first.result.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Why each metric, or connecting, fails in this world.
    async fn failures(&self, world: &World) -> Vec<Error> {
        match self.parsed().connect(&world.environment()).await {
            Ok(live) => failures(live.sample().await),
            Err(error) => vec![error],
        }
    }

    fn parsed(&self) -> Parsed {
        self.parse(&context()).expect("the example parses")
    }

    pub(super) fn parse(&self, context: &Context) -> Result<Parsed, Error> {
        self.factory.parse(&self.parameters, context)
    }
}

/// The metric type that every trigger takes.
pub(super) fn context() -> Context {
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
