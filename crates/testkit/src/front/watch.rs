//! Watches: a response that streams changes.
//!
//! A watch is a position in the history of its kind. It needs no task of its own: polling the body reads on from the
//! position, so a client that goes away leaves nothing behind and a slow one queues nothing.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Asked,
    form::Form,
    read::{Selection, version},
    route::Target,
};
use crate::{
    refusal::Refusal,
    resource::Resource,
    server::{Body, Inner},
    store::{Change, ChangeKind, Lost},
    sync::lock,
};

/// How often a quiet watch that asked for it gets a bookmark.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long a watch lasts that does not say.
const LONGEST: Duration = Duration::from_secs(30 * 60);

struct Watch {
    server: Arc<Inner>,
    /// Who watches what: random faults go by it.
    identity: String,
    resource: Arc<Resource>,
    namespace: String,
    selection: Selection,
    form: Form,
    position: u64,
    changed: watch::Receiver<u64>,
    dropped: watch::Receiver<u64>,
    deadline: Instant,
    bookmarks: bool,
    next_bookmark: Instant,
    lines: VecDeque<Bytes>,
    ended: bool,
}

pub(super) fn open(
    server: &Arc<Inner>,
    asked: &Asked,
    resource: &Arc<Resource>,
    target: &Target,
) -> Result<Response<Body>, Refusal> {
    let query = &asked.query;
    let form = Form::negotiate(&asked.headers, query)?;
    let selection = Selection::of(asked, resource)?;
    let from = version(query)?.unwrap_or(0);
    let initial = query.get("sendInitialEvents");
    if initial.is_some() && query.get("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(Refusal::new(
            422,
            "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let timeout = query.number("timeoutSeconds")?.map_or(LONGEST, Duration::from_secs);
    let now = Instant::now();
    let identity = format!("{} {}", asked.identity.user, target.resource());
    let expires = server.faults.expires_watch(&identity);
    let mut state = lock(&server.state);
    let current = state.store.revision();
    let mut watch = Watch {
        server: Arc::clone(server),
        identity,
        resource: Arc::clone(resource),
        namespace: target.namespace.clone(),
        selection,
        form,
        position: from,
        changed: state.store.subscribe(&resource.stored_in),
        dropped: server.watch_epoch.subscribe(),
        deadline: now + timeout,
        bookmarks: query.flag("allowWatchBookmarks"),
        next_bookmark: now + BOOKMARKS,
        lines: VecDeque::new(),
        ended: false,
    };
    let starts_with_state = initial == Some("true") || (initial.is_none() && from == 0);
    if starts_with_state {
        let objects: Vec<Value> = state
            .store
            .list(&resource.stored_in, &target.namespace)
            .map(|(_, object)| resource.present(object))
            .filter(|object| watch.selection.sees(object))
            .collect();
        watch.position = current;
        objects.into_iter().for_each(|object| watch.send("ADDED", object));
        if initial == Some("true") && watch.bookmarks {
            watch.send_bookmark(json!({"k8s.io/initial-events-end": "true"}));
        }
    } else if from == 0 {
        watch.position = current;
    } else if let Err(lost) = state.store.reaches_back_to(&resource.stored_in, from) {
        watch.expire(lost);
    } else if expires {
        watch.expire(Lost { floor: current });
    }
    drop(state);
    let lines = stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(line)), watch))
    });
    let body = StreamBody::new(lines).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Watch {
    /// The next line; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.read_on();
            if !self.lines.is_empty() || self.ended {
                continue;
            }
            // A watch that wants no bookmarks is due for one after its own end.
            let bookmark = if self.bookmarks { self.next_bookmark } else { self.deadline };
            tokio::select! {
                biased;
                _ = self.dropped.changed() => return None,
                _ = self.changed.changed() => {}
                () = sleep_until(self.deadline) => return None,
                () = sleep_until(bookmark) => self.send_bookmark(Value::Null),
            }
        }
    }

    /// Reads what happened since the position.
    fn read_on(&mut self) {
        self.changed.mark_unchanged();
        let read = lock(&self.server.state).store.changes_since(&self.resource.stored_in, self.position);
        match read {
            Err(lost) => self.expire(lost),
            Ok((changes, position)) => {
                for change in &changes {
                    if self.see(change) && self.server.faults.drops_watch(&self.identity) {
                        self.ended = true;
                        return;
                    }
                }
                // A client may know a later version, of a server before this one.
                self.position = self.position.max(position);
            }
        }
    }

    /// Sends one change, if this watch sees anything of it.
    fn see(&mut self, change: &Change) -> bool {
        if !self.namespace.is_empty() && change.object["metadata"]["namespace"] != self.namespace.as_str() {
            return false;
        }
        let resource = Arc::clone(&self.resource);
        let Some(kind) = change.kind(|object| self.selection.sees(&resource.present(object))) else {
            return false;
        };
        let (name, object) = match kind {
            ChangeKind::Added => ("ADDED", resource.present(&change.object)),
            ChangeKind::Modified => ("MODIFIED", resource.present(&change.object)),
            // An object that leaves the selection is shown as it was last seen, at the version at which it left.
            ChangeKind::Deleted => {
                let last = if change.gone {
                    &change.object
                } else {
                    change.previous.as_ref().unwrap_or(&change.object)
                };
                let mut last = resource.present(last);
                last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                ("DELETED", last)
            }
        };
        self.position = change.revision;
        self.send(name, object);
        true
    }

    fn send(&mut self, kind: &str, object: Value) {
        let object = self.form.one(&self.resource, object);
        self.push(&json!({"type": kind, "object": object}));
    }

    fn send_bookmark(&mut self, annotations: Value) {
        self.next_bookmark = Instant::now() + BOOKMARKS;
        let mut metadata = json!({"resourceVersion": self.position.to_string(), "creationTimestamp": null});
        if annotations.is_object() {
            metadata["annotations"] = annotations;
        }
        let (api_version, kind) = match self.form {
            Form::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata".to_owned()),
            Form::Object | Form::Table(_) => (self.resource.api_version(), self.resource.kind.clone()),
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        self.push(&json!({"type": "BOOKMARK", "object": object}));
    }

    /// Ends the watch with 410, in the stream as the API server does it.
    fn expire(&mut self, lost: Lost) {
        let refusal =
            Refusal::expired(format!("too old resource version: {} ({})", self.position, lost.floor));
        self.push(&json!({"type": "ERROR", "object": refusal.to_json()}));
        self.ended = true;
    }

    fn push(&mut self, event: &Value) {
        self.lines.push_back(Bytes::from(format!("{event}\n")));
    }
}
