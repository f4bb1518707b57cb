//! The API server as the operator and the webhooks use it: requests with retries and deadlines ([`Cluster`], [`retry`]), kinds
//! by discovery ([`Cluster::resolve`]), watches ([`follow`](mod@follow)) and a place for what they bring ([`Shelf`]), events ([`events`]).

pub mod events;
pub mod follow;
mod key;
pub mod reasons;
mod requests;
mod shelf;

pub use key::ObjectKey;
pub use requests::{
    Cluster, ResolveError, Target, bounded, is_conflict, is_not_found, is_temporary, retry, words,
};
pub use shelf::{Found, Shelf};
