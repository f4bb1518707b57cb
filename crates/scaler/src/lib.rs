//! What a trigger is, and the frame that runs it.
//!
//! [`Registry`] finds a trigger by type. *Parsing* turns texts into a typed config and a plan ([`Parsed`]: metric names,
//! targets, notices), purely; *connecting* gives a [`Live`] trigger, and sampling that gives one [`Outcome`] a metric,
//! within a deadline, whatever the trigger or its source does. Triggers reach the world only through the
//! [`Environment`]. A new trigger implements [`Trigger`] in a folder of its own in one of the family crates.

// The derive writes paths that begin with `keda_scaler`, in tests in here too.
extern crate self as keda_scaler;

pub mod aws;
mod catalogue;
pub mod clock;
pub mod config;
mod context;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod destinations;
mod environment;
mod error;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod json_path;
pub mod judge;
pub mod kube;
mod link;
mod live;
mod nearest;
mod parsed;
mod push;
mod registry;
mod secret;
pub mod telemetry;
mod trigger;
pub mod variables;

pub use keda_scaler_macros::{TriggerConfig, Words};

pub use self::catalogue::{Code, Entry};
pub use self::clock::Clock;
pub use self::config::{Secrets, TriggerConfig};
pub use self::context::{Context, Parameters};
pub use self::environment::Environment;
pub use self::error::{Error, Kind};
pub use self::identity::PodIdentity;
pub use self::json_path::JsonPath;
pub use self::link::{Http, Link};
pub use self::live::{Live, Outcome, Reading};
pub use self::nearest::nearest;
pub use self::parsed::Parsed;
pub use self::push::{Signal, Signals};
pub use self::registry::{Factory, Family, Notice, NoticeKind, Registry};
pub use self::secret::Secret;
pub use self::telemetry::Telemetry;
pub use self::trigger::{Measurement, Metric, Source, Target, Trigger, Unsampled};

/// What the code that `#[derive(TriggerConfig)]` writes refers to. Not for other use.
#[doc(hidden)]
pub mod derive {
    pub use serde_json::{Map, Value as Json};
}
