//! Deletion: finalizers, owners, namespaces.
//!
//! What a real cluster's garbage collector and namespace controller do a moment later happens here within the same
//! call, so a test never has to wait for it. An object with finalizers gets a `deletionTimestamp` and goes when the
//! last one goes; dependents go with the last of their owners; a namespace, and a CRD, go with the last of their objects.

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Key, Place, Store, owners};
use crate::resource::GroupResource;

const FOREGROUND: &str = "foregroundDeletion";

/// `propagationPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// What became of an object that was to be deleted.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone.
    Gone,
    /// It waits for finalizers, dependents or content.
    Waiting(Arc<Value>),
}

impl Store {
    /// Deletes an object as far as it can be; `None` if there is none.
    pub(crate) fn delete(
        &mut self,
        kind: &GroupResource,
        key: &Key,
        propagation: Propagation,
        now: Timestamp,
    ) -> Option<Deleted> {
        let object = Value::clone(self.get(kind, key)?);
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let has_dependents = self.dependents.get(&uid).is_some_and(|places| !places.is_empty());
        let mut marked = object;
        if propagation == Propagation::Foreground && has_dependents {
            add_finalizer(&mut marked, FOREGROUND);
        }
        if propagation == Propagation::Orphan {
            self.orphan(&uid);
        }
        let contains = Contents::of(kind, key);
        if *kind == namespaces() {
            marked["status"]["phase"] = json!("Terminating");
        }
        mark(&mut marked, now);
        let stays =
            has_finalizers(&marked) || contains.as_ref().is_some_and(|contents| self.is_occupied(contents));
        if stays && self.get(kind, key).is_some_and(|stored| **stored != marked) {
            self.put(kind, marked);
        }
        if let Some(contents) = contains {
            self.delete_contents(&contents, now);
        }
        if propagation == Propagation::Foreground {
            self.delete_dependents(&uid, now);
        }
        let place = (kind.clone(), key.clone());
        self.finish(&place, now);
        Some(self.get(kind, key).map_or(Deleted::Gone, |object| Deleted::Waiting(Arc::clone(object))))
    }

    /// Stores a changed object; if it waited only for what the change took away, it goes. Answers the object and
    /// whether it is gone.
    pub(crate) fn put_or_finish(
        &mut self,
        kind: &GroupResource,
        object: Value,
        now: Timestamp,
    ) -> (Arc<Value>, bool) {
        let stored = self.put(kind, object);
        let place = (kind.clone(), Key::of(&stored));
        let waits = stored["metadata"]["deletionTimestamp"].is_string();
        match waits.then(|| self.finish(&place, now)).flatten() {
            Some(last) => (last, true),
            None => {
                self.collect_if_abandoned(&place, now);
                (stored, false)
            }
        }
    }

    /// Erases an object unless something holds it, then whatever that sets free.
    fn finish(&mut self, place: &Place, now: Timestamp) -> Option<Arc<Value>> {
        let mut freed = VecDeque::from([place.clone()]);
        let mut first = None;
        while let Some(place) = freed.pop_front() {
            let Some(object) = self.get(&place.0, &place.1).map(Arc::clone) else { continue };
            if !self.is_free(&place, &object) {
                continue;
            }
            let Some(last) = self.erase(&place.0, &place.1) else { continue };
            first.get_or_insert(Arc::clone(&last));
            freed.extend(self.waiting_for(&place.0, &last));
            let uid = last["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            for dependent in self.dependents.get(&uid).cloned().unwrap_or_default() {
                freed.extend(self.lose_owner(&dependent, &uid, now));
            }
        }
        first
    }

    /// Whether nothing holds an object that is to go.
    fn is_free(&mut self, (kind, key): &Place, object: &Value) -> bool {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        let finalizers = object["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let blocked = |store: &Self| {
            store.dependents.get(uid).into_iter().flatten().any(|(kind, key)| {
                store.get(kind, key).is_some_and(|dependent| {
                    let references =
                        dependent["metadata"]["ownerReferences"].as_array().into_iter().flatten();
                    references.into_iter().any(|r| r["uid"] == uid && r["blockOwnerDeletion"] == true)
                })
            })
        };
        let held = finalizers.iter().any(|finalizer| finalizer != FOREGROUND || blocked(self));
        let occupied = Contents::of(kind, key).is_some_and(|contents| self.is_occupied(&contents));
        !held && !occupied
    }

    /// Objects that may have waited for this one to go: its owners (foreground), its namespace and its CRD.
    fn waiting_for(&self, kind: &GroupResource, gone: &Value) -> Vec<Place> {
        let mut places: Vec<Place> =
            owners(gone).iter().filter_map(|uid| self.places.get(uid)).cloned().collect();
        if let Some(namespace) = gone["metadata"]["namespace"].as_str() {
            places.push((namespaces(), Key::new("", namespace)));
        }
        places.push((crds(), Key::new("", &kind.to_string())));
        places.retain(|(kind, key)| {
            self.get(kind, key).is_some_and(|object| object["metadata"]["deletionTimestamp"].is_string())
        });
        places
    }

    /// An owner is gone. Answers the dependent's place if nothing but finalizers can hold it now.
    fn lose_owner(&mut self, (kind, key): &Place, uid: &str, now: Timestamp) -> Option<Place> {
        let mut object = Value::clone(self.get(kind, key)?);
        if owners(&object).iter().any(|owner| owner != uid && self.places.contains_key(owner)) {
            drop_owner(&mut object, uid);
            self.put(kind, object);
            return None;
        }
        if has_finalizers(&object) && mark(&mut object, now) {
            self.put(kind, object);
        }
        Some((kind.clone(), key.clone()))
    }

    /// A dependent whose owners are all gone (or never were) goes too.
    fn collect_if_abandoned(&mut self, place: &Place, now: Timestamp) {
        let Some(object) = self.get(&place.0, &place.1) else { return };
        let owners = owners(object);
        if owners.is_empty() || owners.iter().any(|owner| self.places.contains_key(owner)) {
            return;
        }
        if let Some(place) = owners.first().and_then(|uid| self.lose_owner(place, uid, now)) {
            self.finish(&place, now);
        }
    }

    fn delete_dependents(&mut self, uid: &str, now: Timestamp) {
        for (kind, key) in self.dependents.get(uid).cloned().unwrap_or_default() {
            self.delete(&kind, &key, Propagation::Background, now);
        }
    }

    fn orphan(&mut self, uid: &str) {
        for (kind, key) in self.dependents.get(uid).cloned().unwrap_or_default() {
            if let Some(object) = self.get(&kind, &key) {
                let mut object = Value::clone(object);
                drop_owner(&mut object, uid);
                self.put(&kind, object);
            }
        }
    }

    fn delete_contents(&mut self, contents: &Contents, now: Timestamp) {
        for (kind, key) in self.contents(contents) {
            self.delete(&kind, &key, Propagation::Background, now);
        }
    }

    fn is_occupied(&self, contents: &Contents) -> bool {
        !self.contents(contents).is_empty()
    }

    fn contents(&self, contents: &Contents) -> Vec<Place> {
        match contents {
            Contents::Namespace(namespace) => {
                let kinds = self.kinds().into_iter();
                let places = |kind: GroupResource| -> Vec<Place> {
                    self.list(&kind, namespace).map(|(key, _)| (kind.clone(), key.clone())).collect()
                };
                kinds.flat_map(places).collect()
            }
            Contents::Kind(kind) => self.list(kind, "").map(|(key, _)| (kind.clone(), key.clone())).collect(),
        }
    }
}

/// What an object contains, so that it cannot go before it.
enum Contents {
    Namespace(String),
    Kind(GroupResource),
}

impl Contents {
    fn of(kind: &GroupResource, key: &Key) -> Option<Self> {
        if *kind == namespaces() {
            Some(Self::Namespace(key.name.clone()))
        } else if *kind == crds() {
            // A CRD is called by the plural and group of its objects.
            let (plural, group) = key.name.split_once('.')?;
            Some(Self::Kind(GroupResource::new(group, plural)))
        } else {
            None
        }
    }
}

fn crds() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

fn namespaces() -> GroupResource {
    GroupResource::new("", "namespaces")
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    let finalizers = &mut object["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(items) = finalizers.as_array_mut().filter(|items| !items.iter().any(|item| item == finalizer))
    {
        items.push(json!(finalizer));
    }
}

fn drop_owner(object: &mut Value, uid: &str) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    if let Some(references) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) {
        references.retain(|reference| reference["uid"] != uid);
        if references.is_empty() {
            metadata.remove("ownerReferences");
        }
    }
}

/// Sets what says that an object is on its way out; answers whether that is new.
fn mark(object: &mut Value, now: Timestamp) -> bool {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return false;
    }
    object["metadata"]["deletionTimestamp"] = json!(format!("{:.0}", now));
    object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        object["metadata"]["generation"] = json!(generation + 1);
    }
    true
}
