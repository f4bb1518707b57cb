//! Everything a trigger can ask, in one mood: it answers, it is silent, it fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};

use super::environment;
use crate::Environment;
use crate::http::{self, Request, Response, Transport};
use crate::kube::{Nothing, Pod, ReadError, Reader};

/// How it reacts when it is asked.
#[derive(Debug, Clone)]
pub(super) enum Mood {
    /// As it was set up.
    Willing,
    /// Never answers, and keeps to no deadline.
    Silent,
    /// Has a defect.
    Panicking,
    /// HTTP: this answer.
    Answering(Response),
    /// HTTP: no answer.
    Broken(http::Error),
    /// The cluster: nothing can be read.
    Unreadable(ReadError),
}

/// Clones are the same world.
#[derive(Clone)]
pub(super) struct World(Arc<State>);

struct State {
    mood: Mutex<Mood>,
    /// What HTTP answers when it is willing.
    answer: Option<Response>,
    cluster: Arc<dyn Reader>,
    asked: AtomicUsize,
    in_flight: AtomicUsize,
}

/// Somebody waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl World {
    pub(super) fn new(mood: Mood) -> Self {
        Self::made(mood, None, Arc::new(Nothing))
    }

    fn made(mood: Mood, answer: Option<Response>, cluster: Arc<dyn Reader>) -> Self {
        let mood = Mutex::new(mood);
        Self(Arc::new(State {
            mood,
            answer,
            cluster,
            asked: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
        }))
    }

    /// The same, with what it answers now as what it answers whenever it is willing.
    pub(super) fn willing(self) -> Self {
        let answer = match &*self.mood() {
            Mood::Answering(answer) => Some(answer.clone()),
            _ => None,
        };
        Self::made(Mood::Willing, answer, self.0.cluster.clone())
    }

    /// The same, with a cluster.
    pub(super) fn with(self, cluster: Arc<dyn Reader>) -> Self {
        let mood = self.mood().clone();
        Self::made(mood, self.0.answer.clone(), cluster)
    }

    pub(super) fn be(&self, mood: Mood) {
        *self.mood() = mood;
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// How many wait for it.
    pub(super) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn environment(&self) -> Environment {
        Environment { kube: Arc::new(self.clone()), ..environment(self.clone()) }
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.0.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a question, and lives its mood out.
    #[expect(clippy::panic, reason = "test code: a trigger that panics is what is wanted")]
    async fn take(&self) -> Mood {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.0.in_flight);
        let mood = self.mood().clone();
        match mood {
            Mood::Silent => std::future::pending().await,
            Mood::Panicking => panic!("a defect in the trigger, with a credential in its text"),
            other => other,
        }
    }

    /// The cluster, if it lets itself be read.
    async fn cluster(&self) -> Result<&dyn Reader, ReadError> {
        match self.take().await {
            Mood::Unreadable(error) => Err(error),
            _ => Ok(&*self.0.cluster),
        }
    }
}

#[async_trait]
impl Transport for World {
    async fn send(&self, request: Request) -> Result<Response, http::Error> {
        match self.take().await {
            Mood::Answering(answer) => Ok(answer),
            Mood::Broken(error) => Err(error),
            _ => self.0.answer.clone().ok_or_else(|| {
                http::Error::new(http::ErrorKind::Connect, format!("{}: nobody is there", request.describe()))
            }),
        }
    }
}

#[async_trait]
impl Reader for World {
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        self.cluster().await?.secret(namespace, name).await
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        self.cluster().await?.config_map(namespace, name).await
    }

    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        self.cluster().await?.trigger_authentication(namespace, name).await
    }

    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        self.cluster().await?.cluster_trigger_authentication(name).await
    }

    async fn pod_template(
        &self,
        target: &GroupVersionKindResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        self.cluster().await?.pod_template(target, namespace, name).await
    }

    async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ReadError> {
        self.cluster().await?.pods(namespace, selector).await
    }
}
