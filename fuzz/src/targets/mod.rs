//! The functions, by what they are given.

pub(crate) mod entries;
pub(crate) mod manifests;
pub(crate) mod texts;
pub(crate) mod triggers;

use std::future::Future;

/// Runs something that waits for nobody.
fn now<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// The first byte, and the rest as text.
fn choice(data: &[u8]) -> (u8, std::borrow::Cow<'_, str>) {
    let (first, rest) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    (first, String::from_utf8_lossy(rest))
}
