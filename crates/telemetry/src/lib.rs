//! Metrics with upstream's names, logs in zap's shapes, Kubernetes events.
