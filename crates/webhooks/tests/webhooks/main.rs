//! The webhooks over TLS, asked as an API server asks them, on the API server in memory.

#![expect(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::panic, clippy::expect_used, reason = "these are tests")]
#![allow(clippy::needless_pass_by_value, reason = "cases are written in place")]

mod client;
mod kinds;
mod limits;
mod lookups;
mod operations;
mod scaled_object;
mod speed;
mod stage;
mod triggers;
