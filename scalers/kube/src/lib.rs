//! Triggers without a remote.
