//! What the operator knows of the cluster, in memory.
//!
//! Written by the watches (and, for a workload's replicas, by the answer to our own scale request); read by every
//! object's task and by the metrics service. Nothing here blocks for longer than a map lookup.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{Condition, GroupVersionKindResource, ScaledJob, ScaledObject};
pub(crate) use keda_cluster::ObjectKey;
use keda_cluster::Shelf;
use keda_core::admission::neighbours::{Autoscaler, Claim};

use crate::{
    authentications::{self, AuthenticationKey},
    jobs::Jobs,
    kind::{ObjectKind, Owner, Scaled},
    samples::ObjectHandle,
};

/// The kinds whose replicas are known from a watch; every other kind is asked through `/scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WorkloadKind {
    Deployment,
    StatefulSet,
}

impl WorkloadKind {
    pub(crate) const ALL: [WorkloadKind; 2] = [WorkloadKind::Deployment, WorkloadKind::StatefulSet];

    /// The plural name in `apps/v1`.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "deployments",
            WorkloadKind::StatefulSet => "statefulsets",
        }
    }

    /// The kind in `apps/v1`.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::StatefulSet => "StatefulSet",
        }
    }

    /// The watched kind that a resolved target is of, if it is one.
    pub(crate) fn of(gvkr: &GroupVersionKindResource) -> Option<Self> {
        WorkloadKind::ALL
            .into_iter()
            .find(|kind| gvkr.group == "apps" && gvkr.version == "v1" && gvkr.resource == kind.resource())
    }
}

/// A workload of a watched kind.
pub(crate) type WorkloadKey = (WorkloadKind, ObjectKey);

/// The maps. Each has its own lock; no method holds two.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) scaled_objects: Objects<ScaledObject>,
    pub(crate) scaled_jobs: Objects<ScaledJob>,
    /// The Jobs of the ScaledJobs.
    pub(crate) jobs: Jobs,
    workloads: RwLock<HashMap<WorkloadKey, i32>>,
    autoscalers: RwLock<HashMap<ObjectKey, Arc<HorizontalPodAutoscaler>>>,
    /// What each HPA says about itself, as a condition; kept apart because it changes more often than the HPA does.
    health: RwLock<HashMap<ObjectKey, Condition>>,
    /// ScaledObjects whose target does not exist yet, by the workload they wait for.
    awaited: Mutex<HashMap<WorkloadKey, ObjectKey>>,
    /// What each ScaledObject takes for itself.
    claims: RwLock<Shelf<Claim>>,
    /// HPAs that no ScaledObject owns.
    foreign: RwLock<Shelf<Autoscaler>>,
}

impl Index {
    /// The ScaledObject of this name.
    pub(crate) fn object(&self, key: &ObjectKey) -> Option<Arc<ObjectHandle>> {
        self.scaled_objects.get(key)
    }

    /// Makes an object reconcile although it is the same.
    pub(crate) fn nudge(&self, (kind, key): &Owner) {
        match kind {
            ObjectKind::ScaledObject => self.scaled_objects.get(key).iter().for_each(|handle| handle.nudge()),
            ObjectKind::ScaledJob => self.scaled_jobs.get(key).iter().for_each(|handle| handle.nudge()),
        }
    }

    /// Makes every object reconcile that refers to an authentication.
    pub(crate) fn nudge_users(&self, of: &AuthenticationKey) {
        self.scaled_objects.nudge_users(of);
        self.scaled_jobs.nudge_users(of);
    }

    /// Notes what an object takes for itself, or that it takes nothing any more; gives the others for whom that changes anything:
    /// the heirs of what it gives up, and the younger ones that want what it takes now.
    ///
    /// Few, whatever the number of rivals: of five hundred objects on one workload, deleted together, each wakes one.
    pub(crate) fn claim(&self, key: &ObjectKey, claim: Option<&Claim>) -> Vec<ObjectKey> {
        let mut claims = write(&self.claims);
        let before = claims.get(key).cloned();
        if before.as_ref() == claim {
            return Vec::new();
        }
        match claim {
            Some(claim) => claims.put(key, claim.clone()),
            None => claims.remove(key),
        }
        let mut concerned = BTreeSet::new();
        if let Some(before) = before {
            let rivals = rivals(&claims, &key.namespace, &before);
            concerned.extend(before.eldest(&rivals).into_iter().map(|heir| heir.by.clone()));
        }
        if let Some(claim) = claim {
            let rivals = rivals(&claims, &key.namespace, claim);
            concerned
                .extend(rivals.into_iter().filter(|rival| claim.age() < rival.age()).map(|rival| rival.by));
        }
        concerned.into_iter().map(|name| ObjectKey::new(&key.namespace, &name)).collect()
    }

    /// The other objects that want the same workload, or an HPA of the same name.
    pub(crate) fn rivals(&self, namespace: &str, own: &Claim) -> Vec<Claim> {
        rivals(&read(&self.claims), namespace, own)
    }

    /// HPAs on the same workload that no ScaledObject owns.
    pub(crate) fn foreign_autoscalers(&self, namespace: &str, own: &Claim) -> Vec<Autoscaler> {
        read(&self.foreign).find(namespace, &[&own.workload.name])
    }

    /// Notes an HPA that no ScaledObject owns, or that there is none of this name; gives the objects whom that concerns.
    pub(crate) fn set_foreign(&self, key: &ObjectKey, autoscaler: Option<&Autoscaler>) -> Vec<ObjectKey> {
        let mut foreign = write(&self.foreign);
        let before = foreign.get(key).cloned();
        if before.as_ref() == autoscaler {
            return Vec::new();
        }
        match autoscaler {
            Some(autoscaler) => foreign.put(key, autoscaler.clone()),
            None => foreign.remove(key),
        }
        drop(foreign);
        let claims = read(&self.claims);
        let on = before.iter().chain(autoscaler).map(|autoscaler| autoscaler.workload.name.as_str());
        let concerned = claims.find(&key.namespace, &on.collect::<Vec<_>>());
        concerned.into_iter().map(|claim| ObjectKey::new(&key.namespace, &claim.by)).collect()
    }

    /// `spec.replicas` of a watched workload (1 where unset, as the API server defaults it).
    pub(crate) fn replicas(&self, key: &WorkloadKey) -> Option<i32> {
        read(&self.workloads).get(key).copied()
    }

    /// Notes a workload's replicas; says who waited for it, if it is new.
    pub(crate) fn set_replicas(&self, key: WorkloadKey, replicas: i32) -> Option<ObjectKey> {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        write(&self.workloads).insert(key, replicas);
        awaited
    }

    pub(crate) fn remove_workload(&self, key: &WorkloadKey) {
        write(&self.workloads).remove(key);
    }

    /// Remembers that `object` waits for `workload` to be created.
    pub(crate) fn await_workload(&self, workload: WorkloadKey, object: ObjectKey) {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(workload, object);
    }

    pub(crate) fn autoscaler(&self, key: &ObjectKey) -> Option<Arc<HorizontalPodAutoscaler>> {
        read(&self.autoscalers).get(key).cloned()
    }

    pub(crate) fn set_autoscaler(
        &self,
        key: ObjectKey,
        autoscaler: HorizontalPodAutoscaler,
    ) -> Option<Arc<HorizontalPodAutoscaler>> {
        write(&self.autoscalers).insert(key, Arc::new(autoscaler))
    }

    /// How the HPA is doing, if it has said so yet.
    pub(crate) fn health(&self, key: &ObjectKey) -> Option<Condition> {
        read(&self.health).get(key).cloned()
    }

    pub(crate) fn set_health(&self, key: ObjectKey, health: Condition) {
        write(&self.health).insert(key, health);
    }

    pub(crate) fn remove_autoscaler(&self, key: &ObjectKey) {
        write(&self.health).remove(key);
        write(&self.autoscalers).remove(key);
    }
}

/// The objects of one kind.
pub(crate) struct Objects<K>(RwLock<HashMap<ObjectKey, Arc<ObjectHandle<K>>>>);

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Objects(RwLock::default())
    }
}

impl<K: Scaled> Objects<K> {
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<ObjectHandle<K>>> {
        read(&self.0).get(key).cloned()
    }

    pub(crate) fn insert(&self, handle: Arc<ObjectHandle<K>>) {
        write(&self.0).insert(handle.key.clone(), handle);
    }

    pub(crate) fn remove(&self, key: &ObjectKey) -> Option<Arc<ObjectHandle<K>>> {
        write(&self.0).remove(key)
    }

    /// All of them, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<ObjectHandle<K>>> {
        read(&self.0).values().cloned().collect()
    }

    /// The names of the objects that refer to each of these authentications; one that is being deleted is no user.
    pub(crate) fn users(&self, of: &BTreeSet<AuthenticationKey>) -> Users {
        let mut users = Users::new();
        for handle in read(&self.0).values() {
            let object = Arc::clone(&handle.inbox.borrow().object);
            if object.meta().deletion_timestamp.is_none() {
                let referred = authentications::referred(object.as_ref());
                for key in referred.into_iter().filter(|key| of.contains(key)) {
                    users.entry(key).or_default().insert(handle.key.name.clone());
                }
            }
        }
        users
    }

    fn nudge_users(&self, of: &AuthenticationKey) {
        let refers = |handle: &Arc<ObjectHandle<K>>| {
            authentications::referred(handle.inbox.borrow().object.as_ref()).contains(of)
        };
        let affected: Vec<_> = read(&self.0).values().filter(|handle| refers(handle)).cloned().collect();
        for handle in affected {
            handle.nudge();
        }
    }
}

/// Names of objects, by the authentication that they refer to.
pub(crate) type Users = HashMap<AuthenticationKey, BTreeSet<String>>;

fn rivals(claims: &Shelf<Claim>, namespace: &str, own: &Claim) -> Vec<Claim> {
    let mut rivals = claims.find(namespace, &[&own.workload.name, &own.autoscaler]);
    rivals.retain(|claim| own.conflicts(claim));
    rivals
}

// A writer that panicked left a whole entry or none: every map operation above is a single call.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
