//! The Secrets and ConfigMaps that running triggers were made from: a change of one reaches them (upstream issues 6977, 3977).
//!
//! They are not watched. A watch a name would be a connection each, and a watch of all of them is a right to read every
//! Secret of the cluster. Instead the metadata of those that are in use is read by name, each about every
//! [`ROUND`], from the API server's own cache, and never more than [`AT_MOST`] a second in all. A trigger that fails has
//! its credentials read again within ten seconds anyway (`Object::reread_credentials`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt, api::GetParams};
use tokio::sync::Notify;

use crate::{
    cluster::{retry, words},
    controller::Controller,
    index::ObjectKey,
    kind::Owner,
};

/// How long it takes to look at each of them once, if they are few.
const ROUND: Duration = Duration::from_secs(20);
/// Reads a second, however many they are.
const AT_MOST: u32 = 20;

/// A kind of object that holds credentials or settings of triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum CredentialKind {
    ConfigMap,
    Secret,
}

/// One Secret or ConfigMap.
pub(crate) type CredentialKey = (CredentialKind, ObjectKey);

/// The resourceVersion at which one was read; `None` for one that was not there.
pub(crate) type Version = Option<String>;

/// What one reconcile read.
pub(crate) type Read = BTreeMap<CredentialKey, Version>;

/// What is in use, by whom.
#[derive(Default)]
pub(crate) struct Credentials {
    used: Mutex<HashMap<CredentialKey, Use>>,
    more: Notify,
}

struct Use {
    version: Version,
    users: BTreeSet<Owner>,
}

impl Credentials {
    /// `user` was made from these now, and from nothing else.
    pub(crate) fn used_by(&self, user: &Owner, read: Read) {
        let mut used = lock(&self.used);
        for (key, credential) in used.iter_mut() {
            if !read.contains_key(key) {
                credential.users.remove(user);
            }
        }
        used.retain(|_, credential| !credential.users.is_empty());
        let before = used.len();
        for (key, version) in read {
            let credential =
                used.entry(key).or_insert_with(|| Use { version: version.clone(), users: BTreeSet::new() });
            // Another user may have read an older one, and must hear of it: only a look at it moves the version.
            if credential.users.is_empty() {
                credential.version = version;
            }
            credential.users.insert(user.clone());
        }
        if before == 0 && !used.is_empty() {
            self.more.notify_one();
        }
    }

    /// Looks at one after the other until it is dropped; wakes the users of those that changed.
    pub(crate) async fn follow(&self, controller: &Arc<Controller>) {
        loop {
            let round: Vec<CredentialKey> = lock(&self.used).keys().cloned().collect();
            if round.is_empty() {
                self.more.notified().await;
                continue;
            }
            let count = u32::try_from(round.len()).unwrap_or(u32::MAX);
            let pause = (ROUND / count).max(Duration::from_secs(1) / AT_MOST);
            for key in round {
                tokio::time::sleep(pause).await;
                match look(controller, &key).await {
                    Ok(version) => {
                        for user in self.seen(&key, version) {
                            controller.index().nudge(&user);
                        }
                    }
                    // Not asked for a reason that a trigger would meet too, and report.
                    Err(error) => tracing::debug!(
                        logger = "credentials",
                        object = %key.1,
                        error = words(&error),
                        "could not look whether it changed"
                    ),
                }
            }
        }
    }

    /// Takes note of a version; says who was made from an older one.
    fn seen(&self, key: &CredentialKey, version: Version) -> BTreeSet<Owner> {
        let mut used = lock(&self.used);
        let Some(credential) = used.get_mut(key) else { return BTreeSet::new() };
        if !is_news(credential.version.as_deref(), version.as_deref()) {
            return BTreeSet::new();
        }
        credential.version = version;
        credential.users.clone()
    }
}

/// The API server's cache may lag behind what was read already: only something newer is news.
fn is_news(known: Option<&str>, seen: Option<&str>) -> bool {
    match (known.map(str::parse::<u64>), seen.map(str::parse::<u64>)) {
        (Some(Ok(known)), Some(Ok(seen))) => seen > known,
        _ => known != seen,
    }
}

async fn look(controller: &Controller, (kind, key): &CredentialKey) -> Result<Version, kube::Error> {
    let (client, any) = (controller.client(), GetParams::any());
    let version = |resource_version: Option<String>| resource_version.unwrap_or_default();
    match kind {
        CredentialKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client, &key.namespace);
            let found = retry(|| api.get_metadata_opt_with(&key.name, &any)).await?;
            Ok(found.map(|found| version(found.resource_version())))
        }
        CredentialKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client, &key.namespace);
            let found = retry(|| api.get_metadata_opt_with(&key.name, &any)).await?;
            Ok(found.map(|found| version(found.resource_version())))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::ObjectKind;

    #[test]
    fn only_something_newer_is_news() {
        assert!(is_news(Some("7"), Some("10")));
        assert!(!is_news(Some("10"), Some("7")), "the cache is behind");
        assert!(!is_news(Some("7"), Some("7")));
        assert!(is_news(Some("7"), None), "deleted");
        assert!(is_news(None, Some("7")), "created");
        assert!(!is_news(None, None));
    }

    #[test]
    fn users_of_an_older_version_hear_of_a_newer_one_once() {
        let credentials = Credentials::default();
        let key = (CredentialKind::Secret, ObjectKey::new("ns", "token"));
        let read = |version: &str| Read::from([(key.clone(), Some(version.to_owned()))]);
        let owner = |name: &str| (ObjectKind::ScaledObject, ObjectKey::new("ns", name));
        let (old, new) = (owner("old"), owner("new"));
        credentials.used_by(&old, read("7"));
        credentials.used_by(&new, read("8"));
        let all = BTreeSet::from([old.clone(), new.clone()]);
        assert_eq!(credentials.seen(&key, Some("8".to_owned())), all);
        assert!(credentials.seen(&key, Some("8".to_owned())).is_empty());
        credentials.used_by(&old, Read::new());
        credentials.used_by(&new, Read::new());
        assert!(lock(&credentials.used).is_empty(), "nobody uses it any more");
    }
}
