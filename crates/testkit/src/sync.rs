//! Locks. Nothing that is held here spans an await or calls out, so a poisoned lock only means that a test already
//! failed elsewhere; its value is still whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
