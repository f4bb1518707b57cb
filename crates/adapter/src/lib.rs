//! The external metrics API server.
