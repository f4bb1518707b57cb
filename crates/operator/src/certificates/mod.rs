//! `--enable-cert-rotation`: the certificates of every KEDA process, kept in one Secret (upstream's
//! `pkg/certificates/certificate_manager.go` and the rotator of open-policy-agent/cert-controller).
//!
//! [`plan`] decides what must be made anew, from facts that [`content`] reads out of the Secret. [`keeper`], at the leader only,
//! carries it out and announces the CA by [`inject`]. [`serving`], at every replica, takes what the Secret holds straight into the
//! metrics service. Upstream waits for the kubelet to bring the files and ends the process to begin with them; here nothing
//! restarts, and a renewal refuses no connection:
//!
//! - A leaf is renewed 90 days before its end by the same CA: whoever trusted the old one trusts the new one.
//! - A new CA first stands beside the old one in `ca.crt` and in every `caBundle`. Only when everybody has had the time to read that
//!   does it sign the leaf. The old CA stays until nothing that it signed is valid any more.

mod content;
mod inject;
mod keeper;
mod plan;
mod serving;
#[cfg(test)]
mod tests;

pub(crate) use keeper::Keeper;
pub(crate) use serving::Serving;

use keda_tls::make::KeyKind;

/// What `--enable-cert-rotation` keeps, and where it announces the CA.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Name of the Secret in the pod's namespace (`--cert-secret-name`).
    pub secret: String,
    /// DNS names that the certificate must carry, all of them; the first one is its common name.
    pub names: Vec<String>,
    /// Put the CA into the APIService of `external.metrics.k8s.io` (`--enable-apiservice-patching`).
    pub api_service: bool,
    /// Put the CA into each webhook of this ValidatingWebhookConfiguration (`--validating-webhook-name`); `None` with
    /// `--enable-webhook-patching=false`.
    pub webhooks: Option<String>,
    /// The kind of new keys: RSA 2048 as upstream, unless a test is in a hurry.
    pub key: KeyKind,
}
