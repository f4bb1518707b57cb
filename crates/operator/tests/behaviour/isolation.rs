//! One slow source does not slow the others (upstream issue 5083).

use std::time::Duration;

use keda_api::ConditionStatus;
use keda_testkit::source::Answer;
use serde_json::json;

use crate::{
    condition,
    harness::{Setup, World, deployment, prometheus, scaled_object},
    replicas,
};

#[tokio::test(start_paused = true)]
async fn a_black_hole_slows_nobody_else_5083() {
    const HOLES: usize = 100;
    let mut world = World::new(Setup { hpa: None, observe: false, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 0.0);
    for index in 0..HOLES {
        let (name, query) = (format!("hole-{index:03}"), format!("hole_{index}"));
        let never = Answer::slow(Duration::from_secs(3600), 1.0);
        world.source.set(&query, never);
        let mut trigger = prometheus(&query);
        trigger["metadata"]["serverAddress"] = json!("http://black-hole:9090");
        world.apply(&deployment(&name, 0)).await.unwrap();
        world.apply(&scaled_object(&name, &[trigger])).await.unwrap();
    }
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("load")])).await.unwrap();
    world.until(Duration::from_secs(1)).await;
    assert_eq!(condition(&world.server, "web", "Ready").status, ConditionStatus::True);

    world.until(Duration::from_secs(300)).await;
    let polls: Vec<Duration> =
        world.source.asked().iter().filter(|asked| asked.query == "load").map(|asked| asked.at).collect();
    let gaps = polls.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(polls.len() >= 10, "{polls:?}");
    assert!(gaps.max().unwrap() <= Duration::from_millis(30_010), "every interval, on time: {polls:?}");

    world.source.set("load", 5.0);
    world.until(Duration::from_secs(331)).await;
    assert_eq!(replicas(&world.server, "web"), 1);
    let ready = condition(&world.server, "hole-000", "Ready");
    assert!(ready.message.unwrap().contains("no answer within 3s"));
    world.finish().await;
}
