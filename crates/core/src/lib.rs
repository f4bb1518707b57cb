//! Every decision of keda-rs, pure: activity, cooldown, replicas, HPA, names, cron.
