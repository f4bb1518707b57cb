//! Triggers without a remote: they look at the clock or at the cluster itself.

keda_scaler::scalers! { cron }
