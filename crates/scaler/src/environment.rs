//! What a connected trigger reaches the world through.

use std::fmt;
use std::sync::Arc;

use crate::{Clock, grpc, http, identity::Tokens, kube, telemetry::Telemetry};

/// The world as the operator (or a test) gives it to triggers. Cheap to clone.
#[derive(Clone)]
pub struct Environment {
    /// HTTP, shared by all triggers of the process.
    pub http: Arc<dyn http::Transport>,
    /// gRPC, its connections shared by all triggers of the process.
    pub grpc: grpc::Channels,
    /// Wall time.
    pub clock: Clock,
    /// Single objects of the cluster.
    pub kube: Arc<dyn kube::Reader>,
    /// Tokens of the process's and the workloads' identities.
    pub tokens: Arc<dyn Tokens>,
    /// Where the frame reports to.
    pub telemetry: Arc<dyn Telemetry>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("clock", &self.clock).finish_non_exhaustive()
    }
}
