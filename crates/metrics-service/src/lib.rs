//! The gRPC contract between the adapter and the operator.
