//! Reading and writing objects without HTTP: for tests, which set the stage and look at the result without a client,
//! a log entry or a fault in between.

use kube::Resource;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    ApiServer,
    api::{DeleteOptions, Part, WriteOptions},
    patch::PatchKind,
    refusal::Refusal,
    resource::Resource as Kind,
    store::Key,
    sync::lock,
};

impl ApiServer {
    /// Creates or replaces an object as a whole, status included, without HTTP and without a log entry; its namespace
    /// is created when missing. Answers the stored object.
    ///
    /// # Errors
    /// What the server would refuse: unknown kinds, invalid objects.
    pub fn seed<K: Serialize>(&self, object: &K) -> Result<Value, Refusal> {
        let body = serde_json::to_value(object).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let now = self.clock().now();
        lock(&self.inner().state).seed(body, now)
    }

    /// Reads an object without HTTP; `namespace` is empty for cluster-scoped kinds.
    #[must_use]
    pub fn read<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let state = lock(&self.inner().state);
        let kind = state.catalog.find(&K::group(&()), &K::version(&()), &K::plural(&()))?;
        let object = state.get(&kind, &Key::new(namespace, name), Part::Main).ok()?;
        serde_json::from_value(object).ok()
    }

    /// Every object of a kind without HTTP, in order of namespace and name; of all namespaces when `namespace` is
    /// empty.
    #[must_use]
    pub fn all<K>(&self, namespace: &str) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let state = lock(&self.inner().state);
        let Some(kind) = state.catalog.find(&K::group(&()), &K::version(&()), &K::plural(&())) else {
            return Vec::new();
        };
        let objects = state.store.list(&kind.stored_in, namespace).map(|(_, object)| kind.present(object));
        objects.filter_map(|object| serde_json::from_value(object).ok()).collect()
    }

    /// Every object of every kind without HTTP, Secrets too.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        let state = lock(&self.inner().state);
        let kinds = state.catalog.stored();
        let stored = |kind: &std::sync::Arc<Kind>| -> Vec<Value> {
            state.store.list(&kind.stored_in, "").map(|(_, object)| kind.present(object)).collect()
        };
        kinds.iter().flat_map(stored).collect()
    }

    /// Merges a JSON merge patch into an object, status included, without HTTP.
    ///
    /// # Errors
    /// What the server would refuse.
    pub fn merge<K>(&self, namespace: &str, name: &str, patch: &Value) -> Result<Value, Refusal>
    where
        K: Resource<DynamicType = ()>,
    {
        let options = WriteOptions { part: Part::Whole, ..WriteOptions::at(self.clock().now()) };
        let mut state = lock(&self.inner().state);
        let kind = state.kind::<K>()?;
        let key = Key::new(namespace, name);
        Ok(state.patch(&kind, &key, PatchKind::Merge, patch.clone(), &options)?.object)
    }

    /// Deletes an object as a client would, without HTTP (finalizers are respected).
    ///
    /// # Errors
    /// When there is no such object.
    pub fn remove<K>(&self, namespace: &str, name: &str) -> Result<(), Refusal>
    where
        K: Resource<DynamicType = ()>,
    {
        let now = self.clock().now();
        let mut state = lock(&self.inner().state);
        let kind = state.kind::<K>()?;
        state.delete(&kind, &Key::new(namespace, name), &DeleteOptions::default(), now).map(|_| ())
    }
}

impl crate::api::State {
    fn kind<K: Resource<DynamicType = ()>>(&self) -> Result<std::sync::Arc<Kind>, Refusal> {
        self.catalog.find(&K::group(&()), &K::version(&()), &K::plural(&())).ok_or_else(Refusal::no_route)
    }
}
