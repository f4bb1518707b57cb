//! Sources that say by themselves which metrics they have, and when there is work (core.md §8).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{Condition, ConditionStatus};
use keda_scaler::{
    Context, Error, Factory, Family, Kind, Link, Measurement, Metric, Signal, Signals, TriggerConfig,
};
use keda_testkit::source::Answer;
use serde_json::{Value, json};

use crate::{
    condition,
    harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object},
    replicas,
};

/// A source that speaks up.
struct Speaker;

#[derive(Debug, TriggerConfig)]
struct Config {
    /// Which source, of those of all tests.
    #[param(from(metadata))]
    source: String,
    /// Something to change.
    #[param(from(metadata), optional)]
    tune: String,
}

/// What a source says when it is asked, and who listens to it.
#[derive(Default)]
struct State {
    metrics: Vec<(&'static str, i64)>,
    value: f64,
    active: bool,
    down: bool,
    listeners: Vec<(u64, Signals)>,
    opened: u64,
}

static STATES: LazyLock<Mutex<HashMap<String, State>>> = LazyLock::new(Mutex::default);

fn states() -> MutexGuard<'static, HashMap<String, State>> {
    STATES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<T>(source: &str, change: impl FnOnce(&mut State) -> T) -> T {
    change(states().entry(source.to_owned()).or_default())
}

fn say(source: &str, signal: &Signal) -> usize {
    let listeners: Vec<Signals> =
        with(source, |state| state.listeners.iter().map(|(_, signals)| signals.clone()).collect());
    listeners.iter().for_each(|signals| signals.tell(signal.clone()));
    listeners.len()
}

fn listeners(source: &str) -> (usize, u64) {
    with(source, |state| (state.listeners.len(), state.opened))
}

struct Source(Arc<Config>);

struct Open<'a>(&'a str, u64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        with(self.0, |state| state.listeners.retain(|(number, _)| *number != self.1));
    }
}

impl keda_scaler::Trigger for Speaker {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "speaker";
    const LABEL: &'static str = "speakerScaler";
    const REMOTE: bool = true;
    const PUSHES: bool = true;

    fn plan(_: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        Ok(Vec::new())
    }

    async fn connect(config: Arc<Config>, _: Link) -> Result<Source, Error> {
        Ok(Source(config))
    }
}

fn metrics(of: &[(&'static str, i64)]) -> Vec<Metric> {
    of.iter().map(|(name, target)| Metric::new(*name, *target)).collect()
}

impl keda_scaler::Source for Source {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        with(&self.0.source, |state| match state.down {
            true => Err(Error::new(Kind::Unreachable, "the speaker is away")),
            false => Ok(Measurement::with_activity(state.value, state.active)),
        })
    }

    async fn metrics(&self) -> Result<Vec<Metric>, Error> {
        with(&self.0.source, |state| match state.down {
            true => Err(Error::new(Kind::Unreachable, "the speaker is away")),
            false => Ok(metrics(&state.metrics)),
        })
    }

    async fn listen(&self, signals: &Signals) {
        let number = with(&self.0.source, |state| {
            state.opened += 1;
            state.listeners.push((state.opened, signals.clone()));
            state.opened
        });
        let _open = Open(&self.0.source, number);
        std::future::pending::<()>().await;
    }
}

static FAMILY: Family = Family { triggers: &[Factory::of::<Speaker>()] };

fn speaker(source: &str) -> Value {
    json!({ "type": "speaker", "metadata": { "source": source } })
}

/// A world with one object, named like its source, that has been polled.
async fn world(name: &str, replicas: i32, triggers: &[Value]) -> World {
    let mut setup = Setup::default();
    setup.families.push(&FAMILY);
    let mut world = World::new(setup);
    world.start_operator().await;
    world.apply(&deployment(name, replicas)).await.unwrap();
    world.apply(&scaled_object(name, triggers)).await.unwrap();
    world.until(Duration::from_secs(5)).await;
    world
}

/// The metrics of the HPA with their targets; `None` where there is no HPA.
fn hpa(world: &World, name: &str) -> Option<Vec<(String, String)>> {
    let hpa: HorizontalPodAutoscaler = world.server.read("default", &format!("keda-hpa-{name}"))?;
    let metrics = hpa.spec?.metrics?.into_iter().filter_map(|metric| metric.external);
    Some(metrics.map(|it| (it.metric.name, it.target.average_value.unwrap().0)).collect())
}

fn wanted(metrics: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(metrics.iter().map(|(name, target)| ((*name).to_owned(), (*target).to_owned())).collect())
}

#[tokio::test(start_paused = true)]
async fn the_hpa_has_what_the_source_says_it_has() {
    with("plan", |state| (state.down, state.active, state.value) = (true, true, 12.0));
    let world = world("plan", 3, &[speaker("plan")]).await;
    assert_eq!(hpa(&world, "plan"), None, "an HPA without metrics would be one on cpu");
    let ready = condition(&world.server, "plan", Condition::READY);
    assert_eq!((ready.status, ready.reason.as_deref()), (ConditionStatus::False, Some("TriggerError")));
    assert!(ready.message.as_deref().unwrap().contains("the speaker is away"), "{ready:?}");

    with("plan", |state| (state.down, state.metrics) = (false, vec![("depth", 5)]));
    world.until(Duration::from_secs(70)).await;
    assert_eq!(hpa(&world, "plan"), wanted(&[("s0-depth", "5")]));
    assert_eq!(condition(&world.server, "plan", Condition::READY).status, ConditionStatus::True);
    assert_eq!(world.metrics().get("default", "plan", "s0-depth").await.unwrap().quantity.to_string(), "12");

    // Others than before: by asking, and at once by being told.
    with("plan", |state| state.metrics = vec![("depth", 6), ("age", 60)]);
    world.until(Duration::from_secs(110)).await;
    assert_eq!(hpa(&world, "plan"), wanted(&[("s0-depth", "6"), ("s0-age", "60")]));
    with("plan", |state| state.metrics = vec![("age", 90)]);
    assert_eq!(say("plan", &Signal::Metrics(metrics(&[("age", 90)]))), 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(hpa(&world, "plan"), wanted(&[("s0-age", "90")]));
    assert!(world.metrics().get("default", "plan", "s0-depth").await.is_err());

    // What an HPA cannot have changes nothing, and is said.
    with("plan", |state| state.metrics = vec![("age", 1), ("age", 2)]);
    world.until(Duration::from_secs(170)).await;
    assert_eq!(hpa(&world, "plan"), wanted(&[("s0-age", "90")]));
    let ready = condition(&world.server, "plan", Condition::READY);
    assert!(
        ready.message.as_deref().unwrap().contains("metricName s0-age defined multiple times"),
        "{ready:?}"
    );
    assert_eq!(replicas(&world.server, "plan"), 3);
}

#[tokio::test(start_paused = true)]
async fn an_hpa_outlives_a_restart_without_its_source() {
    with("memory", |state| (state.metrics, state.active, state.value) = (vec![("depth", 5)], true, 20.0));
    let mut world = world("memory", 4, &[speaker("memory")]).await;
    assert_eq!(hpa(&world, "memory"), wanted(&[("s0-depth", "5")]));
    with("memory", |state| state.down = true);
    world.stop_operator(true).await;
    let mark = world.server.mark();
    world.start_operator().await;
    world.until(Duration::from_secs(600)).await;
    assert_eq!(hpa(&world, "memory"), wanted(&[("s0-depth", "5")]));
    assert_eq!(replicas(&world.server, "memory"), 4);
    let writes: Vec<String> = world
        .server
        .writes_since(mark)
        .into_iter()
        .filter(|write| write.user == OPERATOR && format!("{write:?}").contains("horizontalpodautoscalers"))
        .map(|write| format!("{write:?}"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    let ready = condition(&world.server, "memory", Condition::READY);
    assert!(ready.message.as_deref().unwrap().contains("the speaker is away"), "{ready:?}");
}

#[tokio::test(start_paused = true)]
async fn work_wakes_at_once_from_zero_whatever_else_hangs() {
    with("wake", |state| state.metrics = vec![("depth", 5)]);
    let world = world("wake", 0, &[speaker("wake"), prometheus("slow")]).await;
    world.source.set("slow", Answer::slow(Duration::from_secs(600), Answer::Value(0.0)));
    // A poll is under way, and waits for the other source.
    world.until(Duration::from_secs(61)).await;
    assert_eq!(replicas(&world.server, "wake"), 0);
    let told = world.elapsed();
    assert_eq!(say("wake", &Signal::Active), 1);
    while replicas(&world.server, "wake") == 0 {
        assert!(world.elapsed() - told < Duration::from_millis(200), "it is not woken");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(replicas(&world.server, "wake"), 1);
    let active = condition(&world.server, "wake", Condition::ACTIVE);
    assert_eq!(active.status, ConditionStatus::True);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(events(&world, "from 0 to 1, triggered by s0-depth").len(), 1, "the event names the metric");

    // There is no more work: a whole cooldown (60 s) from the last word on.
    world.source.set("slow", 0.0);
    tokio::time::sleep(Duration::from_secs(40)).await;
    say("wake", &Signal::Active);
    let last = world.elapsed();
    while replicas(&world.server, "wake") == 1 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rested = world.elapsed() - last;
    assert!(rested > Duration::from_secs(60) && rested < Duration::from_secs(95), "{rested:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_is_said_and_takes_nothing_away() {
    with("lost", |state| (state.metrics, state.active, state.value) = (vec![("depth", 5)], true, 10.0));
    let world = world("lost", 2, &[speaker("lost")]).await;
    for _ in 0..20 {
        say("lost", &Signal::Lost(Error::new(Kind::Unreachable, "StreamIsActive at x: gone")));
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(replicas(&world.server, "lost"), 2);
    assert_eq!(condition(&world.server, "lost", Condition::READY).status, ConditionStatus::True);
    let events = events(&world, "cannot be heard");
    let text = "trigger 0 speaker cannot be heard and is polled meanwhile: StreamIsActive at x: gone";
    assert_eq!(events, [text], "once, and not with each of twenty");
}

fn events(world: &World, words: &str) -> Vec<String> {
    world.seen(|history| {
        let events = history.events();
        let notes = events.iter().filter_map(|(_, event)| event["note"].as_str());
        notes.filter(|note| note.contains(words)).map(str::to_owned).collect()
    })
}

#[tokio::test(start_paused = true)]
async fn streams_live_as_long_as_their_trigger_is_polled() {
    with("life", |state| state.metrics = vec![("depth", 5)]);
    let world = world("life", 1, &[speaker("life")]).await;
    assert_eq!(listeners("life"), (1, 1));
    let after = async |patch: Value| {
        world.patch("ScaledObject/life", &patch).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        listeners("life")
    };
    let annotated = json!({ "metadata": { "annotations": { "team": "shop" } } });
    assert_eq!(after(annotated).await, (1, 1), "a reconcile leaves it open");
    assert_eq!(after(json!({ "spec": { "maxReplicaCount": 20 } })).await, (1, 1), "a new generation too");
    let pause =
        |value: Value| json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused": value } } });
    assert_eq!(after(pause(json!("true"))).await, (0, 1), "paused");
    assert_eq!(after(pause(Value::Null)).await, (1, 2));
    let mut tuned = speaker("life");
    tuned["metadata"]["tune"] = json!("x");
    assert_eq!(after(json!({ "spec": { "triggers": [tuned] } })).await, (1, 3), "another trigger");
    world.delete("ScaledObject/life").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(listeners("life"), (0, 3), "deleted");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_stop_talking_costs_ten_looks_a_second_and_no_write() {
    with("flood", |state| (state.metrics, state.active) = (vec![("depth", 5)], true));
    let world = world("flood", 1, &[speaker("flood")]).await;
    say("flood", &Signal::Active);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mark, before) = (world.server.mark(), world.seen(|history| history.decisions().len()));
    for _ in 0..2000 {
        for _ in 0..50 {
            say("flood", &Signal::Active);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let decided = world.seen(|history| history.decisions().len()) - before;
    assert!((10..=25).contains(&decided), "{decided} decisions in two seconds");
    let written = world.server.writes_since(mark);
    assert!(written.iter().all(|write| write.user != OPERATOR), "{written:?}");
}
