//! How quick it is. `cargo test --release -p keda-adapter --test adapter -- --ignored --nocapture speed`

use std::time::{Duration, Instant};

use crate::{
    operator::Say,
    stage::{Stage, path_of},
};

const LASTS: Duration = Duration::from_secs(3);

/// Latencies of one after the other on each of `connections` connections.
async fn load(stage: &Stage, connections: usize) -> Vec<Duration> {
    let mut callers = Vec::new();
    for _ in 0..connections {
        let kept = stage.hpa().keep().await;
        callers.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            let begin = Instant::now();
            while begin.elapsed() < LASTS {
                let one = Instant::now();
                assert_eq!(kept.get(&path_of("m")).await.status, 200);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Value("2500m"));
    load(&stage, 1).await;
    for connections in [1, 16] {
        let taken = load(&stage, connections).await;
        let at = |share: f64| taken[(taken.len() as f64 * share) as usize];
        println!(
            "c={connections}: {:.0}/s, p50 {:?}, p99 {:?}",
            taken.len() as f64 / LASTS.as_secs_f64(),
            at(0.5),
            at(0.99),
        );
    }
}
