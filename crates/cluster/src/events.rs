//! Kubernetes events: what a person who runs `kubectl describe` reads.
//!
//! Events are written through `events.k8s.io/v1` with a short constant `action` and a note cut to the API's limit, so
//! that none is refused and lost (core.md §12 row 5). They have a bounded queue and a writer of their own: scaling
//! never waits for an event. An event that repeats what was just said is not written again until
//! [`REPEAT_AFTER`] has passed, so an object that keeps failing the same way costs next to nothing.
//!
//! What waits when the process ends is still written ([`Writer::flush`]): the last thing that is said of an object, such as
//! its deletion, is often why somebody looks.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use keda_scaler::Clock;
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::bounded;

/// The API's limit on `note` (`k8s.io/kubernetes/pkg/apis/core/validation/events.go`).
const NOTE_LIMIT: usize = 1024;
/// How long an event that says the same about the same object stays unsaid.
pub const REPEAT_AFTER: Duration = Duration::from_secs(600);
/// How many different things of one reason are said of an object within [`REPEAT_AFTER`]: a source whose words differ
/// each time (a request number, a duration) does not make an event a poll.
const DIFFERENT: usize = 16;
/// Events waiting to be written; more are dropped, counted and logged.
const QUEUE: usize = 8192;
/// Event writes under way at a time.
const CONCURRENCY: usize = 4;
/// One thing to say about an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// Whether it is a Warning.
    pub warning: bool,
    /// One word for what happened, and the event's action.
    pub reason: &'static str,
    /// The text; cut at the API's limit.
    pub note: String,
}

impl Notice {
    /// A Normal event.
    pub fn normal(reason: &'static str, note: impl Into<String>) -> Self {
        Notice { warning: false, reason, note: note.into() }
    }

    /// A Warning.
    pub fn warning(reason: &'static str, note: impl Into<String>) -> Self {
        Notice { warning: true, reason, note: note.into() }
    }
}

/// Remembers what was said about one object, to not say it again each poll.
#[derive(Default)]
pub struct Said {
    /// By reason: digests of the notes of the last [`REPEAT_AFTER`], and when they were said.
    recent: HashMap<&'static str, Vec<(u64, Instant)>>,
}

impl Said {
    /// Whether this is news; remembers it if so. Several triggers may fail with words of their own at every poll, so
    /// all recent notes count, not only the last.
    pub fn is_news(&mut self, notice: &Notice) -> bool {
        let mut hasher = DefaultHasher::new();
        notice.note.hash(&mut hasher);
        let digest = hasher.finish();
        let now = Instant::now();
        let recent = self.recent.entry(notice.reason).or_default();
        recent.retain(|(_, when)| now.duration_since(*when) < REPEAT_AFTER);
        let news = recent.len() < DIFFERENT && recent.iter().all(|(said, _)| *said != digest);
        if news {
            recent.push((digest, now));
        }
        news
    }

    /// Forgets a failure once it is over, so that its return is news again.
    pub fn forget(&mut self, reason: &'static str) {
        self.recent.remove(reason);
    }
}

/// Hears everything that is handed in, as it is handed in, whole and at once. It must not block.
pub trait Listener: Send + Sync {
    /// Something is said about an object.
    fn hear(&self, regarding: &ObjectReference, notice: &Notice);
}

/// The place where events are handed in; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<(ObjectReference, Notice)>,
    listener: Option<Arc<dyn Listener>>,
}

impl Recorder {
    /// A recorder, and the writer to run beside it.
    ///
    /// `controller` is the `reportingController` of its events: upstream's name of the process.
    pub fn new(client: Client, clock: Clock, controller: &'static str) -> (Self, Writer) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let instance = format!("{controller}-{}", host_name());
        (Recorder { queue, listener: None }, Writer { client, clock, controller, instance, waiting })
    }

    /// The same, heard by somebody.
    #[must_use]
    pub fn heard_by(self, listener: Arc<dyn Listener>) -> Self {
        Recorder { listener: Some(listener), ..self }
    }

    /// Queues an event; drops it, with a log line, when the API server has fallen far behind.
    pub fn publish(&self, regarding: ObjectReference, notice: Notice) {
        if let Some(listener) = &self.listener {
            listener.hear(&regarding, &notice);
        }
        if let Err(error) = self.queue.try_send((regarding, notice)) {
            let (regarding, notice) = match error {
                mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event) => event,
            };
            tracing::warn!(
                logger = "events",
                namespace = regarding.namespace.unwrap_or_default(),
                name = regarding.name.unwrap_or_default(),
                reason = notice.reason,
                note = notice.note,
                "event dropped, the queue of events is full"
            );
        }
    }
}

/// What an event is about.
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    // An event is shown with its object only when version, kind and UID are filled in.
    object.object_ref(&())
}

/// Writes queued events.
pub struct Writer {
    client: Client,
    clock: Clock,
    controller: &'static str,
    instance: String,
    waiting: mpsc::Receiver<(ObjectReference, Notice)>,
}

impl Writer {
    /// Does the work until `end`, or until every recorder is gone. Writes that are under way then are finished.
    pub async fn run(&mut self, end: &CancellationToken) {
        self.write(end.cancelled(), None).await;
    }

    /// Writes what still waits, within a time. Call it when nobody hands in events any more.
    pub async fn flush(mut self, within: Duration) {
        self.waiting.close();
        // Not a timeout around the whole: what is not begun within the time is counted below.
        self.write(tokio::time::sleep(within), Some(Instant::now() + within)).await;
        let mut lost = 0;
        while self.waiting.recv().await.is_some() {
            lost += 1;
        }
        if lost > 0 {
            tracing::warn!(logger = "events", lost, "events not written, the process ends");
        }
    }

    async fn write(&mut self, end: impl Future<Output = ()>, deadline: Option<Instant>) {
        let Writer { client, clock, controller, instance, waiting } = self;
        let events = futures::stream::poll_fn(|context| waiting.poll_recv(context));
        events
            .take_until(Box::pin(end))
            .for_each_concurrent(CONCURRENCY, |(regarding, notice)| {
                let event = compose(regarding, notice, clock, (controller, instance));
                let client = client.clone();
                async move {
                    let namespace = event.metadata.namespace.clone().unwrap_or_default();
                    let api: Api<Event> = Api::namespaced(client, &namespace);
                    let parameters = PostParams::default();
                    let written = bounded(api.create(&parameters, &event));
                    let written = match deadline {
                        Some(at) => match tokio::time::timeout_at(at, written).await {
                            Ok(written) => written,
                            Err(_) => Err(kube::Error::Service("the process ends".into())),
                        },
                        None => written.await,
                    };
                    if let Err(error) = written {
                        // A namespace that is being deleted takes no more events: expected at teardown.
                        tracing::debug!(logger = "events", reason = event.reason, error = %error, "event not written");
                    }
                }
            })
            .await;
    }
}

fn compose(regarding: ObjectReference, notice: Notice, clock: &Clock, reporter: (&str, &str)) -> Event {
    // Names must be unique; the counter keeps two events of one instant apart.
    static SEQUENCE: AtomicU64 = AtomicU64::new(0);
    let now = clock.now();
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) & 0xffff;
    let mut name = regarding.name.clone().unwrap_or_default();
    name.truncate(220);
    let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}{sequence:04x}", now.as_nanosecond())),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(reporter.0.to_owned()),
        reporting_instance: Some(reporter.1.to_owned()),
        action: Some(notice.reason.to_owned()),
        reason: Some(notice.reason.to_owned()),
        note: Some(cut(notice.note)),
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
        regarding: Some(regarding),
        ..Event::default()
    }
}

/// Cuts a note to the API's limit, at a character boundary, and says so with an ellipsis.
fn cut(mut note: String) -> String {
    const ELLIPSIS: &str = "...";
    if note.len() > NOTE_LIMIT {
        note.truncate(note.floor_char_boundary(NOTE_LIMIT - ELLIPSIS.len()));
        note.push_str(ELLIPSIS);
    }
    note
}

/// The host's name, which in a pod is the pod's.
#[must_use]
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "keda".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use keda_testkit::ApiServer;

    use super::*;

    fn regarding(name: &str) -> ObjectReference {
        ObjectReference {
            kind: Some("ScaledObject".to_owned()),
            namespace: Some("default".to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_at_the_end_is_still_written() {
        let server = ApiServer::new();
        let (recorder, mut writer) = Recorder::new(server.client(), Clock::system(), "test");
        let end = CancellationToken::new();
        end.cancel();
        writer.run(&end).await;
        for index in 0..100 {
            recorder
                .publish(regarding(&format!("web-{index}")), Notice::normal("ScaledObjectReady", "it is"));
        }
        writer.flush(Duration::from_secs(1)).await;
        assert_eq!(server.all::<Event>("default").len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_holds_up_nobody() {
        let server = ApiServer::new();
        server.faults().latency(Duration::from_secs(60));
        let (recorder, writer) = Recorder::new(server.client(), Clock::system(), "test");
        for index in 0..100 {
            recorder
                .publish(regarding(&format!("web-{index}")), Notice::normal("ScaledObjectReady", "it is"));
        }
        let began = Instant::now();
        writer.flush(Duration::from_secs(1)).await;
        assert_eq!(began.elapsed().as_secs(), 1);
    }

    #[test]
    fn notes_are_cut_to_what_the_api_takes() {
        let short = "a source is down".to_owned();
        assert_eq!(cut(short.clone()), short);
        let long = cut("é".repeat(1000));
        assert!(long.len() <= NOTE_LIMIT, "{}", long.len());
        assert!(long.ends_with("é..."));
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_event_is_news_again_only_later_or_after_a_recovery() {
        let mut said = Said::default();
        let down = Notice::warning("KEDAScalerFailed", "connection refused");
        assert!(said.is_news(&down));
        assert!(!said.is_news(&down));
        let broken = Notice::warning("KEDAScalerFailed", "status: 500");
        assert!(said.is_news(&broken), "another cause");
        assert!(!said.is_news(&down) && !said.is_news(&broken), "two triggers that fail in turn");
        tokio::time::advance(REPEAT_AFTER).await;
        assert!(said.is_news(&down));
        said.forget("KEDAScalerFailed");
        assert!(said.is_news(&down));
        let ever_new =
            |number: usize| Notice::warning("KEDAScalerFailed", format!("request {number} failed"));
        let said_of_them = (0..1000).filter(|number| said.is_news(&ever_new(*number))).count();
        assert_eq!(said_of_them, DIFFERENT - 1);
    }
}
