//! The loop: read, send, wait.

use std::time::Duration;

use keda_telemetry::metrics::Registry;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    collect::Collection,
    send::{Failure, Sender},
    settings::Settings,
};

/// The first rest before a message is sent again; it doubles up to [`LONGEST_REST`].
const REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How long the last push, after the shutdown, may take.
const LAST: Duration = Duration::from_secs(2);

/// Pushes what the registry holds at each interval, until the shutdown and once more then. A collector that does not answer is
/// said once in the log, and so is its return; what it missed of counters reaches it with the next push.
pub async fn push(settings: Settings, registry: Registry, shutdown: CancellationToken) {
    let mut pusher = Pusher::new(settings);
    tracing::info!(
        logger = "otel_collector",
        endpoint = pusher.settings.shown_endpoint(),
        interval = ?pusher.settings.interval,
        "metrics are pushed to an OpenTelemetry collector"
    );
    let mut next = Instant::now() + pusher.settings.interval;
    loop {
        let waiting = tokio::time::sleep_until(next);
        if shutdown.run_until_cancelled(waiting).await.is_none() {
            break;
        }
        let patience = pusher.settings.patience;
        let pushed = shutdown.run_until_cancelled(timeout(patience, pusher.push(&registry))).await;
        match pushed {
            None => break,
            Some(Ok(pushed)) => pusher.tell(pushed),
            Some(Err(_)) => {
                let reason = pusher.too_late();
                pusher.tell(Err(reason));
            }
        }
        // An interval that a slow push used up is left out, not made up for.
        next = (next + pusher.settings.interval).max(Instant::now());
    }
    let _cut_off = timeout(LAST, pusher.push(&registry)).await;
}

struct Pusher {
    settings: Settings,
    sender: Option<Sender>,
    collection: Collection,
    /// What the last attempt failed with, until the next failure or success.
    reason: Option<String>,
    down: bool,
    /// What the collector said that it rejects.
    rejected: Option<String>,
}

impl Pusher {
    fn new(settings: Settings) -> Self {
        let collection = Collection::new(&settings.resource, settings.delta);
        Self { settings, sender: None, collection, reason: None, down: false, rejected: None }
    }

    async fn push(&mut self, registry: &Registry) -> Result<(), String> {
        self.reason = None;
        if self.sender.is_none() {
            self.sender = Some(Sender::new(&self.settings).map_err(|failure| failure.to_string())?);
        }
        let points = self.collection.read(registry);
        for (message, range) in self.collection.messages(&points) {
            let mut rest = REST;
            while let Some(sender) = &self.sender {
                match sender.send(&message).await {
                    Ok(rejected) => {
                        self.note(rejected);
                        self.collection.arrived(&points[range]);
                        break;
                    }
                    Err(failure) if failure.temporary => {
                        self.reason = Some(failure.to_string());
                        sleep(rest).await;
                        rest = (rest * 2).min(LONGEST_REST);
                    }
                    Err(failure) => return Err(self.give_up(&failure)),
                }
            }
        }
        Ok(())
    }

    /// Files of certificates may be others next time.
    fn give_up(&mut self, failure: &Failure) -> String {
        self.sender = None;
        failure.to_string()
    }

    /// The last failure of a push that took too long.
    fn too_late(&mut self) -> String {
        self.sender = None;
        self.reason.take().unwrap_or_else(|| format!("not done within {:?}", self.settings.patience))
    }

    fn tell(&mut self, pushed: Result<(), String>) {
        let endpoint = self.settings.shown_endpoint();
        match (pushed, self.down) {
            (Err(error), false) => tracing::warn!(
                logger = "otel_collector",
                endpoint,
                error,
                "metrics could not be pushed, trying again with every interval; this is said once"
            ),
            (Err(error), true) => {
                tracing::debug!(logger = "otel_collector", endpoint, error, "metrics could not be pushed");
                return;
            }
            (Ok(()), true) => {
                tracing::info!(logger = "otel_collector", endpoint, "metrics are pushed again");
            }
            (Ok(()), false) => return,
        }
        self.down = !self.down;
    }

    fn note(&mut self, rejected: Option<String>) {
        if rejected != self.rejected {
            if let Some(text) = &rejected {
                let endpoint = self.settings.shown_endpoint();
                tracing::warn!(logger = "otel_collector", endpoint, "{text}");
            }
            self.rejected = rejected;
        }
    }
}
