//! Fewest, most and idle replicas of a ScaledObject, checked.
//!
//! The same check runs at admission and on every reconcile (`apis/keda/v1alpha1/scaledobject_types.go`). It has one
//! corner: `minReplicaCount: 0` and no `minReplicaCount` scale alike, but with an explicit 0 the check takes the HPA's
//! minimum, 1, so that an idle count of 0 is allowed there and refused where the minimum is unset.

use keda_api::ScaledObjectSpec;
use serde::Serialize;

/// Upstream's default for `maxReplicaCount`.
const DEFAULT_MAX: i32 = 100;

/// The replica counts an object moves between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// `minReplicaCount`, 0 if unset.
    pub min: i32,
    /// `maxReplicaCount`, 100 if unset.
    pub max: i32,
    /// `idleReplicaCount`: replicas while nothing is active. None: the minimum.
    pub idle: Option<i32>,
}

impl Bounds {
    /// The bounds of a spec.
    ///
    /// # Errors
    /// [`Error`], with upstream's texts, when they contradict each other.
    pub fn of(spec: &ScaledObjectSpec) -> Result<Self, Error> {
        let bounds = Self {
            min: spec.min_replica_count.unwrap_or(0),
            max: spec.max_replica_count.unwrap_or(DEFAULT_MAX),
            idle: spec.idle_replica_count,
        };
        let checked_min = spec.min_replica_count.map_or(0, |_| bounds.hpa_min());
        if checked_min > bounds.max {
            return Err(Error::MinAboveMax { min: checked_min, max: bounds.max });
        }
        match bounds.idle {
            Some(idle) if idle >= checked_min => Err(Error::IdleNotBelowMin { idle, min: checked_min }),
            _ => Ok(bounds),
        }
    }

    /// `minReplicas` of the HPA, which does not go below one.
    pub fn hpa_min(&self) -> i32 {
        self.min.max(1)
    }

    /// Replicas of an object in which nothing is active.
    pub fn at_rest(&self) -> i32 {
        self.idle.unwrap_or(self.min)
    }
}

/// The bounds contradict each other. The texts are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Equal is allowed, whatever the text says.
    #[error("MinReplicaCount={min} must be less than MaxReplicaCount={max}")]
    MinAboveMax {
        /// The minimum as checked: at least 1 when it is set.
        min: i32,
        /// The maximum.
        max: i32,
    },
    /// The idle count has to be below the minimum.
    #[error("IdleReplicaCount={idle} must be less than MinReplicaCount={min}")]
    IdleNotBelowMin {
        /// The idle count.
        idle: i32,
        /// The minimum as checked: at least 1 when it is set.
        min: i32,
    },
}

#[cfg(test)]
mod tests;
