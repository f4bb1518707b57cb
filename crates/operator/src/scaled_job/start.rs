//! Creating Jobs, each once.
//!
//! A Job's name is chosen here and noted before the request goes out. A request that is repeated because its answer was lost
//! therefore finds what it made, and a Job of which nobody knows whether it was made counts until that is known.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use futures::{StreamExt, stream};
use keda_api::ScaledJob;
use keda_core::scaled_job::job;
use kube::Api;
use serde_json::{Value, json};

use crate::{
    cluster::{is_conflict, is_not_found, retry, words},
    events::Notice,
    index::ObjectKey,
    jobs::{self, WatchedJob},
    object::Object,
};

const CREATED: &str = "KEDAJobsCreated";
const CREATE_FAILED: &str = "KEDAJobCreateFailed";
/// Creations under way at a time.
const AT_A_TIME: usize = 8;
/// How often another name is tried where somebody else's Job has ours.
const NAMES: usize = 5;

impl Object<ScaledJob> {
    /// Creates so many Jobs. The first goes alone: where it is refused, so would be the others, and none of them is tried
    /// before the next poll. Gives what the API server said, if it refused one.
    pub(super) async fn start_jobs(&mut self, count: i64) -> Option<String> {
        let version = self.controller.options().version.clone();
        let body = match job::desired(&self.object, &version) {
            Ok(body) => body,
            Err(error) => return Some(self.announce_refusal(&error)),
        };
        let (mut left, mut created, mut refusal) = (usize::try_from(count).unwrap_or(0), 0, None);
        let mut together = 1;
        while left > 0 && refusal.is_none() {
            let batch = together.min(left);
            let ended: Vec<Result<(), kube::Error>> = stream::iter(0..batch)
                .map(|_| self.create(&body))
                .buffer_unordered(AT_A_TIME)
                .collect()
                .await;
            created += ended.iter().filter(|end| end.is_ok()).count();
            refusal = ended.into_iter().find_map(Result::err);
            left -= batch;
            together = AT_A_TIME;
        }
        if created > 0 {
            // As many as the last time is news, too.
            self.said.forget(CREATED);
            self.announce(Notice::normal(CREATED, format!("Created {created} jobs")));
        }
        let refusal = refusal.map(|error| words(&error));
        match &refusal {
            Some(text) => {
                self.announce_refusal(text);
            }
            None => self.said.forget(CREATE_FAILED),
        }
        refusal
    }

    fn announce_refusal(&mut self, text: &str) -> String {
        let note = format!("Failed to create job {}: {text}", job::base(&self.name()));
        tracing::error!(logger = "scaleexecutor", object = %self.handle.key, error = text, "failed to create a Job");
        let key = &self.handle.key;
        self.controller.metrics().job_failed(&key.namespace, &key.name);
        self.announce(Notice::warning(CREATE_FAILED, note));
        text.to_owned()
    }

    async fn create(&self, body: &Value) -> Result<(), kube::Error> {
        let (controller, uid) = (Arc::clone(&self.controller), &self.handle.uid);
        let known = &controller.index().jobs;
        let api = self.jobs_api();
        let mut name_tried = 0;
        loop {
            name_tried += 1;
            let name = job::name(&self.handle.key.name, RandomState::new().build_hasher().finish());
            let key = ObjectKey::new(&self.handle.key.namespace, &name);
            let mut body = body.clone();
            body["metadata"]["name"] = json!(name);
            known.asked(uid, key.clone(), self.object.metadata.generation, controller.now());
            let error = match retry(|| self.post(&body)).await {
                Ok(job) => {
                    known.created(&job);
                    return Ok(());
                }
                Err(error) => error,
            };
            if is_conflict(&error) {
                // The second try of a request whose first answer was lost, or another's Job.
                match retry(|| api.get_opt(&name)).await {
                    Ok(Some(job)) if jobs::owner_uid(&job.metadata) == Some(uid) => {
                        known.created(&job);
                        return Ok(());
                    }
                    Ok(_) if name_tried < NAMES => {
                        known.job_removed(&key);
                        continue;
                    }
                    Ok(_) => {}
                    // Not known whose it is: it counts until somebody has looked.
                    Err(error) => return Err(error),
                }
            }
            if is_refusal(&error) {
                known.job_removed(&key);
            }
            return Err(error);
        }
    }

    async fn post(&self, body: &Value) -> Result<WatchedJob, kube::Error> {
        let path = format!("/apis/batch/v1/namespaces/{}/jobs", self.handle.key.namespace);
        let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
        let request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        self.controller.client().request(request).await
    }

    pub(super) fn jobs_api(&self) -> Api<WatchedJob> {
        let namespace = &self.handle.key.namespace;
        Api::namespaced_with(self.controller.client(), namespace, &jobs::job_resource())
    }

    /// Looks for the Jobs of which nobody knows whether they are there.
    pub(super) async fn resolve_doubts(&self) {
        let controller = Arc::clone(&self.controller);
        let known = &controller.index().jobs;
        let api = self.jobs_api();
        for key in known.doubtful(&self.handle.uid) {
            match retry(|| api.get_opt(&key.name)).await {
                Ok(Some(job)) => known.created(&job),
                Ok(None) => known.job_removed(&key),
                Err(error) if is_not_found(&error) => known.job_removed(&key),
                // It goes on counting: one Job less is mended by the next poll, one too many is not.
                Err(error) => tracing::warn!(
                    logger = "scaleexecutor",
                    object = %self.handle.key,
                    job = key.name,
                    error = words(&error),
                    "could not look whether a Job was created"
                ),
            }
        }
    }
}

/// Whether the server has said no. Anything else may have been done all the same: a broken connection, an answer too late.
fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code < 500)
}
