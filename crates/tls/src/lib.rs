//! Certificates: loading, making, hot reload; TLS acceptors and connectors.
