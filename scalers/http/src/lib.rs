//! Triggers that ask an HTTP endpoint.
//!
//! One folder a trigger; the list below declares the modules and the family. What several of them declare alike stands
//! next to them, e.g. [`auth_modes`].

pub mod auth_modes;

keda_scaler::scalers! { prometheus }
