//! Certificates: loading, making, hot reload; TLS acceptors and connectors.
//!
//! One provider (aws-lc-rs), installed by [`install_provider`] at process start. A [`Folder`] keeps what its files held when they were
//! last good; [`Acceptor`] and [`Connector`] look there at each handshake, so new certificates serve the next connection and no restart
//! or signal is needed. Mutual TLS trusts the folder's `ca.crt` and nothing else: upstream (`pkg/metricsservice/utils/tls.go`) also
//! trusts the system's pool and keeps every CA it has ever seen.

mod acceptor;
mod certificate;
mod connector;
mod folder;
mod followed;
mod identity;
mod incoming;
pub mod make;
pub mod policy;
mod serve;

pub use acceptor::{Acceptor, ClientAuth, Protocols};
pub use certificate::Certificate;
pub use connector::Connector;
pub use folder::{Files, Folder, Status};
pub use identity::{Identity, Roots};
pub use incoming::{Connection, Incoming, Peer};
pub use make::{Bundle, generate};
pub use policy::Policy;
pub use serve::{Limits, serve};

use std::path::PathBuf;

/// Makes aws-lc-rs the TLS provider of this process. Call it first in `main`; later calls change nothing.
pub fn install_provider() {
    // The only error is that a provider is installed, and no code of ours installs another one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file holds something else than what its name promises.
    #[error("{what}: {reason}")]
    Content {
        /// The file, or what was given instead of one.
        what: String,
        /// What is wrong with it. Never part of a key.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// rustls refuses a configuration.
    #[error("tls: {0}")]
    Rustls(#[from] rustls::Error),
    /// Nothing has been loaded so far.
    #[error("no certificate loaded yet: {0}")]
    Empty(String),
}
