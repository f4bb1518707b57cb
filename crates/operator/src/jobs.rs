//! The Jobs of every ScaledJob and their pods, in memory: the one snapshot that decides.
//!
//! Two watches keep it, and the answers to our own requests: what was just created counts at once, not only when the watch has
//! heard of it, so that no demand is met twice (upstream issues 6157, 5537, 7329, 7016, 2488). A Job whose creation was
//! never answered counts too, until somebody has looked whether it is there ([`Jobs::doubtful`]).
//!
//! A Job belongs to the ScaledJob whose UID its owner reference names.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use keda_api::keys;
use keda_core::scaled_job::census::{self, Phase};
use kube::{
    api::{ApiResource, Object},
    core::NotUsed,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::index::ObjectKey;

/// How long the watch may take to show what was created before somebody looks for it.
const UNSEEN: Duration = Duration::from_secs(30);

/// A Job as the watch shows it: what does not count is dropped while decoding.
pub(crate) type WatchedJob = Object<NotUsed, JobStatus>;
/// A pod of a Job.
pub(crate) type WatchedPod = Object<NotUsed, PodStatus>;

/// `status` of a Job, as far as it counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct JobStatus {
    completion_time: Option<Time>,
    conditions: Vec<StatusCondition>,
}

/// `status` of a pod, as far as it counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    phase: String,
    conditions: Vec<StatusCondition>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusCondition {
    r#type: String,
    status: String,
    last_transition_time: Option<Time>,
}

impl StatusCondition {
    fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// `batch/v1` Jobs.
pub(crate) fn job_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::batch::v1::Job>(&())
}

/// Pods.
pub(crate) fn pod_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

/// The label by which both watches choose.
pub(crate) const SELECTOR: &str = keys::SCALED_JOB_NAME;

/// The UID of the ScaledJob that a Job belongs to.
pub(crate) fn owner_uid(metadata: &ObjectMeta) -> Option<&str> {
    let ours = |owner: &&OwnerReference| {
        owner.controller == Some(true)
            && owner.kind == "ScaledJob"
            && owner.api_version.starts_with("keda.sh/")
    };
    metadata.owner_references.iter().flatten().find(ours).map(|owner| owner.uid.as_str())
}

/// The Job that a pod belongs to.
fn job_of(pod: &WatchedPod) -> Option<ObjectKey> {
    let namespace = pod.metadata.namespace.as_deref()?;
    let owners = pod.metadata.owner_references.iter().flatten();
    let job = owners.filter(|owner| owner.controller == Some(true)).find(|owner| owner.kind == "Job")?;
    Some(ObjectKey::new(namespace, &job.name))
}

/// How a Job came to be known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// By the watch.
    Seen,
    /// By the answer to its creation, then.
    Created(Instant),
    /// It was asked for, and there was no answer.
    Asked,
}

struct Entry {
    owner: String,
    uid: Option<String>,
    known: Known,
    generation: Option<i64>,
    phase: Phase,
    time: Option<Timestamp>,
    leaving: bool,
}

#[derive(Default)]
struct State {
    jobs: HashMap<ObjectKey, Entry>,
    of: HashMap<String, BTreeSet<ObjectKey>>,
    /// By Job, then by the pod's name.
    pods: HashMap<ObjectKey, HashMap<String, census::Pod>>,
    job_of_pod: HashMap<ObjectKey, ObjectKey>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<State>);

impl Jobs {
    /// The watch shows a Job.
    pub(crate) fn job_applied(&self, job: &WatchedJob) {
        self.put(job, Known::Seen);
    }

    /// A Job was created for us.
    pub(crate) fn created(&self, job: &WatchedJob) {
        let mut known = Known::Created(Instant::now());
        let key = ObjectKey::of(job);
        if self.lock().jobs.get(&key).is_some_and(|entry| entry.known == Known::Seen) {
            known = Known::Seen;
        }
        self.put(job, known);
    }

    /// A Job of this name is about to be asked for: whatever becomes of the answer, it counts.
    pub(crate) fn asked(&self, owner: &str, key: ObjectKey, generation: Option<i64>, now: Timestamp) {
        let entry = Entry {
            owner: owner.to_owned(),
            uid: None,
            known: Known::Asked,
            generation,
            phase: Phase::Unfinished,
            time: Some(now),
            leaving: false,
        };
        self.lock().insert(key, entry);
    }

    /// A Job is gone, or never came to be.
    pub(crate) fn job_removed(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// A Job was deleted, and may still be there until its pods are gone.
    pub(crate) fn leaves(&self, key: &ObjectKey) {
        if let Some(entry) = self.lock().jobs.get_mut(key) {
            entry.leaving = true;
        }
    }

    fn put(&self, job: &WatchedJob, known: Known) {
        let key = ObjectKey::of(job);
        let Some(owner) = owner_uid(&job.metadata) else { return self.job_removed(&key) };
        let status = job.status.clone().unwrap_or_default();
        let finished = |kind: &str| status.conditions.iter().find(|it| it.r#type == kind && it.is_true());
        let (phase, end) = match (finished("Complete"), finished("Failed")) {
            (Some(condition), _) => (Phase::Complete, condition.last_transition_time.clone()),
            (None, Some(condition)) => (Phase::Failed, condition.last_transition_time.clone()),
            (None, None) => (Phase::Unfinished, None),
        };
        let time = status.completion_time.or(end).or_else(|| job.metadata.creation_timestamp.clone());
        let annotations = job.metadata.annotations.as_ref();
        let generation = annotations.and_then(|all| all.get(keys::SCALED_JOB_GENERATION));
        let entry = Entry {
            owner: owner.to_owned(),
            uid: job.metadata.uid.clone(),
            known,
            generation: generation.and_then(|text| text.parse().ok()),
            phase,
            time: time.map(|time| time.0),
            leaving: job.metadata.deletion_timestamp.is_some(),
        };
        self.lock().insert(key, entry);
    }

    /// The watch shows a pod.
    pub(crate) fn pod_applied(&self, pod: &WatchedPod) {
        let Some(job) = job_of(pod) else { return };
        let status = pod.status.clone().unwrap_or_default();
        let conditions = status.conditions.into_iter().filter(StatusCondition::is_true);
        let counted =
            census::Pod { phase: status.phase, conditions: conditions.map(|it| it.r#type).collect() };
        let key = ObjectKey::of(pod);
        let mut state = self.lock();
        state.pods.entry(job.clone()).or_default().insert(key.name.clone(), counted);
        state.job_of_pod.insert(key, job);
    }

    /// A pod is gone.
    pub(crate) fn pod_removed(&self, key: &ObjectKey) {
        let mut state = self.lock();
        let Some(job) = state.job_of_pod.remove(key) else { return };
        if let Some(pods) = state.pods.get_mut(&job) {
            pods.remove(&key.name);
            if pods.is_empty() {
                state.pods.remove(&job);
            }
        }
    }

    /// The Jobs of the ScaledJob with this UID, with their pods, as of this moment.
    pub(crate) fn snapshot(&self, owner: &str) -> Vec<census::Job> {
        let state = self.lock();
        let keys = state.of.get(owner).into_iter().flatten();
        keys.filter_map(|key| {
            let entry = state.jobs.get(key)?;
            Some(census::Job {
                name: key.name.clone(),
                generation: entry.generation,
                phase: entry.phase,
                time: entry.time,
                leaving: entry.leaving,
                pods: state.pods.get(key).map(|pods| pods.values().cloned().collect()).unwrap_or_default(),
            })
        })
        .collect()
    }

    /// The UID of a Job, to delete that one and no other of its name.
    pub(crate) fn uid(&self, key: &ObjectKey) -> Option<String> {
        self.lock().jobs.get(key).and_then(|entry| entry.uid.clone())
    }

    /// Those of which nobody knows whether they are there: asked for without an answer, or created and not seen since.
    pub(crate) fn doubtful(&self, owner: &str) -> Vec<ObjectKey> {
        let state = self.lock();
        let keys = state.of.get(owner).into_iter().flatten();
        let doubtful = |key: &&ObjectKey| match state.jobs.get(*key).map(|entry| entry.known) {
            Some(Known::Asked) => true,
            Some(Known::Created(when)) => when.elapsed() > UNSEEN,
            Some(Known::Seen) | None => false,
        };
        keys.filter(doubtful).cloned().collect()
    }

    /// The ScaledJob is gone: what the watch never showed, it will not take away either.
    pub(crate) fn forget_unseen(&self, owner: &str) {
        let mut state = self.lock();
        let keys: Vec<ObjectKey> = state.of.get(owner).into_iter().flatten().cloned().collect();
        for key in keys {
            if state.jobs.get(&key).is_some_and(|entry| entry.known != Known::Seen) {
                state.remove(&key);
            }
        }
    }

    // Whoever panicked left whole entries: the maps are changed by calls that do not panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, key: ObjectKey, entry: Entry) {
        if self.jobs.get(&key).is_some_and(|before| before.owner != entry.owner) {
            self.remove(&key);
        }
        self.of.entry(entry.owner.clone()).or_default().insert(key.clone());
        self.jobs.insert(key, entry);
    }

    fn remove(&mut self, key: &ObjectKey) {
        let Some(entry) = self.jobs.remove(key) else { return };
        if let Some(of) = self.of.get_mut(&entry.owner) {
            of.remove(key);
            if of.is_empty() {
                self.of.remove(&entry.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(name: &str, owner: &str, status: &Value) -> WatchedJob {
        serde_json::from_value(json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "namespace": "ns", "name": name, "uid": format!("uid-{name}"),
                "annotations": { "scaledjob.keda.sh/generation": "3" },
                "ownerReferences": [{
                    "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "name": "work", "uid": owner, "controller": true,
                }],
            },
            "spec": { "template": {} }, "status": status,
        }))
        .unwrap()
    }

    fn names(jobs: &Jobs, owner: &str) -> Vec<String> {
        jobs.snapshot(owner).into_iter().map(|job| job.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_created_counts_before_the_watch_shows_it() {
        let jobs = Jobs::default();
        let key = ObjectKey::new("ns", "a");
        jobs.asked("u1", key.clone(), Some(3), Timestamp::UNIX_EPOCH);
        assert_eq!((names(&jobs, "u1"), jobs.doubtful("u1")), (vec!["a".to_owned()], vec![key.clone()]));
        jobs.created(&job("a", "u1", &json!({})));
        assert_eq!(jobs.doubtful("u1"), []);
        tokio::time::advance(UNSEEN + Duration::from_secs(1)).await;
        assert_eq!(jobs.doubtful("u1"), std::slice::from_ref(&key), "the watch should have shown it by now");
        jobs.job_applied(&job("a", "u1", &json!({})));
        assert_eq!(jobs.doubtful("u1"), []);
        assert_eq!(jobs.uid(&key).as_deref(), Some("uid-a"));
        jobs.job_removed(&key);
        assert_eq!(names(&jobs, "u1"), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_belongs_to_a_uid_and_not_to_a_name_8124() {
        let jobs = Jobs::default();
        jobs.job_applied(&job("a", "old", &json!({})));
        assert_eq!(names(&jobs, "new"), Vec::<String>::new());
        jobs.job_applied(&job("a", "new", &json!({})));
        assert_eq!((names(&jobs, "old"), names(&jobs, "new")), (vec![], vec!["a".to_owned()]));
        jobs.created(&job("b", "new", &json!({})));
        jobs.forget_unseen("new");
        assert_eq!(names(&jobs, "new"), ["a"]);
    }

    fn pod(job: &str, name: &str) -> WatchedPod {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "namespace": "ns", "name": name,
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": "x", "controller": true }],
            },
            "spec": {},
            "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "False" }, { "type": "PodScheduled", "status": "True" },
            ] },
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_takes_no_memory_1257() {
        let jobs = Jobs::default();
        for number in 0..1000 {
            let (name, pod_name) = (format!("job-{number}"), format!("pod-{number}"));
            let key = ObjectKey::new("ns", &name);
            jobs.asked("u", key.clone(), Some(1), Timestamp::UNIX_EPOCH);
            jobs.created(&job(&name, "u", &json!({})));
            jobs.pod_applied(&pod(&name, &pod_name));
            jobs.job_applied(&job(&name, "u", &json!({})));
            jobs.job_removed(&key);
            jobs.pod_removed(&ObjectKey::new("ns", &pod_name));
        }
        let state = jobs.lock();
        assert!(state.jobs.is_empty() && state.of.is_empty());
        assert!(state.pods.is_empty() && state.job_of_pod.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn phases_times_and_pods() {
        let jobs = Jobs::default();
        let failed = json!({ "conditions": [
            { "type": "FailureTarget", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            { "type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z" },
        ] });
        jobs.job_applied(&job("f", "u", &failed));
        jobs.job_applied(&job(
            "r",
            "u",
            &json!({ "conditions": [{ "type": "Suspended", "status": "False" }] }),
        ));
        jobs.pod_applied(&pod("r", "r-1"));
        let seen = jobs.snapshot("u");
        assert_eq!((seen[0].phase, seen[0].generation), (Phase::Failed, Some(3)));
        assert_eq!(seen[0].time.unwrap().to_string(), "2026-01-01T00:00:01Z");
        assert_eq!(seen[1].phase, Phase::Unfinished);
        let conditions = BTreeSet::from(["PodScheduled".to_owned()]);
        assert_eq!(seen[1].pods, [census::Pod { phase: "Running".to_owned(), conditions }]);
        jobs.pod_removed(&ObjectKey::new("ns", "r-1"));
        assert_eq!(jobs.snapshot("u")[1].pods, []);
    }
}
