//! TriggerAuthentication to parameters.
