//! A rustls configuration that is rebuilt when its certificates change.
//!
//! Rebuilding also drops the session cache: a session that was begun under an old CA is not resumed past its replacement.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{Error, Folder, Identity};

#[derive(Debug)]
pub(crate) struct Followed<C> {
    folder: Folder,
    built: ArcSwapOption<(Arc<Identity>, Arc<C>)>,
}

impl<C> Followed<C> {
    pub(crate) fn new(folder: Folder) -> Self {
        Self { folder, built: ArcSwapOption::empty() }
    }

    /// The configuration for the certificates of this moment.
    pub(crate) fn get(&self, build: impl FnOnce(&Identity) -> Result<C, Error>) -> Result<Arc<C>, Error> {
        let Some(identity) = self.folder.current() else {
            let reason = self.folder.status().error.unwrap_or_else(|| "not read so far".to_owned());
            return Err(Error::Empty(reason));
        };
        if let Some(built) = &*self.built.load()
            && Arc::ptr_eq(&built.0, &identity)
        {
            return Ok(built.1.clone());
        }
        // Two handshakes may build the same thing at a change; the last one stays.
        let config = Arc::new(build(&identity)?);
        self.built.store(Some(Arc::new((identity, config.clone()))));
        Ok(config)
    }
}
