//! Thins floods of one record: zap's sampler as controller-runtime sets it (first 100 a second, then 1 in 100).

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::atomic::{AtomicU64, Ordering},
};

const SLOTS: usize = 1024;
const FIRST: u64 = 100;
const THEREAFTER: u64 = 100;

/// Counts records by level and message in a fixed table; two messages that share a slot share its budget.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// The second in the upper half, the count in the lower: both change in one step.
    slots: Box<[AtomicU64]>,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether this record, at this second, is printed.
    pub(crate) fn admits(&self, level: &str, message: &str, second: i64) -> bool {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((level, message));
        let slot = &self.slots[usize::try_from(hash % SLOTS as u64).unwrap_or(0)];
        let second = second as u64 & 0xffff_ffff;
        let count = slot
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                let seen = if old >> 32 == second { old & 0xffff_ffff } else { 0 };
                Some(second << 32 | (seen + 1).min(0xffff_ffff))
            })
            .map_or(1, |old| if old >> 32 == second { (old & 0xffff_ffff) + 1 } else { 1 });
        count <= FIRST || (count - FIRST).is_multiple_of(THEREAFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_a_second_then_one_in_a_hundred() {
        let sampler = Sampler::new();
        let printed = |second| (0..1000).filter(|_| sampler.admits("info", "same", second)).count();
        assert_eq!(printed(1), 109);
        assert_eq!(printed(2), 109);
    }
}
