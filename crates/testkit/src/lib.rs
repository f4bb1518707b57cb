//! A Kubernetes API server in memory, controllers, clock, builders, fake sources: for tests and the demo.
