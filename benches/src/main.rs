//! Load and scale measurements.
fn main() {}
