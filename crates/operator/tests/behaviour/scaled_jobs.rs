//! ScaledJobs: as many Jobs as are asked for, however slow they start and whatever the API server does meanwhile.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{batch::v1::Job, events::v1::Event};
use keda_api::{Condition, ConditionStatus, ScaledJob, ScaledObject, TriggerAuthentication};
use keda_operator::Scope;
use keda_testkit::{
    Fault, Verb,
    controllers::{FAILS, JobLife},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::harness::{OPERATOR, Setup, World, Yield, deployment, prometheus, scaled_job, scaled_object};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world whose Jobs start after `start` and run for `run`.
async fn world(start: u64, run: Option<u64>) -> World {
    let life = JobLife { start: seconds(start), run: run.map(seconds), ..JobLife::default() };
    let mut world = World::new(Setup { hpa: None, jobs: Some(life), ..Setup::default() });
    world.start_operator().await;
    world
}

/// A trigger on a query, one message a Job.
fn queue(query: &str) -> Value {
    let mut trigger = prometheus(query);
    trigger["metadata"]["threshold"] = json!("1");
    trigger
}

/// A ScaledJob on the query of its name, polled every five seconds.
fn work(name: &str, spec: &Value) -> Value {
    let mut object = scaled_job(name, &[queue(name)]);
    object["spec"]["pollingInterval"] = json!(5);
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

fn jobs(world: &World) -> Vec<Job> {
    world.server.all("default")
}

fn names(world: &World) -> BTreeSet<String> {
    jobs(world).iter().map(ResourceExt::name_any).collect()
}

/// How many Jobs the operator ever made: the creations that the server carried out.
fn made(world: &World) -> usize {
    let made = |write: &&keda_testkit::Recorded| {
        write.verb == Verb::Create && write.resource == "jobs" && write.status == Some(201)
    };
    world.server.writes().iter().filter(made).count()
}

fn is_running(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| status.ready == Some(1))
}

fn is_complete(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| status.succeeded == Some(1))
}

fn condition(world: &World, name: &str, kind: &str) -> Condition {
    let object: ScaledJob = world.server.read("default", name).unwrap();
    object.status.unwrap().conditions.unwrap().get(kind).unwrap().clone()
}

/// The notes of the events of a reason.
fn notes(world: &World, reason: &str) -> Vec<String> {
    let events: Vec<Event> = world.server.all("default");
    let of_reason = events.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
    of_reason.filter_map(|event| event.note).collect()
}

#[tokio::test(start_paused = true)]
async fn jobs_are_made_as_the_trigger_asks_for_them() {
    let mut world = world(2, Some(60)).await;
    world.source.set("work", 0.0);
    let mut object = work("work", &json!({ "maxReplicaCount": 5 }));
    object["metadata"]["labels"] = json!({ "team": "blue" });
    world.apply(&object).await.unwrap();
    world.until(seconds(1)).await;
    let stored: ScaledJob = world.server.read("default", "work").unwrap();
    assert_eq!(stored.metadata.generation, Some(1), "only the finalizer was added (core.md §12.3)");
    assert_eq!(stored.finalizers(), ["finalizer.keda.sh"]);
    let ready = condition(&world, "work", "Ready");
    assert_eq!(
        (ready.status, ready.reason.as_deref(), ready.message.as_deref()),
        (
            ConditionStatus::True,
            Some("ScaledJobReady"),
            Some("ScaledJob is defined correctly and is ready for scaling")
        )
    );
    assert_eq!(condition(&world, "work", "Active").reason.as_deref(), Some("ScalerNotActive"));
    assert_eq!(notes(&world, "KEDAScalersStarted").len(), 2, "loop and trigger");
    assert_eq!(notes(&world, "ScaledJobReady"), ["ScaledJob is ready for scaling"]);
    assert_eq!(made(&world), 0);

    world.source.set("work", 3.0);
    world.until(seconds(10)).await;
    let all = jobs(&world);
    assert_eq!(all.len(), 3);
    let job = &all[0];
    assert_eq!(job.labels()["scaledjob.keda.sh/name"], "work");
    assert_eq!(job.labels()["team"], "blue");
    assert_eq!(job.annotations()["scaledjob.keda.sh/generation"], "1");
    assert_eq!(job.metadata.generate_name.as_deref(), Some("work-"));
    let owner = &job.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.controller), ("ScaledJob", Some(true)));
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    assert_eq!(pod.restart_policy.as_deref(), Some("OnFailure"));
    assert_eq!(notes(&world, "KEDAJobsCreated"), ["Created 3 jobs"]);
    assert_eq!(notes(&world, "ScaledJobActive"), ["Scaling is performed because triggers are active"]);
    assert_eq!(condition(&world, "work", "Active").status, ConditionStatus::True);
    let status = world.server.read::<ScaledJob>("default", "work").unwrap().status.unwrap();
    assert!(status.triggers_activity.unwrap()["s0-prometheus"].is_active);
    assert_eq!(status.triggers_types.as_deref(), Some("prometheus"));
    assert!(status.last_active_time.is_some());

    // More than the maximum is never there.
    world.source.set("work", 50.0);
    world.until(seconds(20)).await;
    assert_eq!(jobs(&world).len(), 5);
    world.source.set("work", 0.0);
    world.until(seconds(120)).await;
    assert!(jobs(&world).iter().all(is_complete));
    assert_eq!(made(&world), 5);
    assert_eq!(condition(&world, "work", "Active").status, ConditionStatus::False);
    assert_eq!(notes(&world, "ScaledJobInactive").len(), 1);

    // Nothing changes, so nothing is written (issues 7998, 8090).
    let mark = world.server.mark();
    world.until(seconds(240)).await;
    assert!(world.server.writes_since(mark).iter().all(|write| write.user != OPERATOR));
    let shown = world.registry.render();
    assert!(
        shown.contains(r#"keda_resource_registered_total{type="scaled_job",namespace="default"} 1"#),
        "{shown}"
    );
    assert!(
        shown.contains(r#"scaledObject="work",scaler="prometheusScaler",triggerIndex="0",type="scaledjob""#)
    );
    world.delete("ScaledJob/work").await.unwrap();
    world.until(seconds(245)).await;
    let shown = world.registry.render();
    assert!(!shown.contains(r#""work""#), "series go with the object (6321): {shown}");
    world.finish().await;
}

/// Messages of a queue until their Job has completed, or, where the queue does not count what is worked on, until a pod has
/// taken them.
async fn play_queue(world: &World, messages: usize, hides_what_is_taken: bool, until: u64) {
    while world.elapsed() < seconds(until) {
        let gone = jobs(world)
            .iter()
            .filter(|job| is_complete(job) || (hides_what_is_taken && is_running(job)))
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        world.source.set("work", messages.saturating_sub(gone) as f64);
        world.until(world.elapsed() + Duration::from_millis(100)).await;
    }
}

/// Pods take a minute to start, polls come every five seconds: each message gets one Job (issues 6157, 5537, 7329, 7016, 2488).
#[tokio::test(start_paused = true)]
async fn slow_starts_make_no_duplicates_6157_5537_7329() {
    for (strategy, hides) in [("default", false), ("accurate", true)] {
        let mut world = world(60, Some(45)).await;
        world.source.set("work", 0.0);
        let scaling = json!({ "scalingStrategy": { "strategy": strategy }, "maxReplicaCount": 50 });
        world.apply(&work("work", &scaling)).await.unwrap();
        play_queue(&world, 7, hides, 300).await;
        assert_eq!(made(&world), 7, "{strategy}");
        assert_eq!(jobs(&world).iter().filter(|job| is_complete(job)).count(), 7);
        world.finish().await;
    }
}

/// The watches that would show the Jobs are broken for a minute: what was created counts all the same.
#[tokio::test(start_paused = true)]
async fn what_the_watch_does_not_show_is_not_made_again_7016_2488() {
    let mut world = world(2, None).await;
    world.source.set("work", 0.0);
    world.apply(&work("work", &json!({}))).await.unwrap();
    world.until(seconds(1)).await;
    let blind = |request: &keda_testkit::Recorded| {
        let reads = [Verb::List, Verb::Watch].contains(&request.verb);
        request.user == OPERATOR && reads && ["jobs", "pods"].contains(&request.resource.as_str())
    };
    world.server.faults().every(blind, Fault::Unavailable);
    world.server.drop_watches();
    world.source.set("work", 4.0);
    world.until(seconds(90)).await;
    assert_eq!(made(&world), 4);
    // A Job that goes while nobody sees it stops counting: somebody looks for it.
    let gone = names(&world).pop_first().unwrap();
    world.delete(&format!("Job/{gone}")).await.unwrap();
    world.until(seconds(180)).await;
    assert_eq!((made(&world), jobs(&world).len()), (5, 4));
    world.server.faults().clear();
    world.until(seconds(300)).await;
    assert_eq!(made(&world), 5);
    world.finish().await;
}

/// Creations whose answer is lost, or that are refused for a while, are repeated and made once.
#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_make_no_duplicates_6157() {
    let mut world = world(2, None).await;
    world.source.set("work", 0.0);
    world.apply(&work("work", &json!({}))).await.unwrap();
    world.until(seconds(1)).await;
    let creates =
        |request: &keda_testkit::Recorded| request.resource == "jobs" && request.verb == Verb::Create;
    world.server.faults().next(3, creates, Fault::LostAnswer);
    world.server.faults().next(2, creates, Fault::TooManyRequests { retry_after: 1 });
    world.source.set("work", 6.0);
    world.until(seconds(120)).await;
    assert_eq!((made(&world), jobs(&world).len()), (6, 6));

    // Every answer is lost, retries included, and whether the Job is there cannot be asked either; then all is well.
    let all = |request: &keda_testkit::Recorded| {
        request.user == OPERATOR
            && request.resource == "jobs"
            && [Verb::Create, Verb::Get].contains(&request.verb)
    };
    world.server.faults().every(all, Fault::LostAnswer);
    world.source.set("work", 9.0);
    world.until(seconds(180)).await;
    world.server.faults().clear();
    world.until(seconds(240)).await;
    assert_eq!((made(&world), jobs(&world).len()), (9, 9));
    assert_eq!(condition(&world, "work", "Ready").status, ConditionStatus::True);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_makes_and_deletes_nothing_6762() {
    let mut world = world(60, None).await;
    world.source.set("work", 5.0);
    world.apply(&work("work", &json!({}))).await.unwrap();
    world.until(seconds(2)).await;
    let before = names(&world);
    assert_eq!(before.len(), 5);
    for killed in [true, false] {
        world.stop_operator(killed).await;
        world.until(world.elapsed() + seconds(20)).await;
        world.start_operator().await;
        world.until(world.elapsed() + seconds(30)).await;
        assert_eq!(names(&world), before);
    }
    assert_eq!(notes(&world, "KEDAScalersStarted").len(), 2, "a restart is no news");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_rolls_jobs_out_at_once_or_not_at_all() {
    let mut world = world(2, None).await;
    for (name, rollout) in [("now", json!({})), ("later", json!({ "rollout": { "strategy": "gradual" } }))] {
        world.source.set(name, 2.0);
        world.apply(&work(name, &rollout)).await.unwrap();
    }
    world.until(seconds(2)).await;
    let of = |world: &World, name: &str| -> BTreeSet<String> {
        names(world).into_iter().filter(|job| job.starts_with(name)).collect()
    };
    let (now, later) = (of(&world, "now"), of(&world, "later"));
    for name in ["now", "later"] {
        let change = json!({ "metadata": { "labels": { "a": "b" } } });
        world.patch(&format!("ScaledJob/{name}"), &change).await.unwrap();
    }
    world.until(seconds(8)).await;
    assert_eq!(
        (of(&world, "now"), of(&world, "later")),
        (now.clone(), later.clone()),
        "a label is no change"
    );
    for name in ["now", "later"] {
        let change = json!({ "spec": { "maxReplicaCount": 9 } });
        world.patch(&format!("ScaledJob/{name}"), &change).await.unwrap();
    }
    world.until(seconds(16)).await;
    assert_eq!(of(&world, "later"), later);
    let rolled = of(&world, "now");
    assert_eq!((rolled.len(), rolled.intersection(&now).count()), (2, 0));
    assert!(
        jobs(&world)
            .iter()
            .filter(|job| rolled.contains(&job.name_any()))
            .all(|job| { job.annotations()["scaledjob.keda.sh/generation"] == "2" })
    );
    let text = "2 jobs owned by the previous version of the ScaledJob";
    assert_eq!(notes(&world, "ScaledJobRolloutCleanupStarted"), [format!("Deleting {text}")]);
    assert_eq!(notes(&world, "ScaledJobRolloutCleanupCompleted"), [format!("Deleted {text}")]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_fails_says_so_and_is_tried_again() {
    let mut world = world(2, None).await;
    world.source.set("work", 2.0);
    let foreground = json!({ "rollout": { "strategy": "immediate", "propagationPolicy": "foreground" } });
    world.apply(&work("work", &foreground)).await.unwrap();
    world.until(seconds(2)).await;
    let before = names(&world);
    let deletes =
        |request: &keda_testkit::Recorded| request.resource == "jobs" && request.verb == Verb::Delete;
    world.server.faults().every(deletes, Fault::Internal);
    world.patch("ScaledJob/work", &json!({ "spec": { "maxReplicaCount": 9 } })).await.unwrap();
    world.until(seconds(10)).await;
    assert_eq!(names(&world), before);
    assert_eq!(notes(&world, "ScaledJobRolloutCleanupFailed").len(), 1);
    let ready = condition(&world, "work", "Ready");
    assert_eq!(ready.reason.as_deref(), Some("ScaledJobCheckFailed"), "{ready:?}");
    world.server.faults().clear();
    world.until(seconds(60)).await;
    assert_eq!((jobs(&world).len(), names(&world).intersection(&before).count()), (2, 0));
    assert_eq!(condition(&world, "work", "Ready").status, ConditionStatus::True);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn finished_jobs_are_kept_up_to_the_limits() {
    let mut world = world(1, Some(10)).await;
    for (name, fails) in [("good", false), ("bad", true)] {
        world.source.set(name, 6.0);
        let limits = json!({ "successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 1 });
        let mut object = work(name, &limits);
        if fails {
            object["metadata"]["annotations"] = json!({ FAILS: "" });
        }
        world.apply(&object).await.unwrap();
    }
    world.until(seconds(12)).await;
    for name in ["good", "bad"] {
        world.source.set(name, 0.0);
    }
    world.until(seconds(60)).await;
    let left = |prefix: &str| names(&world).iter().filter(|name| name.starts_with(prefix)).count();
    assert_eq!((left("good"), left("bad")), (2, 1));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_about_new_jobs() {
    let mut world = world(1, None).await;
    world.source.set("work", 2.0);
    world.apply(&work("work", &json!({}))).await.unwrap();
    world.until(seconds(2)).await;
    let pause =
        |value: Value| json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused": value } } });
    world.patch("ScaledJob/work", &pause(json!("true"))).await.unwrap();
    world.source.set("work", 8.0);
    world.until(seconds(60)).await;
    assert_eq!(jobs(&world).len(), 2, "running ones go on, none is added");
    let (paused, ready) = (condition(&world, "work", "Paused"), condition(&world, "work", "Ready"));
    assert_eq!((paused.status, paused.reason.as_deref()), (ConditionStatus::True, Some("ScaledJobPaused")));
    assert_eq!(ready.message.as_deref(), Some("ScaledJob is paused, skipping reconcile loop"));
    assert_eq!(notes(&world, "ScaledJobPaused"), ["ScaledJob is paused"]);
    assert_eq!(notes(&world, "KEDAScalersStopped"), ["Stopped scalers watch"]);
    world.patch("ScaledJob/work", &pause(Value::Null)).await.unwrap();
    world.until(seconds(70)).await;
    assert_eq!(jobs(&world).len(), 8);
    let paused = condition(&world, "work", "Paused");
    assert_eq!(
        (paused.status, paused.reason.as_deref()),
        (ConditionStatus::False, Some("ScaledJobUnpaused"))
    );
    assert_eq!(notes(&world, "ScaledJobUnpaused"), ["ScaledJob is unpaused"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_says_so_and_hurts_nobody_else() {
    let mut world = world(1, None).await;
    world.source.set("down", Yield::Down);
    world.source.set("good", 1.0);
    let mut template = work("template", &json!({}));
    template["spec"]["jobTargetRef"]["template"]["spec"]["tolerations"] = json!("none");
    let mut unknown = work("unknown", &json!({}));
    unknown["spec"]["triggers"][0]["type"] = json!("no-such-trigger");
    let mut partial = work("partial", &json!({}));
    partial["spec"]["triggers"] = json!([queue("down"), queue("good")]);
    for object in [&template, &unknown, &partial, &work("down", &json!({})), &work("good", &json!({}))] {
        world.apply(object).await.unwrap();
    }
    world.until(seconds(20)).await;
    let ready = |name: &str| {
        let condition = condition(&world, name, "Ready");
        (condition.status, condition.reason.unwrap(), condition.message.unwrap())
    };
    let (status, reason, message) = ready("template");
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "ScaledJobCheckFailed"));
    assert!(
        message.starts_with(
            "ScaledJob doesn't have correct jobTargetRef specification: spec.jobTargetRef.template"
        ),
        "{message}"
    );
    let message = ready("unknown").2;
    let wanted = "Failed to ensure ScaledJob is correctly created: trigger 0 (no-such-trigger): no scaler found for type: no-such-trigger";
    assert!(message.starts_with(wanted), "{message}");
    let (status, reason, message) = ready("down");
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "TriggerError"));
    assert!(
        message.starts_with("Triggers defined in ScaledJob are not working correctly: prometheusScaler: "),
        "{message}"
    );
    let (status, reason, message) = ready("partial");
    assert_eq!((status, reason.as_str()), (ConditionStatus::Unknown, "PartialTriggerError"));
    assert!(
        message.starts_with("Some triggers defined in ScaledJob are not working correctly: "),
        "{message}"
    );
    assert_eq!(ready("good").0, ConditionStatus::True);
    assert_eq!(jobs(&world).len(), 2, "one of the healthy one, one of the healthy half");
    assert!(
        world
            .registry
            .render()
            .contains(r#"keda_scaled_job_errors_total{namespace="default",scaledJob="down"}"#)
    );
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_the_api_server_refuses_are_said_once_and_tried_at_every_poll() {
    let mut world = world(1, None).await;
    world.source.set("work", 0.0);
    world.apply(&work("work", &json!({}))).await.unwrap();
    world.until(seconds(1)).await;
    let creates =
        |request: &keda_testkit::Recorded| request.resource == "jobs" && request.verb == Verb::Create;
    world.server.faults().every(creates, Fault::Conflict);
    world.source.set("work", 5.0);
    world.until(seconds(30)).await;
    let ready = condition(&world, "work", "Ready");
    assert_eq!(
        (ready.status, ready.reason.as_deref()),
        (ConditionStatus::False, Some("KEDAJobCreateFailed"))
    );
    assert!(ready.message.unwrap().starts_with("Jobs cannot be created: "));
    let said = notes(&world, "KEDAJobCreateFailed");
    assert!(said[0].starts_with("Failed to create job work-: "), "{said:?}");
    assert!(notes(&world, "KEDAJobsCreated").is_empty(), "nothing was created");
    world.server.faults().clear();
    world.until(seconds(40)).await;
    assert_eq!((jobs(&world).len(), condition(&world, "work", "Ready").status), (5, ConditionStatus::True));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_minimum_is_kept_and_a_recreated_object_starts_afresh_8124() {
    let mut world = world(1, Some(20)).await;
    world.source.set("work", 0.0);
    world.apply(&work("work", &json!({ "minReplicaCount": 3 }))).await.unwrap();
    world.until(seconds(100)).await;
    let unfinished = jobs(&world).iter().filter(|job| !is_complete(job)).count();
    assert_eq!(unfinished, 3, "finished ones are replaced");
    assert_eq!(condition(&world, "work", "Active").status, ConditionStatus::True);
    world.delete("ScaledJob/work").await.unwrap();
    world.until(seconds(102)).await;
    assert!(world.server.read::<ScaledJob>("default", "work").is_none());
    assert!(jobs(&world).is_empty(), "its Jobs go with it");
    assert_eq!(notes(&world, "ScaledJobDeleted"), ["ScaledJob was deleted"]);
    world.apply(&work("work", &json!({ "minReplicaCount": 1 }))).await.unwrap();
    world.until(seconds(104)).await;
    assert_eq!(jobs(&world).len(), 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_environment_is_the_pod_templates_and_authentications_list_their_jobs() {
    let mut world = world(1, None).await;
    world.source.set("work", 2.0);
    for object in [
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token" }, "stringData": { "token": "a-token-of-length" } }),
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "auth" },
            "spec": { "secretTargetRef": [{ "parameter": "bearerToken", "name": "token", "key": "token" }] },
        }),
    ] {
        world.apply(&object).await.unwrap();
    }
    let mut object = work("work", &json!({}));
    object["spec"]["triggers"][0]["authenticationRef"] = json!({ "name": "auth" });
    object["spec"]["triggers"][0]["metadata"]["authModes"] = json!("bearer");
    object["spec"]["triggers"].as_array_mut().unwrap().push(json!({
        "type": "prometheus",
        "metadata": { "serverAddressFromEnv": "SERVER", "query": "work", "threshold": "1", "serverAddress": "http://prometheus:9090" },
    }));
    object["spec"]["jobTargetRef"]["template"]["spec"]["containers"][0]["env"] =
        json!([{ "name": "SERVER", "value": "http://prometheus:9090" }]);
    world.apply(&object).await.unwrap();
    world.until(seconds(5)).await;
    assert_eq!(condition(&world, "work", "Ready").status, ConditionStatus::True);
    assert_eq!(jobs(&world).len(), 2);
    let auth: TriggerAuthentication = world.server.read("default", "auth").unwrap();
    let status = auth.status.unwrap();
    assert_eq!((status.scaledjobs.as_deref(), status.scaledobjects), (Some("work"), None));
    world.delete("ScaledJob/work").await.unwrap();
    world.until(seconds(10)).await;
    let auth: TriggerAuthentication = world.server.read("default", "auth").unwrap();
    assert_eq!(auth.status.unwrap().scaledjobs.as_deref(), Some(""));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn other_namespaces_and_objects_without_the_label_are_left_alone() {
    let scope = Scope {
        namespaces: vec!["default".to_owned()],
        label_selector: Some("team=blue".to_owned()),
        ..Scope::default()
    };
    let mut world = World::new(Setup { scope, hpa: None, ..Setup::default() });
    world.start_operator().await;
    for (namespace, name, team) in
        [("default", "blue", "blue"), ("default", "green", "green"), ("other", "blue", "blue")]
    {
        world.source.set(name, 1.0);
        let mut object = work(name, &json!({}));
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["labels"] = json!({ "team": team });
        world.server.seed(&object).unwrap();
    }
    world.until(seconds(20)).await;
    assert_eq!(jobs(&world).len(), 1);
    assert!(world.server.all::<Job>("other").is_empty());
    let wide = world.server.requests().into_iter().find(|request| {
        request.user == OPERATOR
            && request.namespace.is_empty()
            && ["jobs", "pods", "scaledjobs"].contains(&request.resource.as_str())
    });
    assert_eq!(wide, None);
    world.finish().await;
}

/// Upstream's finalizers keep namespaces for 20 minutes (issues 7950, 5090, 1470).
#[tokio::test(start_paused = true)]
async fn a_thousand_objects_go_with_their_namespace_within_a_minute_7950() {
    let mut world = World::new(Setup { hpa: None, rollout: false, observe: false, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 1.0);
    world
        .apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "many" } }))
        .await
        .unwrap();
    for index in 0..500 {
        let name = format!("it-{index:03}");
        let objects = [
            deployment(&name, 0),
            scaled_object(&name, &[prometheus("load")]),
            scaled_job(&name, &[prometheus("load")]),
        ];
        for mut object in objects {
            object["metadata"]["namespace"] = json!("many");
            world.server.seed(&object).unwrap();
        }
    }
    world.until(seconds(40)).await;
    assert_eq!(world.server.all::<Job>("many").len(), 500);
    world.delete("Namespace/many").await.unwrap();
    world.until(seconds(100)).await;
    assert_eq!(world.server.all::<ScaledObject>("many").len(), 0);
    assert_eq!(world.server.all::<ScaledJob>("many").len(), 0);
    assert_eq!(world.server.all::<Job>("many").len(), 0);
    let namespace: Option<k8s_openapi::api::core::v1::Namespace> = world.server.read("", "many");
    assert!(namespace.is_none(), "{namespace:?}");
    world.finish().await;
}
