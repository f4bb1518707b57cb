//! What a formula may cost. Go's expr allows 10,000 nodes and a million values; it has no other bound.

/// Bytes of a formula.
pub const LENGTH: usize = 16 * 1024;
/// How deep it may nest, operators in a row included: `a + b + c` is three deep.
pub const DEPTH: usize = 128;
/// Parts of a formula (names, numbers, operators, calls), as in Go's expr.
pub const NODES: usize = 10_000;
/// Steps of one evaluation: each part each time it is evaluated, and each element that a function looks at. Together a few
/// milliseconds.
pub const STEPS: usize = 200_000;
/// Values and, by sixteen bytes, text that one evaluation may create; Go's expr allows a million.
pub const MEMORY: usize = 100_000;
/// How deep arrays and maps may hold one another.
pub const NESTING: usize = 64;
