//! The operator is away, hangs, or comes back (upstream issues 8211, 7251, 6201).

use std::time::{Duration, Instant};

use crate::{
    operator::Say,
    stage::{Stage, path_of, until},
};

const AGE: &str = "keda_adapter_answer_age_seconds{namespace=\"ns\",metric=\"m\",scaledObject=\"so\"}";
const STALE: &str = "keda_adapter_stale_answers_total{namespace=\"ns\"}";
const CONNECTED: &str = "keda_adapter_operator_connected";

#[tokio::test]
async fn the_last_good_answer_while_the_operator_is_away_8211() {
    let (stage, operator) = Stage::up().await;
    stage.script.say("m", Say::Value("7"));
    let kept = stage.hpa().keep().await;
    let fresh = kept.get(&path_of("m")).await;
    assert_eq!(fresh.value(), "7");
    assert_eq!((stage.measured(AGE), stage.measured(STALE)), (None, None));

    drop(operator);
    until("noticed", || async { stage.measured(CONNECTED) == Some(0.0) }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(kept.get(&path_of("m")).await.text, fresh.text, "with its original time");
    }
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "nobody waits for an operator that is known to be away"
    );
    assert!(stage.measured(AGE).unwrap() > 0.5);
    assert_eq!(stage.measured(STALE), Some(20.0));
    // What was never answered has no answer.
    let (status, text) = kept.get(&path_of("other")).await.error();
    assert_eq!(status, 500);
    let expected = "timeout while waiting to establish gRPC connection to KEDA Metrics Service server: ";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(stage.anybody().get("/readyz").await.status, 200, "it has answers");

    stage.script.say("m", Say::Value("8"));
    let _operator = stage.start_operator();
    let back = Instant::now();
    until("fresh again", || async { kept.get(&path_of("m")).await.value() == "8" }).await;
    assert!(back.elapsed() < Duration::from_secs(4), "{:?}", back.elapsed());
    assert_eq!(stage.measured(AGE), None);
    assert_eq!(stage.measured(CONNECTED), Some(1.0));
}

#[tokio::test]
async fn an_operator_that_leaves_politely_and_its_successor() {
    let (stage, operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    let kept = stage.hpa().keep().await;
    kept.get(&path_of("m")).await.value();
    operator.leave();
    let _operator = stage.start_operator();
    stage.script.say("m", Say::Value("2"));
    until("the successor answers", || async { kept.get(&path_of("m")).await.value() == "2" }).await;
}

#[tokio::test]
async fn old_answers_are_given_up() {
    let age = Duration::from_millis(300);
    let (stage, operator) = Stage::up_with(|options| options.last_good_age = age).await;
    stage.script.say("m", Say::Value("7"));
    let kept = stage.hpa().keep().await;
    kept.get(&path_of("m")).await.value();
    drop(operator);
    tokio::time::sleep(age * 2).await;
    assert_eq!(kept.get(&path_of("m")).await.error().0, 500);
}

#[tokio::test]
async fn an_operator_that_hangs_is_away_once_its_deadline_has_passed() {
    let deadline = Duration::from_millis(300);
    let (stage, _operator) = Stage::up_with(|options| options.operator_deadline = deadline).await;
    stage.script.say("m", Say::Value("7"));
    let kept = stage.hpa().keep().await;
    kept.get(&path_of("m")).await.value();
    stage.script.say("m", Say::Nothing);
    let began = Instant::now();
    assert_eq!(kept.get(&path_of("m")).await.value(), "7");
    assert!(began.elapsed() >= deadline && began.elapsed() < deadline * 4, "{:?}", began.elapsed());
    // Later it is not even trusted to be there, and connected to anew.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(kept.get(&path_of("m")).await.value(), "7");
    stage.script.say("m", Say::Value("8"));
    until("a new connection", || async { kept.get(&path_of("m")).await.value() == "8" }).await;
}

#[tokio::test]
async fn a_slow_metric_of_a_living_operator_is_an_error() {
    let deadline = Duration::from_millis(400);
    let (stage, _operator) = Stage::up_with(|options| options.operator_deadline = deadline).await;
    stage.script.say("slow", Say::Value("7"));
    stage.script.say("quick", Say::Value("1"));
    let kept = stage.hpa().keep().await;
    kept.get(&path_of("slow")).await.value();
    stage.script.say("slow", Say::Nothing);
    let slow = tokio::spawn({
        let kept = kept.clone();
        async move { kept.get(&path_of("slow")).await }
    });
    tokio::time::sleep(deadline / 2).await;
    kept.get(&path_of("quick")).await.value();
    let text = "rpc error: code = DeadlineExceeded desc = context deadline exceeded".to_owned();
    assert_eq!(slow.await.unwrap().error(), (500, text));
}

#[tokio::test]
async fn unavailable_is_tried_again_on_a_new_connection() {
    let (stage, _operator) = Stage::up().await;
    let kept = stage.hpa().keep().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.script.say("m", Say::Value("9"));
    stage.script.say_once("m", Say::Error(tonic::Code::Unavailable, "not the leader"));
    assert_eq!(kept.get(&path_of("m")).await.value(), "9");
    assert_eq!(stage.measured(STALE), None);
}

#[tokio::test]
async fn an_operator_that_stays_unavailable_is_away() {
    let deadline = Duration::from_millis(500);
    let (stage, _operator) = Stage::up_with(|options| options.operator_deadline = deadline).await;
    stage.script.say("m", Say::Value("7"));
    let kept = stage.hpa().keep().await;
    kept.get(&path_of("m")).await.value();
    stage.script.say("m", Say::Error(tonic::Code::Unavailable, "not the leader"));
    assert_eq!(kept.get(&path_of("m")).await.value(), "7");
    stage.script.say("n", Say::Error(tonic::Code::Unavailable, "not the leader"));
    let (status, text) = kept.get(&path_of("n")).await.error();
    assert_eq!(status, 500);
    assert!(text.ends_with("rpc error: code = Unavailable desc = not the leader"), "{text}");
}
