//! The Secret's four texts: read into facts, and made anew.
//!
//! Keys and labels are upstream's. `ca.crt` may hold several CAs; the first one is the one whose key `ca.key` is, because upstream
//! reads no further.

use std::{collections::BTreeMap, time::SystemTime};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use keda_tls::{
    Certificate, Error,
    make::{Authority, Subject},
};
use kube::api::ObjectMeta;

use super::{
    Rotation,
    plan::{Ca, Facts, LEAF, Leaf, Plan, Work},
};

const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CERT: &str = "tls.crt";
const KEY: &str = "tls.key";

/// What the keys of the Secret hold; empty where one is missing. No Debug: two of them are secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) ca: Vec<u8>,
    pub(super) ca_key: Vec<u8>,
    pub(super) cert: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Content {
    pub(super) fn of(secret: &Secret) -> Self {
        let bytes = |key: &str| {
            secret
                .data
                .as_ref()
                .and_then(|data| data.get(key))
                .map(|bytes| bytes.0.clone())
                .unwrap_or_default()
        };
        Self { ca: bytes(CA_CERT), ca_key: bytes(CA_KEY), cert: bytes(CERT), key: bytes(KEY) }
    }

    /// The same without the CA's key: what is left of a Secret that somebody deleted to get new certificates. What was served
    /// stays served until the new ones are known everywhere.
    pub(super) fn without_authority(self) -> Self {
        Self { ca_key: Vec::new(), ..self }
    }

    /// The Secret with this content: `live` with its other members as they are, or a new one.
    pub(super) fn secret(&self, live: Option<Secret>, name: &str, namespace: &str) -> Secret {
        let mut secret = live.unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                labels: Some(labels()),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        });
        let data = secret.data.get_or_insert_default();
        for (key, bytes) in
            [(CA_CERT, &self.ca), (CA_KEY, &self.ca_key), (CERT, &self.cert), (KEY, &self.key)]
        {
            data.insert(key.to_owned(), ByteString(bytes.clone()));
        }
        secret
    }

    /// What the texts say. A text that cannot be read counts as missing.
    pub(super) fn facts(&self) -> Facts {
        let cas = Certificate::read(&self.ca).unwrap_or_default();
        let leaf = Certificate::read(&self.cert)
            .ok()
            .and_then(|chain| chain.into_iter().next())
            .filter(|leaf| leaf.owns(&self.key));
        Facts {
            signer: cas.iter().position(|ca| ca.owns(&self.ca_key)),
            leaf: leaf.map(|leaf| Leaf {
                from: leaf.not_before,
                until: leaf.not_after,
                issuer: cas.iter().position(|ca| leaf.signed_by(ca)),
                names: leaf.names,
                for_both_ends: leaf.for_both_ends,
            }),
            cas: cas
                .iter()
                .map(|ca| Ca { from: ca.not_before, until: ca.not_after, may_sign: ca.is_ca })
                .collect(),
        }
    }

    /// What it becomes by a plan. Makes keys, which takes up to a second: not for an async thread.
    ///
    /// # Errors
    /// When a key or a certificate cannot be made.
    pub(super) fn carry_out(
        &self,
        plan: &Plan,
        facts: &Facts,
        rotation: &Rotation,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let cas = Certificate::read(&self.ca).unwrap_or_default();
        let mut next = self.clone();
        let (authority, known) = match (plan.work, facts.signer.and_then(|at| cas.get(at))) {
            (Work::Authority | Work::Everything, _) | (Work::Leaf, None) => {
                (Some(Authority::new("KEDA", "KEDAORG", rotation.key, now)?), None)
            }
            (Work::Leaf, Some(ca)) => (Some(Authority::load(&ca.pem(), &self.ca_key)?), facts.signer),
            (Work::Nothing, _) => (None, facts.signer),
        };
        let first = match (&authority, known) {
            (Some(authority), None) => {
                next.ca_key = authority.key().into_bytes();
                Some(authority.certificate().to_owned())
            }
            (_, at) => at.and_then(|at| cas.get(at)).map(Certificate::pem),
        };
        let others = cas.iter().enumerate().filter(|(at, _)| Some(*at) != known && !plan.drop.contains(at));
        next.ca = first.into_iter().chain(others.map(|(_, ca)| ca.pem())).collect::<String>().into_bytes();
        if let (Work::Leaf | Work::Everything, Some(authority)) = (plan.work, &authority) {
            let common_name = rotation.names.first().map_or("keda-operator", String::as_str);
            let subject = Subject { common_name, organization: "", names: &rotation.names };
            let (cert, key) = authority.issue(&subject, now, LEAF)?;
            (next.cert, next.key) = (cert.into_bytes(), key.into_bytes());
        }
        Ok(next)
    }
}

fn labels() -> BTreeMap<String, String> {
    let operator = ["app", "app.kubernetes.io/name", "app.kubernetes.io/component"];
    let labels = operator.into_iter().map(|key| (key, "keda-operator"));
    labels.chain([("app.kubernetes.io/part-of", "keda")]).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
