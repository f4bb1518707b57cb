//! TriggerAuthentication to parameters and identities: what an `authenticationRef` means, and what a container's environment says.
//!
//! [`resolve`] turns a reference into parameters for one trigger, [`container_env`] turns a pod template into the
//! variables that `...FromEnv` metadata reads. Both read the cluster by name through
//! [`kube::Reader`](keda_scaler::kube::Reader) only, keep nothing, and write nothing; [`Tracked`] says afterwards what
//! was read, so that a change to one of these objects can reach the trigger at once.
//!
//! [`Stores`] asks the secret stores that a TriggerAuthentication names.
//!
//! [`Brokers`] turns the identities that TriggerAuthentications ask for into tokens and credentials: [`aws`], [`azure`],
//! [`gcp`], and [`oauth2`] for client credentials anywhere.
//!
//! Upstream logs most failures and goes on with an empty parameter, which makes an unauthenticated trigger out of a
//! typing error. Here each of them is an [`Error`] that names the parameter, the object and the key. No error ever
//! carries a value.

mod answer;
pub mod aws;
pub mod azure;
mod binding;
mod broker;
mod brokers;
mod claims;
mod env;
mod error;
mod file;
pub mod gcp;
mod identity;
pub mod oauth2;
mod problem;
mod resolve;
mod stores;
mod tracked;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod over_tls;

pub use brokers::{Brokers, Counts, Settings};
pub use env::container_env;
pub use error::{Error, RETIRED};
pub use resolve::{BOUND_TOKEN_LIFETIME, Files, Resolved, Scope, resolve, unsupported};
pub use stores::{Stores, VaultSettings};
pub use tracked::{ReadKey, Tracked};
