//! The Kubernetes API of keda-rs: custom resources, external metrics, quantities, durations, conditions. No I/O.
