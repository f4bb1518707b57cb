//! The operator: watch, reconcile, poll, decide, apply; and the metrics service.
