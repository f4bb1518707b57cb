//! Plays a scenario and says what was not as expected.

use std::{collections::BTreeMap, time::Duration};

use keda_auth::azure::fake;
use keda_operator::ControllerOptions;
use keda_testkit::{Fault, controllers::HpaOptions};
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::{
    expect::{self, Answers},
    objects::deployment,
    scenario::{Azure, Fails, How, MetricAnswer, Restart, Scenario, Step, Trouble, timed},
    source::Yield,
    world::{OPERATOR, Setup, World},
};

/// How long after a moment its consequences are looked for.
pub(crate) const SETTLED: Duration = Duration::from_millis(100);
/// How often the server's request log, which is bounded, is read.
const COLLECT: Duration = Duration::from_secs(900);

/// One thing to do.
enum Act {
    Step(Box<Step>),
    Source(String, Yield),
    Start,
    Ask(usize, MetricAnswer),
    Collect,
}

/// Plays a scenario in virtual time.
///
/// # Errors
/// Everything that was not as expected, and the timeline.
pub(crate) async fn play(scenario: Scenario) -> Result<(), String> {
    let mut hpa = HpaOptions::default();
    if let Some(period) = scenario.cluster.hpa_period {
        hpa.sync_period = period.0;
    }
    if let Some(window) = scenario.cluster.hpa_downscale_stabilization {
        hpa.downscale_stabilization = window.0;
    }
    let options = ControllerOptions {
        announce_unexpected_parameters: scenario.cluster.check_unexpected_parameters,
        ..ControllerOptions::default()
    };
    let mut setup = Setup { hpa: Some(hpa), options, pods: scenario.cluster.pods, ..Setup::default() };
    if let Some(start) = scenario.start {
        setup.start = start;
    }
    let mut world = World::new(setup);
    let mut faults = Vec::new();
    for crd in scenario.objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        world.apply(crd).await.map_err(|error| error.to_string())?;
        world.observe(custom_resource(crd));
    }
    let schedule = schedule(&scenario, &world);
    let mut answers = Answers::new();
    let mut schedule = schedule.into_iter().peekable();
    // What holds from the beginning holds before the first poll.
    while let Some((_, act)) = schedule.next_if(|(at, act)| at.is_zero() && matches!(act, Act::Source(..))) {
        perform(&mut world, act, &mut faults, &mut answers).await;
    }
    world.start_operator().await;
    for (name, replicas) in &scenario.deployments {
        world.apply(&deployment(name, *replicas)).await.map_err(|error| error.to_string())?;
    }
    for object in scenario.objects.iter().filter(|object| object["kind"] != "CustomResourceDefinition") {
        world.apply(object).await.map_err(|error| format!("creating {object}: {error}"))?;
    }
    for (at, act) in schedule {
        world.until(at).await;
        perform(&mut world, act, &mut faults, &mut answers).await;
    }
    world.until(scenario.run.0 + SETTLED).await;
    world.finish().await;
    faults.extend(world.seen(|history| expect::check(&scenario, history, &world, &answers)));
    if faults.is_empty() {
        return Ok(());
    }
    let timeline = world.seen(|history| history.timeline());
    Err(format!("{}\n\n{}\n\nwhat happened:\n{timeline}", scenario.name, faults.join("\n")))
}

/// Everything that happens, in order.
fn schedule(scenario: &Scenario, world: &World) -> Vec<(Duration, Act)> {
    let start = world.start();
    let mut acts = Vec::new();
    for (query, value) in &scenario.source {
        for (moment, yields) in timed(value).unwrap_or_default() {
            acts.push((moment.since(start), Act::Source(query.clone(), yields)));
        }
    }
    for step in scenario.steps.iter().cloned() {
        let at = step.at.since(start);
        if let Some(Restart { away, .. }) = step.restart {
            acts.push((at + away.map_or(Duration::ZERO, |away| away.0), Act::Start));
        }
        acts.push((at, Act::Step(Box::new(step))));
    }
    for (index, expectation) in scenario.expect.iter().enumerate() {
        if let (Some(question), Some(moment)) = (&expectation.metric, expectation.at) {
            acts.push((moment.since(start), Act::Ask(index, question.clone())));
        }
    }
    let mut collect = COLLECT;
    while collect < scenario.run.0 {
        acts.push((collect, Act::Collect));
        collect += COLLECT;
    }
    // Stable, and a start after the restart it belongs to.
    acts.sort_by_key(|(at, act)| (*at, matches!(act, Act::Start)));
    acts
}

async fn perform(world: &mut World, act: Act, faults: &mut Vec<String>, answers: &mut Answers) {
    match act {
        Act::Step(step) => take(world, *step, faults).await,
        Act::Source(query, yields) => {
            world.say(format!("source {query}: {yields:?}"));
            world.source.set(&query, yields);
        }
        Act::Start => {
            world.start_operator().await;
            world.say("the operator is started");
        }
        Act::Ask(index, MetricAnswer { of, name, .. }) => {
            let answer = match world.metrics().get("default", &of, &name).await {
                Ok(value) => Ok(value.quantity.to_string()),
                Err(missing) => Err(missing.to_string()),
            };
            world.say(format!("metric {name} of {of}: {answer:?}"));
            answers.insert(index, answer);
        }
        Act::Collect => world.collect_writes(),
    }
}

async fn take(world: &mut World, step: Step, faults: &mut Vec<String>) {
    let refused = step.refused.clone();
    let mut expected = |what: String, result: Result<(), kube::Error>| match (result, &refused) {
        (Ok(()), None) => {}
        (Err(error), Some(text)) if error.to_string().contains(text.as_str()) => {}
        (Ok(()), Some(text)) => faults.push(format!("{what}: wanted to be refused with {text:?}, was done")),
        (Err(error), _) => faults.push(format!("{what}: {error}")),
    };
    if let Some(manifest) = &step.apply {
        let what = format!("apply {} {}", manifest["kind"], manifest["metadata"]["name"]);
        world.say(&what);
        expected(what, world.apply(manifest).await);
    }
    let annotate = step
        .annotate
        .into_iter()
        .map(|(object, annotations)| (object, json!({ "metadata": { "annotations": annotations } })));
    for (object, patch) in step.patch.into_iter().chain(annotate) {
        let what = format!("patch {object} {patch}");
        world.say(&what);
        expected(what, world.patch(&object, &patch).await);
    }
    if let Some(object) = &step.delete {
        let what = format!("delete {object}");
        world.say(&what);
        expected(what, world.delete(object).await);
    }
    for (query, value) in step.source {
        let yields = Yield::parse(&value).unwrap_or_else(|error| panic!("source {query:?}: {error}"));
        world.say(format!("source {query}: {yields:?}"));
        world.source.set(&query, yields);
    }
    if let Some(Restart { how, .. }) = step.restart {
        world.say(format!("the operator ends, {how:?}"));
        world.stop_operator(how == How::Killed).await;
    }
    if let Some(change) = step.azure {
        world.say(format!("Azure: {change:?}"));
        happen(world.source.azure(), &change);
    }
    if let Some(trouble) = step.api_server {
        world.say(format!("API server: {trouble:?}"));
        disturb(world, trouble);
    }
}

fn happen(azure: &fake::Azure, change: &Azure) {
    if let Some(subject) = &change.federates {
        // The issuer of the API server in memory.
        azure.federate_as(
            fake::CLIENT,
            "https://kubernetes.default.svc",
            subject,
            "api://AzureADTokenExchange",
        );
    }
    if change.grants {
        azure.grant(fake::CLIENT);
    }
    if change.revokes {
        azure.revoke();
    }
    if let Some(fails) = change.every_other_fails {
        azure.every_other_fails(fails);
    }
    if let Some(lifetime) = change.token_lifetime {
        azure.lifetime(lifetime.0);
    }
}

fn disturb(world: &World, trouble: Trouble) {
    if trouble.recovers {
        world.server.faults().clear();
    }
    if trouble.forgets_history {
        world.server.expire_history();
    }
    if trouble.drops_watches {
        world.server.drop_watches();
    }
    if let Some(Fails { next, verb, resource, with }) = trouble.fails {
        let fault = match with {
            0 => Fault::Disconnect,
            409 => Fault::Conflict,
            429 => Fault::TooManyRequests { retry_after: 1 },
            500 => Fault::Internal,
            503 => Fault::Unavailable,
            other => panic!("no fault with status {other}"),
        };
        let hit = move |request: &keda_testkit::Recorded| {
            request.user == OPERATOR
                && verb.as_ref().is_none_or(|verb| request.verb.name() == verb)
                && resource.as_ref().is_none_or(|resource| request.resource == *resource)
        };
        match next {
            Some(count) => world.server.faults().next(count, hit, fault),
            None => world.server.faults().every(hit, fault),
        }
    }
}

/// The kind that a CRD defines.
fn custom_resource(crd: &Value) -> ApiResource {
    let kind = crd.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default();
    super::kinds::resource(kind)
}

/// Reads and plays a file on a runtime of its own.
pub(crate) fn play_file(path: &std::path::Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let scenario = Scenario::parse(&text)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(play(scenario))
}

/// The scenarios of a folder, by file name.
pub(crate) fn files(folder: &std::path::Path) -> std::io::Result<BTreeMap<String, std::path::PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, path);
        }
    }
    Ok(files)
}
