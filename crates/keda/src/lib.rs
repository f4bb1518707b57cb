//! What of the executable is a library too: the offline check of manifests, so that its fuzz target reaches it.

pub mod lint;
