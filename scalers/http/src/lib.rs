//! Triggers that ask an HTTP endpoint.
