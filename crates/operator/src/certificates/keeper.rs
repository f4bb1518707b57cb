//! The leader's care for the Secret: one round after each change, at the end of an overlap, and every twelve hours.
//!
//! A round reads the Secret, does what [`plan`] says, and announces the CA. Writes carry the resourceVersion that was read: of two
//! writers one gets a conflict, reads again, and finds the work done.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use keda_scaler::Clock;
use kube::{
    Api, Client, Resource,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Rotation, Serving,
    content::Content,
    inject::Announcements,
    plan::{self, Plan, Work},
};
use crate::cluster::{is_conflict, retry};

/// How often everything is looked at though nothing changed.
const USUALLY: Duration = Duration::from_secs(12 * 3600);
/// Two rounds are at least this far apart: somebody else may write the same objects, again and again.
const APART: Duration = Duration::from_secs(1);
/// The wait after a failed round; it doubles up to [`LONGEST`].
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

/// Why a round did not succeed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("secret: {0}")]
    Secret(kube::Error),
    #[error("inject the CA: {0}")]
    Announce(kube::Error),
    #[error("make certificates: {0}")]
    Make(#[from] keda_tls::Error),
    #[error("the process is going away")]
    Ending,
}

/// Keeps the Secret. One a process, and only while it leads.
pub(crate) struct Keeper {
    api: Api<Secret>,
    namespace: String,
    rotation: Arc<Rotation>,
    clock: Clock,
    serving: Serving,
    announcements: Announcements,
    /// A target was written or appeared.
    targets: Arc<Notify>,
    /// What the Secret held when it was last seen.
    seen: Option<Content>,
}

impl Keeper {
    pub(crate) fn new(
        client: &Client,
        namespace: &str,
        rotation: Rotation,
        clock: Clock,
        serving: Serving,
    ) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            namespace: namespace.to_owned(),
            announcements: Announcements::new(client, &rotation),
            rotation: Arc::new(rotation),
            clock,
            serving,
            targets: Arc::default(),
            seen: None,
        }
    }

    /// Keeps it until the shutdown. Nothing that fails ends it.
    pub(crate) async fn keep(mut self, shutdown: &CancellationToken) {
        if let Some((api, name)) = self.announcements.api_service() {
            tokio::spawn(told_of(api, name, Arc::clone(&self.targets), shutdown.clone()));
        }
        if let Some((api, name)) = self.announcements.webhooks() {
            tokio::spawn(told_of(api, name, Arc::clone(&self.targets), shutdown.clone()));
        }
        let mut wait = FIRST_WAIT;
        loop {
            let again = match shutdown.run_until_cancelled(self.round()).await {
                None => return,
                Some(Ok(again)) => {
                    wait = FIRST_WAIT;
                    again.map_or(USUALLY, |at| at.duration_since(self.now()).unwrap_or_default()).min(USUALLY)
                }
                Some(Err(error)) => {
                    tracing::error!(logger = "cert-rotation", error = %error, "could not refresh the certificates");
                    wait = (wait * 2).min(LONGEST);
                    wait
                }
            };
            let earliest = Instant::now() + APART;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.serving.changed() => {}
                () = self.targets.notified() => {}
                () = tokio::time::sleep(again) => {}
            }
            if shutdown.run_until_cancelled(tokio::time::sleep_until(earliest)).await.is_none() {
                return;
            }
        }
    }

    /// One look, and what follows from it. Returns when to look again, if that is sooner than usual.
    async fn round(&mut self) -> Result<Option<SystemTime>, Failure> {
        loop {
            let live = retry(|| self.api.get_opt(&self.rotation.secret)).await.map_err(Failure::Secret)?;
            let content = match &live {
                Some(secret) => Content::of(secret),
                None => self.seen.clone().map(Content::without_authority).unwrap_or_default(),
            };
            let (plan, next) = self.consider(content.clone()).await?;
            if plan.changes_issuer {
                self.announcements.announce(&content.ca).await.map_err(Failure::Announce)?;
            }
            let again = plan.again.or((plan.work == Work::Authority).then(|| self.now() + plan::OVERLAP));
            if next != content || live.is_none() {
                match self.write(live, &next).await {
                    Err(Failure::Secret(error)) if is_conflict(&error) => continue,
                    written => written?,
                }
                if plan.work != Work::Nothing {
                    let secret = format!("{}/{}", self.namespace, self.rotation.secret);
                    tracing::info!(logger = "cert-rotation", secret, work = ?plan.work, why = plan.why, "refreshed the certificates");
                }
            }
            self.serving.take(&next).await;
            let announced = self.announcements.announce(&next.ca).await;
            self.seen = Some(next);
            announced.map_err(Failure::Announce)?;
            return Ok(again);
        }
    }

    /// The plan for a content, and what it becomes.
    async fn consider(&self, content: Content) -> Result<(Plan, Content), Failure> {
        let (rotation, now) = (Arc::clone(&self.rotation), self.now());
        let considered = tokio::task::spawn_blocking(move || {
            let facts = content.facts();
            let plan = plan::plan(&facts, &rotation.names, now);
            let untouched = plan.work == Work::Nothing && plan.drop.is_empty();
            let next = if untouched { content } else { content.carry_out(&plan, &facts, &rotation, now)? };
            Ok((plan, next))
        });
        considered.await.unwrap_or(Err(Failure::Ending))
    }

    async fn write(&self, live: Option<Secret>, content: &Content) -> Result<(), Failure> {
        let (missing, name) = (live.is_none(), &self.rotation.secret);
        let secret = content.secret(live, name, &self.namespace);
        let parameters = PostParams::default();
        let written = if missing {
            retry(|| self.api.create(&parameters, &secret)).await
        } else {
            retry(|| self.api.replace(name, &parameters, &secret)).await
        };
        written.map(|_| ()).map_err(Failure::Secret)
    }

    fn now(&self) -> SystemTime {
        self.clock.now().into()
    }
}

/// Notifies of each change of one object.
async fn told_of<K>(api: Api<K>, name: String, notify: Arc<Notify>, shutdown: CancellationToken)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(watcher(api, only).default_backoff());
    while let Some(event) = shutdown.run_until_cancelled(events.try_next()).await {
        match event {
            Ok(Some(watcher::Event::Apply(_) | watcher::Event::InitApply(_))) => notify.notify_one(),
            Ok(Some(_)) => {}
            Ok(None) => return,
            // The rounds meet the same trouble, and say so.
            Err(error) => tracing::debug!(logger = "cert-rotation", name, error = %error, "cannot watch"),
        }
    }
}
