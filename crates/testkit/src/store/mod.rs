//! Objects, revisions and history: what etcd and the watch cache are to a real API server.
//!
//! One counter gives every change its revision, which is also the object's `resourceVersion`. Each kind has a table
//! with its objects and its recent changes; a watch reads the changes after the revision it has seen, and finds out
//! (410) when they are no longer kept. The store knows nothing of kinds: it keeps what it is given. Deletion, which
//! ties objects together, is in [`delete`].

pub(crate) mod delete;
mod history;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{faults::Random, resource::GroupResource};

pub(crate) use history::{Change, ChangeKind, Lost};

/// How many changes a table remembers.
const HISTORY: usize = 4096;

/// An object's place in its table; the namespace is empty for cluster-scoped objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn of(object: &Value) -> Self {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
        Self::new(text("namespace"), text("name"))
    }
}

/// A place in the whole store.
pub(crate) type Place = (GroupResource, Key);

#[derive(Debug)]
pub(crate) struct Table {
    objects: BTreeMap<Key, Arc<Value>>,
    /// What each field manager applied last (server-side apply).
    applied: HashMap<Key, BTreeMap<String, Value>>,
    history: history::History,
    /// Revision of the latest change; wakes the watches.
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct Store {
    tables: HashMap<GroupResource, Table>,
    revision: u64,
    random: Random,
    places: HashMap<String, Place>,
    /// By the UID of an owner, whether it exists or not.
    dependents: HashMap<String, BTreeSet<Place>>,
    /// CRDs and APIServices that went since somebody asked.
    departed: Vec<Place>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            tables: HashMap::new(),
            revision: 1,
            random: Random::new(0x6b65_6461),
            places: HashMap::new(),
            dependents: HashMap::new(),
            departed: Vec::new(),
        }
    }
}

impl Store {
    /// The latest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    fn table(&mut self, kind: &GroupResource) -> &mut Table {
        let revision = self.revision;
        self.tables.entry(kind.clone()).or_insert_with(|| Table {
            objects: BTreeMap::new(),
            applied: HashMap::new(),
            history: history::History::default(),
            latest: watch::Sender::new(revision),
        })
    }

    pub(crate) fn get(&self, kind: &GroupResource, key: &Key) -> Option<&Arc<Value>> {
        self.tables.get(kind)?.objects.get(key)
    }

    /// The objects of a kind in order of namespace and name; of one namespace, or of all if it is empty.
    pub(crate) fn list<'a>(
        &'a self,
        kind: &GroupResource,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = Key::new(namespace, "");
        let objects = self.tables.get(kind).map(|table| table.objects.range(from..));
        objects
            .into_iter()
            .flatten()
            .take_while(move |(key, _)| namespace.is_empty() || key.namespace == namespace)
    }

    /// A UID, different each time and the same in each run.
    pub(crate) fn new_uid(&mut self) -> String {
        let (high, low) = (self.random.next(), self.random.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }

    /// The five characters that make a `generateName` a name.
    pub(crate) fn new_suffix(&mut self) -> String {
        // Kubernetes leaves out vowels and look-alikes.
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut word = self.random.next();
        let mut take = || {
            let index = word % ALPHABET.len() as u64;
            word /= ALPHABET.len() as u64;
            char::from(ALPHABET[usize::try_from(index).unwrap_or_default()])
        };
        (0..5).map(|_| take()).collect()
    }

    /// Stores an object under its own name, as a new revision.
    pub(crate) fn put(&mut self, kind: &GroupResource, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        let revision = self.revision;
        let key = Key::of(&object);
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let object = Arc::new(object);
        let table = self.table(kind);
        let previous = table.objects.insert(key.clone(), Arc::clone(&object));
        table.history.push(Change {
            revision,
            object: Arc::clone(&object),
            previous: previous.clone(),
            gone: false,
        });
        table.latest.send_replace(revision);
        let place = (kind.clone(), key);
        if let Some(previous) = previous {
            self.unlink(&place, &previous);
        }
        self.link(place, &object);
        object
    }

    /// Removes an object, as a new revision; answers its last state.
    fn erase(&mut self, kind: &GroupResource, key: &Key) -> Option<Arc<Value>> {
        let table = self.tables.get_mut(kind)?;
        let previous = table.objects.remove(key)?;
        table.applied.remove(key);
        self.revision += 1;
        let mut last = Value::clone(&previous);
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let last = Arc::new(last);
        table.history.push(Change {
            revision: self.revision,
            object: Arc::clone(&last),
            previous: Some(Arc::clone(&previous)),
            gone: true,
        });
        table.latest.send_replace(self.revision);
        let place = (kind.clone(), key.clone());
        self.unlink(&place, &previous);
        if matches!(kind.plural.as_str(), "customresourcedefinitions" | "apiservices") {
            self.departed.push(place);
        }
        Some(last)
    }

    fn link(&mut self, place: Place, object: &Value) {
        for owner in owners(object) {
            self.dependents.entry(owner).or_default().insert(place.clone());
        }
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            self.places.insert(uid.to_owned(), place);
        }
    }

    fn unlink(&mut self, place: &Place, object: &Value) {
        for owner in owners(object) {
            if let Some(places) = self.dependents.get_mut(&owner) {
                places.remove(place);
            }
        }
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            self.places.remove(uid);
        }
    }

    /// CRDs and APIServices that went since the last call: their APIs go with them.
    pub(crate) fn take_departed(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.departed)
    }

    /// What a field manager applied last.
    pub(crate) fn applied(&self, kind: &GroupResource, key: &Key, manager: &str) -> Option<&Value> {
        self.tables.get(kind)?.applied.get(key)?.get(manager)
    }

    pub(crate) fn set_applied(&mut self, kind: &GroupResource, key: &Key, manager: &str, applied: Value) {
        self.table(kind).applied.entry(key.clone()).or_default().insert(manager.to_owned(), applied);
    }

    /// Changes of a kind after a revision, and the revision up to which this is all.
    pub(crate) fn changes_since(&self, kind: &GroupResource, seen: u64) -> Result<(Vec<Change>, u64), Lost> {
        let Some(table) = self.tables.get(kind) else { return Ok((Vec::new(), self.revision)) };
        Ok((table.history.since(seen)?, self.revision))
    }

    /// Whether a new watch may start after a revision.
    pub(crate) fn reaches_back_to(&self, kind: &GroupResource, revision: u64) -> Result<(), Lost> {
        self.tables.get(kind).map_or(Ok(()), |table| table.history.reaches_back_to(revision))
    }

    /// Wakes when the kind changes.
    pub(crate) fn subscribe(&mut self, kind: &GroupResource) -> watch::Receiver<u64> {
        self.table(kind).latest.subscribe()
    }

    /// Forgets all history, as compaction does. Counts as a revision, so that every watch that reconnects is too late.
    pub(crate) fn compact(&mut self) {
        self.revision += 1;
        for table in self.tables.values_mut() {
            table.history.compact(self.revision);
        }
    }

    pub(crate) fn kinds(&self) -> Vec<GroupResource> {
        let mut kinds: Vec<GroupResource> = self.tables.keys().cloned().collect();
        kinds.sort();
        kinds
    }
}

/// UIDs of an object's owners.
fn owners(object: &Value) -> Vec<String> {
    let references = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    references.filter_map(|reference| reference["uid"].as_str()).map(str::to_owned).collect()
}
