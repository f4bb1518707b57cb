//! Where the credentials of a TriggerAuthentication may be sent: its annotation, whose they are, and the operator's flags.

use std::collections::BTreeMap;

use keda_scaler::destinations::{ANNOTATION, Bound, Destinations, Hosts, Policy, host_of};
use keda_scaler::identity::Owner;
use keda_scaler::{PodIdentity, Secret};

use crate::resolve::Scope;
use crate::{Error, ReadKey};

/// What is known before any credential is.
pub(crate) struct Binding {
    owner: ReadKey,
    listed: Option<Hosts>,
    policy: Policy,
    /// The scaled object is in the cluster object namespace, whose users are the cluster's administrators.
    administered: bool,
}

impl Binding {
    /// Reads the object's annotation.
    ///
    /// # Errors
    /// It holds something that is no host.
    pub(crate) fn of(
        owner: &ReadKey,
        annotations: &BTreeMap<String, String>,
        scope: &Scope,
    ) -> Result<Self, Error> {
        let listed = annotations.get(ANNOTATION).map(|list| Hosts::parse(list)).transpose();
        let listed = listed.map_err(|text| Error::Hosts { origin: owner.clone(), text })?;
        Ok(Self {
            owner: owner.clone(),
            listed,
            policy: scope.destinations.clone(),
            administered: scope.cluster_object_namespace.as_ref() == Some(&scope.namespace),
        })
    }

    /// Whether an administrator of the cluster wrote the object.
    fn is_of_the_cluster(&self) -> bool {
        self.owner.namespace.is_none()
    }

    fn bound(&self, listed: Option<Hosts>, cluster: Option<&'static str>) -> Bound {
        Bound {
            owner: self.owner.to_string(),
            listed,
            cluster: cluster.filter(|_| !self.administered),
            known: self.policy.hosts.clone(),
            mode: self.policy.mode,
        }
    }

    /// For what the trigger shows. An address that the parameters themselves name was chosen by whoever wrote them.
    pub(crate) fn destinations(
        &self,
        params: &BTreeMap<String, Secret>,
        identity: &PodIdentity,
    ) -> Destinations {
        let operators = identity.provider().is_some() && identity.identity_owner == Owner::Keda;
        let cluster = match (operators, self.is_of_the_cluster() && !params.is_empty()) {
            (true, _) => Some("the operator's identity, by podIdentity"),
            (false, true) => Some("a parameter"),
            (false, false) => None,
        };
        let mut bound = self.bound(self.listed.clone(), cluster);
        if self.is_of_the_cluster() {
            for (host, _) in params.values().filter_map(|value| host_of(value.expose())) {
                bound.known.extend(Hosts::parse(&host).unwrap_or_default());
            }
        }
        Destinations::new(bound)
    }

    /// For what the operator shows to a secret store at an address that the object names. The hosts that it lists are for
    /// triggers.
    pub(crate) fn own(&self, what: &'static str) -> Destinations {
        Destinations::new(self.bound(None, Some(what).filter(|_| !self.is_of_the_cluster())))
    }
}
