//! Every trigger of this product in one list, and what follows from their declarations.
//!
//! A trigger declares its parameters once (`#[derive(TriggerConfig)]`). From that come the parser, and here: the schema
//! that tools read ([`schema`]), the reference page that people read ([`page`]), and the JSON schemas with which an editor
//! completes and checks a manifest ([`editor`]). All of it is pure; `keda schema` prints it and `cargo xtask generate`
//! commits it.

pub mod editor;
pub mod page;
pub mod schema;

use keda_scaler::{Factory, Registry};

/// All trigger types of this product. A new family is one more line here.
pub fn registry() -> Registry {
    Registry::new(&[&keda_scalers_grpc::FAMILY, &keda_scalers_http::FAMILY, &keda_scalers_kube::FAMILY])
}

/// All triggers, sorted by type.
pub fn factories() -> Vec<Factory> {
    let registry = registry();
    registry.types().filter_map(|word| registry.get(word).ok().copied()).collect()
}
