//! The parameters of `backlog`.

use keda_scaler::{Secret, TriggerConfig};

/// What a manifest says about a `backlog` trigger.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// Address of the server, e.g. `http://queues.shop:8080`.
    #[param(from(metadata))]
    pub server_address: String,

    /// Name of the queue.
    #[param(from(metadata))]
    pub queue: String,

    /// Messages that one replica stands for.
    #[param(from(metadata), default = 5.0)]
    pub messages: f64,

    /// The trigger is active while there are more messages than this.
    #[param(from(metadata), optional)]
    pub activation_messages: f64,

    /// Bearer token of the requests.
    #[param(from(auth))]
    pub token: Option<Secret>,
}
