//! All metadata of a trigger, for triggers that pass it on.

use std::collections::BTreeMap;
use std::fmt;

use super::Lookup;
use super::lookup::FROM_ENV;
use crate::Secret;

/// The metadata as it stands in the manifest, but for entries `<name>FromEnv`: they keep their key and have the value of
/// the variable that they name, and are left out where that is unset or empty (upstream's `pkg/scalers/external_scaler.go`).
/// Shows keys only: what comes from an environment may be a credential.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Whole(BTreeMap<String, String>);

impl Whole {
    /// The entries. The caller must not log them or put them into an error.
    pub fn expose(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Lookup<'_> {
    /// Reads all metadata. Values of the environment are credentials from here on.
    pub fn whole(&mut self) -> Whole {
        let mut all = BTreeMap::new();
        let given = self.given;
        for (key, value) in &given.metadata {
            if !key.ends_with(FROM_ENV) {
                all.insert(key.clone(), value.clone());
                continue;
            }
            if let Some(value) = given.env.get(value).filter(|value| !value.is_empty()) {
                self.secrets.insert(Secret::from(value.as_str()));
                all.insert(key.clone(), value.clone());
            }
        }
        Whole(all)
    }
}
