//! How quick it is. The bound holds on any machine; `cargo test --release -p keda-webhooks --test webhooks -- --ignored --nocapture`
//! prints the figures.

use std::time::{Duration, Instant};

use keda_testkit::builders;
use serde_json::{Value, json};

use crate::{
    client::review,
    stage::{SCALED_OBJECT, Stage, object, server},
};

/// ScaledObjects in the namespace.
const OBJECTS: usize = 2_000;

async fn crowded() -> Stage {
    let api = server();
    for number in 0..OBJECTS {
        let triggers = [builders::cron("UTC", "0 8 * * *", "0 18 * * *", 3)];
        let (name, target) = (format!("other-{number}"), format!("workload-{number}"));
        api.seed(&builders::scaled_object("shop", &name, &target, triggers)).unwrap();
    }
    let stage = Stage::with(api, |_| {}).await;
    stage.becomes_ready().await;
    stage
}

/// Latencies of one question after the other on each of `connections` connections.
async fn load(stage: &Stage, connections: usize, lasts: Duration) -> Vec<Duration> {
    let triggers = json!([{"type": "cpu", "metadata": {"value": "50"}},
        {"type": "prometheus", "metadata": {"serverAddress": "http://p", "query": "up", "threshold": "5"}}]);
    let question = review("CREATE", &object(json!({"spec": {"triggers": triggers}})), &Value::Null);
    let mut callers = Vec::new();
    for _ in 0..connections {
        let (mut kept, question) = (stage.client().keep().await, question.clone());
        callers.push(tokio::spawn(async move {
            let (mut taken, begin) = (Vec::new(), Instant::now());
            while begin.elapsed() < lasts {
                let one = Instant::now();
                assert!(kept.ask(SCALED_OBJECT, &question).await.verdict().allowed);
                taken.push(one.elapsed());
            }
            taken
        }));
    }
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await.unwrap());
    }
    all.sort_unstable();
    all
}

/// Half of the questions, whatever else this machine does meanwhile, and without optimisation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_question_takes_milliseconds_among_thousands_of_objects() {
    let stage = crowded().await;
    let taken = load(&stage, 1, Duration::from_secs(1)).await;
    let median = taken[taken.len() / 2];
    assert!(median < Duration::from_millis(20), "{median:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed() {
    let stage = crowded().await;
    load(&stage, 1, Duration::from_secs(1)).await;
    for connections in [1, 16] {
        let taken = load(&stage, connections, Duration::from_secs(3)).await;
        let at = |share: f64| taken[(taken.len() as f64 * share) as usize];
        println!("c={connections}: {}/s, p50 {:?}, p99 {:?}", taken.len() / 3, at(0.5), at(0.99));
    }
}
