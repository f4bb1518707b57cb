//! Triggers without a remote: they look at the clock or at the cluster itself, or leave the looking to the HPA.

#[cfg(test)]
mod cluster;
mod pod_resource;

keda_scaler::scalers! { cpu, cron, kubernetes_resource, kubernetes_workload, memory }
