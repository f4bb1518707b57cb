//! The keda executable.
fn main() {}
