//! Code that panics hurts the object it works for, and nothing else (upstream issues 4413, 4207, 6176, 7863, 7838, 7910, 7927,
//! 7798, 7802).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keda_api::ConditionStatus;
use keda_scaler::{
    Context, Error, Factory, Family, Link, Measurement, Metric, Reading, Telemetry, TriggerConfig,
    telemetry::Subject,
};
use serde_json::{Value, json};

use crate::{
    condition,
    harness::{Setup, World, deployment, prometheus, scaled_object},
    replicas,
};

/// A trigger that panics at a moment of the test's choice.
struct Explosive;

#[derive(Debug, TriggerConfig)]
struct Config {
    /// When it panics: `validate`, `plan`, `connect` or `sample`.
    #[param(from(metadata))]
    moment: String,
}

struct Source(Arc<Config>);

/// Whether `sample` still panics.
static ARMED: AtomicBool = AtomicBool::new(true);

fn explode(config: &Config, moment: &str) {
    assert!(config.moment != moment, "boom, said the trigger");
}

impl keda_scaler::Trigger for Explosive {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "explosive";
    const LABEL: &'static str = "explosiveScaler";

    fn validate(config: &Config, _: &Context) -> Result<(), String> {
        explode(config, "validate");
        Ok(())
    }

    fn plan(config: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        explode(config, "plan");
        Ok(vec![Metric::new("explosive", 1_i64)])
    }

    async fn connect(config: Arc<Config>, _: Link) -> Result<Source, Error> {
        explode(&config, "connect");
        Ok(Source(config))
    }
}

impl keda_scaler::Source for Source {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        if ARMED.load(Ordering::Relaxed) {
            explode(&self.0, "sample");
        }
        Ok(5.0.into())
    }
}

static FAMILY: Family = Family { triggers: &[Factory::of::<Explosive>()] };

fn explosive(moment: &str) -> Value {
    json!({ "type": "explosive", "metadata": { "moment": moment } })
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_panics_marks_its_object_and_nobody_else_4413() {
    let mut setup = Setup::default();
    setup.families.push(&FAMILY);
    let mut world = World::new(setup);
    world.start_operator().await;
    world.source.set("load", 0.0);
    let moments = ["validate", "plan", "connect", "sample"];
    for moment in moments {
        world.apply(&deployment(moment, 2)).await.unwrap();
        world.apply(&scaled_object(moment, &[explosive(moment)])).await.unwrap();
    }
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("load")])).await.unwrap();

    world.until(Duration::from_secs(120)).await;
    for moment in moments {
        let ready = condition(&world.server, moment, "Ready");
        assert_eq!(ready.status, ConditionStatus::False, "{moment}: {ready:?}");
        let message = ready.message.unwrap();
        assert!(message.contains("trigger explosive panicked while it"), "{moment}: {message}");
        assert!(!message.contains("boom"), "a panic's own text may hold a credential: {message}");
        assert_eq!(replicas(&world.server, moment), 2, "{moment}");
    }
    world.source.set("load", 5.0);
    world.until(Duration::from_secs(151)).await;
    assert_eq!(replicas(&world.server, "web"), 1, "another object is polled as ever");

    // The trigger is mended: the next poll notices.
    ARMED.store(false, Ordering::Relaxed);
    world.until(Duration::from_secs(182)).await;
    assert_eq!(condition(&world.server, "sample", "Ready").status, ConditionStatus::True);
    world.finish().await;
}

/// Panics outside of what the frame contains: in code of the operator, as far as the object's task can see.
struct Treacherous(Arc<dyn Telemetry>);

static TREACHEROUS: AtomicBool = AtomicBool::new(true);

impl Telemetry for Treacherous {
    fn sampled(&self, subject: &Subject, latency: Duration, result: Result<&Reading, &Error>) {
        let armed = TREACHEROUS.load(Ordering::Relaxed);
        assert!(!armed || subject.object_name != "bad", "out of cheese");
        self.0.sampled(subject, latency, result);
    }

    fn empty_response(&self, subject: &Subject, ignored: bool) {
        self.0.empty_response(subject, ignored);
    }

    fn http_request(&self, subject: &Subject, status: Option<u16>, latency: Duration) {
        self.0.http_request(subject, status, latency);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_is_started_again_with_backoff() {
    let setup = Setup { telemetry: |inner| Arc::new(Treacherous(inner)), ..Setup::default() };
    let mut world = World::new(setup);
    world.start_operator().await;
    world.source.set("load", 0.0);
    for name in ["bad", "web"] {
        world.apply(&deployment(name, 0)).await.unwrap();
        world.apply(&scaled_object(name, &[prometheus("load")])).await.unwrap();
    }
    world.until(Duration::from_secs(60)).await;
    let ready = condition(&world.server, "bad", "Ready");
    assert_eq!(ready.status, ConditionStatus::False, "{ready:?}");
    assert_eq!(ready.reason.as_deref(), Some("ScaledObjectCheckFailed"));
    assert!(
        ready.message.unwrap().contains("internal error in keda-rs, this object is retried with backoff")
    );
    let tries = world.source.asked().len();
    world.source.set("load", 5.0);
    world.until(Duration::from_secs(91)).await;
    assert_eq!(replicas(&world.server, "web"), 1, "another object is polled as ever");
    assert_eq!(replicas(&world.server, "bad"), 0);
    assert!(tries < 15, "{tries} requests in a minute are no backoff");

    TREACHEROUS.store(false, Ordering::Relaxed);
    world.until(Duration::from_secs(240)).await;
    assert_eq!(replicas(&world.server, "bad"), 1);
    assert_eq!(condition(&world.server, "bad", "Ready").status, ConditionStatus::True);

    // After an hour of good work the next panic is not held against the old ones.
    world.until(Duration::from_secs(3840)).await;
    TREACHEROUS.store(true, Ordering::Relaxed);
    world.until(Duration::from_secs(3871)).await;
    TREACHEROUS.store(false, Ordering::Relaxed);
    world.until(Duration::from_secs(3910)).await;
    assert_eq!(condition(&world.server, "bad", "Ready").status, ConditionStatus::True);
    world.finish().await;
}
