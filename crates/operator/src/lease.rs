//! Leader election over a `coordination.k8s.io/v1` Lease (client-go's `tools/leaderelection`, from its documentation).
//!
//! A standby watches the Lease, so a leader that exits cleanly hands over at once (upstream issues 4212, 2836: there a
//! standby waits for the lease to run out). Whether a lease has run out is judged by how long it has not changed on
//! this machine's own clock; clocks of different machines are never compared.

use std::{pin::pin, time::Duration};

use futures::TryStreamExt;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use keda_scaler::Clock;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{is_conflict, is_not_found},
    options::LeaderElection,
};

/// One candidate for one Lease.
pub(crate) struct Candidate {
    api: Api<Lease>,
    namespace: String,
    clock: Clock,
    options: LeaderElection,
    /// The newest Lease seen, and since when it has looked like that.
    observed: Option<(Lease, Instant)>,
}

impl Candidate {
    pub(crate) fn new(client: Client, namespace: &str, clock: Clock, options: LeaderElection) -> Self {
        Candidate {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            clock,
            options,
            observed: None,
        }
    }

    /// Waits until the Lease is ours.
    pub(crate) async fn acquire(&mut self) {
        tracing::info!(logger = "leaderelection", lease = %self.name(), "attempting to acquire leader lease");
        let only_ours = watcher::Config::default().fields(&format!("metadata.name={}", self.options.lease));
        let mut changes = pin!(watcher(self.api.clone(), only_ours).default_backoff().applied_objects());
        loop {
            match self.try_acquire().await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(logger = "leaderelection", error = %error, "error retrieving the leader lease");
                }
            }
            // The next look: when the Lease changes hands, or after the retry period whatever happens.
            let deadline = Instant::now() + self.options.retry_period;
            while let Ok(change) = tokio::time::timeout_at(deadline, changes.try_next()).await {
                match change {
                    Ok(Some(lease)) => {
                        self.observe(lease);
                        if self.is_free() {
                            break;
                        }
                    }
                    Ok(None) | Err(_) => {
                        tokio::time::sleep_until(deadline).await;
                        break;
                    }
                }
            }
        }
        tracing::info!(logger = "leaderelection", lease = %self.name(), "successfully acquired lease");
    }

    /// Renews until it is lost (an error to exit with) or the shutdown comes (the Lease is still ours then).
    pub(crate) async fn hold(&mut self, shutdown: &CancellationToken) -> Result<(), Lost> {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.options.retry_period) => {}
            }
            // A renewal that hangs must not outlive the deadline.
            let deadline = renewed + self.options.renew_deadline;
            match tokio::time::timeout_at(deadline, self.try_acquire()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return Err(Lost::Taken),
                Ok(Err(error)) if Instant::now() >= deadline => {
                    return Err(Lost::NotRenewed(error.to_string()));
                }
                Ok(Err(error)) => {
                    tracing::error!(logger = "leaderelection", error = %error, "failed to renew the leader lease");
                }
                Err(_) => return Err(Lost::NotRenewed("the API server did not answer in time".to_owned())),
            }
        }
    }

    /// Gives the Lease back, so that a standby need not wait for it to run out.
    pub(crate) async fn release(&mut self) {
        let Some((mut lease, _)) = self.observed.take() else { return };
        let now = MicroTime(self.clock.now());
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(now.clone());
            spec.acquire_time = Some(now);
        }
        let unconditional = PostParams::default();
        let released = self.api.replace(&self.options.lease, &unconditional, &lease);
        match tokio::time::timeout(Duration::from_secs(5), released).await {
            Ok(Ok(_)) => {
                tracing::info!(logger = "leaderelection", lease = %self.name(), "released the lease");
            }
            Ok(Err(error)) => {
                tracing::warn!(logger = "leaderelection", error = %error, "failed to release the lease");
            }
            Err(_) => tracing::warn!(
                logger = "leaderelection",
                "the API server did not take the lease back in time"
            ),
        }
    }

    /// One attempt to take or renew; false when another holds it.
    async fn try_acquire(&mut self) -> Result<bool, kube::Error> {
        let current = match self.api.get(&self.options.lease).await {
            Ok(lease) => Some(lease),
            Err(error) if is_not_found(&error) => None,
            Err(error) => return Err(error),
        };
        let Some(current) = current else {
            let lease = self.claim(None);
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(lease) => {
                    self.observe(lease);
                    Ok(true)
                }
                Err(error) if is_conflict(&error) => Ok(false),
                Err(error) => Err(error),
            };
        };
        self.observe(current.clone());
        if !self.is_ours() && !self.is_free() {
            return Ok(false);
        }
        let claim = self.claim(Some(&current));
        match self.api.replace(&self.options.lease, &PostParams::default(), &claim).await {
            Ok(lease) => {
                self.observe(lease);
                Ok(true)
            }
            // Somebody was quicker; if it was ours, the next renewal reads the newer version.
            Err(error) if is_conflict(&error) => Ok(self.is_ours()),
            Err(error) => Err(error),
        }
    }

    fn observe(&mut self, lease: Lease) {
        match &self.observed {
            Some((known, _)) if known.spec == lease.spec => {
                // The same record: it keeps ageing. Only the version may be newer.
                if let Some((known, _)) = self.observed.as_mut() {
                    known.metadata.resource_version = lease.metadata.resource_version;
                }
            }
            _ => self.observed = Some((lease, Instant::now())),
        }
    }

    fn holder(&self) -> Option<&str> {
        let (lease, _) = self.observed.as_ref()?;
        lease.spec.as_ref()?.holder_identity.as_deref()
    }

    fn is_ours(&self) -> bool {
        self.holder() == Some(self.options.identity.as_str())
    }

    /// Released, or not renewed for its whole duration.
    fn is_free(&self) -> bool {
        let Some((lease, since)) = &self.observed else { return true };
        let spec = lease.spec.as_ref();
        let duration = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        self.holder().is_none_or(str::is_empty)
            || since.elapsed() >= Duration::from_secs(u64::from(duration.unsigned_abs()))
    }

    /// The Lease with us as its holder.
    fn claim(&self, current: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.now());
        let previous = current.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let ours = previous.holder_identity.as_deref() == Some(self.options.identity.as_str());
        let transitions = previous.lease_transitions.unwrap_or(0);
        let duration = i32::try_from(self.options.lease_duration.as_secs()).unwrap_or(i32::MAX);
        Lease {
            metadata: current.map_or_else(
                || ObjectMeta {
                    name: Some(self.options.lease.clone()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.options.identity.clone()),
                lease_duration_seconds: Some(duration.max(1)),
                acquire_time: if ours { previous.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if ours || current.is_none() {
                    transitions
                } else {
                    transitions + 1
                }),
                ..previous
            }),
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.namespace, self.options.lease)
    }
}

/// Why leadership ended although nobody asked for it.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Another process holds the Lease.
    #[error("leader election lost: another process holds the lease")]
    Taken,
    /// The Lease could not be renewed in time.
    #[error("leader election lost: the lease could not be renewed: {0}")]
    NotRenewed(String),
}
