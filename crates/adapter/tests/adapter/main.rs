//! The adapter over real loopback sockets, between an API server and an operator that the tests hold in their hands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod api;
mod authentication;
mod authorization;
mod away;
mod caller;
mod discovery;
mod forms;
mod limits;
mod metric;
mod operator;
mod ready;
mod speed;
mod stage;
