//! Objects of one kind by namespace and name, and by the words that others look for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keda_core::admission::neighbours::{Autoscaler, Claim};

use crate::ObjectKey;

/// What a value is found by besides its name.
pub trait Found {
    /// Its words; they need not be unique.
    fn words(&self) -> Vec<&str>;
}

impl Found for Claim {
    fn words(&self) -> Vec<&str> {
        vec![&self.workload.name, &self.autoscaler]
    }
}

impl Found for Autoscaler {
    fn words(&self) -> Vec<&str> {
        vec![&self.workload.name]
    }
}

/// The values. Memory follows the number of objects; a lookup costs what it finds.
pub struct Shelf<V> {
    namespaces: HashMap<String, Namespace<V>>,
}

struct Namespace<V> {
    values: BTreeMap<String, V>,
    names: HashMap<String, BTreeSet<String>>,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self { namespaces: HashMap::new() }
    }
}

impl<V> Default for Namespace<V> {
    fn default() -> Self {
        Self { values: BTreeMap::new(), names: HashMap::new() }
    }
}

impl<V: Found + Clone> Shelf<V> {
    /// Puts a value in, in the place of the one of its name.
    pub fn put(&mut self, key: &ObjectKey, value: V) {
        self.remove(key);
        let namespace = self.namespaces.entry(key.namespace.clone()).or_default();
        for word in value.words() {
            namespace.names.entry(word.to_owned()).or_default().insert(key.name.clone());
        }
        namespace.values.insert(key.name.clone(), value);
    }

    /// The value of a name.
    pub fn get(&self, key: &ObjectKey) -> Option<&V> {
        self.namespaces.get(&key.namespace)?.values.get(&key.name)
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &ObjectKey) {
        let Some(namespace) = self.namespaces.get_mut(&key.namespace) else { return };
        let Some(value) = namespace.values.remove(&key.name) else { return };
        for word in value.words() {
            if let Some(names) = namespace.names.get_mut(word) {
                names.remove(&key.name);
                if names.is_empty() {
                    namespace.names.remove(word);
                }
            }
        }
        if namespace.values.is_empty() {
            self.namespaces.remove(&key.namespace);
        }
    }

    /// The values that are found by any of the words, each once, by name.
    pub fn find(&self, namespace: &str, words: &[&str]) -> Vec<V> {
        let Some(namespace) = self.namespaces.get(namespace) else { return Vec::new() };
        let names: BTreeSet<&String> =
            words.iter().filter_map(|word| namespace.names.get(*word)).flatten().collect();
        names.into_iter().filter_map(|name| namespace.values.get(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Found for &'static [&'static str] {
        fn words(&self) -> Vec<&str> {
            self.to_vec()
        }
    }

    #[test]
    fn values_are_found_by_their_words_and_leave_nothing_behind() {
        let mut shelf: Shelf<&'static [&'static str]> = Shelf::default();
        let (one, two) = (ObjectKey::new("shop", "one"), ObjectKey::new("shop", "two"));
        shelf.put(&two, &["app", "x"]);
        shelf.put(&one, &["app", "y"]);
        assert_eq!(shelf.find("shop", &["app", "y"]), [&["app", "y"], &["app", "x"]]);
        assert!(shelf.find("elsewhere", &["app"]).is_empty());
        shelf.put(&one, &["other"]);
        assert_eq!(shelf.find("shop", &["app"]), [&["app", "x"]]);
        assert!(shelf.find("shop", &["y"]).is_empty());
        shelf.remove(&one);
        shelf.remove(&two);
        shelf.remove(&two);
        assert!(shelf.namespaces.is_empty());
    }
}
