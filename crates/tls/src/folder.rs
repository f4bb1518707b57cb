//! Certificate files that are followed.
//!
//! Writer: [`Folder::watch`] alone. It compares contents every few seconds instead of asking the kernel for events: the kubelet swaps a
//! symlink (`..data`) above the files, some mounts send no events at all, and three small reads cost nothing. A change that cannot
//! be used (half-written, key of another certificate) is logged once and the last good pair keeps serving. Readers take snapshots.
//!
//! Certificates that come another way (a Secret that is watched) are handed over with [`Folder::put`] instead.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::time::MissedTickBehavior;

use crate::{Error, Identity};

/// Which files. The certificate and its key are needed, the CAs are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Certificates to trust, PEM.
    pub ca: Option<PathBuf>,
    /// Certificate chain, leaf first, PEM.
    pub cert: PathBuf,
    /// Private key of the leaf, PEM.
    pub key: PathBuf,
}

impl Files {
    /// `ca.crt`, `tls.crt` and `tls.key` in `folder`: the names of Kubernetes TLS secrets and of upstream.
    pub fn in_folder(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self { ca: Some(folder.join("ca.crt")), cert: folder.join("tls.crt"), key: folder.join("tls.key") }
    }

    /// Whether all of them are there.
    pub fn exist(&self) -> bool {
        self.ca.iter().chain([&self.cert, &self.key]).all(|path| path.exists())
    }
}

/// How a [`Folder`] is doing.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// How many different contents have been served; 0 until the first.
    pub generation: u64,
    /// How many changed contents could not be used.
    pub failures: u64,
    /// Why the newest content is not the one that is served. `None` when it is.
    pub error: Option<String>,
    /// When the served content was loaded.
    pub loaded: Option<SystemTime>,
    /// When the served certificate ends.
    pub not_after: Option<SystemTime>,
}

/// Certificate files, and what they held when they were last good. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Folder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    current: ArcSwapOption<Identity>,
    /// The writer's memory. Held for the length of a reload, never by a handshake.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was read last, good or bad.
    seen: Option<Contents>,
    status: Status,
}

/// The files' bytes, or why there are none. Compared, never shown.
type Contents = Result<Bytes, String>;

#[derive(PartialEq, Eq)]
struct Bytes {
    ca: Option<Vec<u8>>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bytes(..)")
    }
}

impl Folder {
    /// How often [`Folder::watch`] should look: the kubelet itself takes up to a minute to project a changed secret.
    pub const INTERVAL: Duration = Duration::from_secs(3);

    /// `ca.crt`, `tls.crt` and `tls.key` in `folder`, loaded now.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_files(Files::in_folder(folder))
    }

    /// The given files, loaded now.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open_files(files: Files) -> Result<Self, Error> {
        let this = Self::awaiting(files);
        this.reload()?;
        Ok(this)
    }

    /// The given files, which may not be there yet: nothing is loaded until [`Folder::watch`] or [`Folder::reload`] finds them.
    pub fn awaiting(files: Files) -> Self {
        Self { inner: Arc::new(Inner { files, current: ArcSwapOption::empty(), state: Mutex::default() }) }
    }

    /// A certificate that is in memory only and never changes.
    pub fn fixed(identity: Identity) -> Self {
        let nowhere = Files { ca: None, cert: PathBuf::new(), key: PathBuf::new() };
        let this = Self::awaiting(nowhere);
        let mut state = this.state();
        this.serve(&mut state.status, identity);
        drop(state);
        this
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.inner.files
    }

    /// What is served now. `None` until the files have been good once.
    pub fn current(&self) -> Option<Arc<Identity>> {
        self.inner.current.load_full()
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.state().status.clone()
    }

    /// Reads the files now. True when their content is new and is served from here on.
    ///
    /// # Errors
    /// When the content is new and cannot be used, or nothing has ever been loaded; what was served before still is.
    pub fn reload(&self) -> Result<bool, Error> {
        let mut state = self.state();
        let read = read(&self.inner.files);
        self.take(&mut state, read)
    }

    /// Serves these texts from here on, as if they had been in the files. True when they are new. A folder that is given its content
    /// like this is not to be watched too.
    ///
    /// # Errors
    /// When they cannot be used; what was served before still is.
    pub fn put(&self, ca: Option<&[u8]>, cert: &[u8], key: &[u8]) -> Result<bool, Error> {
        let given = Bytes { ca: ca.map(<[u8]>::to_vec), cert: cert.to_vec(), key: key.to_vec() };
        self.take(&mut self.state(), Ok(given))
    }

    fn take(&self, state: &mut State, read: Result<Bytes, Error>) -> Result<bool, Error> {
        let seen = read.as_ref().map_err(ToString::to_string);
        let unchanged = match (&state.seen, &seen) {
            (Some(Ok(old)), Ok(new)) => old == *new,
            (Some(Err(old)), Err(new)) => old == new,
            _ => false,
        };
        if unchanged && self.inner.current.load().is_some() {
            return Ok(false);
        }
        let loaded = match &read {
            Ok(bytes) => Identity::from_pem(
                &self.inner.files.cert.display().to_string(),
                &bytes.cert,
                &bytes.key,
                bytes.ca.as_deref(),
            ),
            Err(error) => Err(Error::Empty(error.to_string())),
        };
        let loaded = match (read, loaded) {
            (Ok(bytes), loaded) => {
                state.seen = Some(Ok(bytes));
                loaded
            }
            (Err(error), _) => {
                state.seen = Some(Err(error.to_string()));
                Err(error)
            }
        };
        match loaded {
            Ok(identity) => {
                self.serve(&mut state.status, identity);
                Ok(true)
            }
            Err(error) => {
                if !unchanged {
                    state.status.failures += 1;
                }
                state.status.error = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Looks at the files every `interval` until `shutdown`, and serves what changed.
    pub async fn watch(self, interval: Duration, shutdown: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        let mut told = None;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                _ = ticks.tick() => {}
            }
            let this = self.clone();
            let Ok(outcome) = tokio::task::spawn_blocking(move || this.reload()).await else {
                return; // the runtime is going away
            };
            let file = self.inner.files.cert.display();
            match outcome {
                Ok(true) => {
                    told = None;
                    tracing::info!(%file, generation = self.status().generation, "certificates loaded");
                }
                Ok(false) => {}
                Err(error) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        if self.inner.current.load().is_some() {
                            tracing::warn!(%file, %error, "changed certificates cannot be used, the last good ones stay");
                        } else {
                            tracing::warn!(%file, %error, "certificates cannot be used yet");
                        }
                    }
                    told = Some(text);
                }
            }
        }
    }

    fn serve(&self, status: &mut Status, identity: Identity) {
        status.generation += 1;
        status.error = None;
        status.loaded = Some(SystemTime::now());
        status.not_after = Some(identity.not_after());
        self.inner.current.store(Some(Arc::new(identity)));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Plain data, whole after any panic.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files of one projected volume come from one version of it: `..data` is resolved once, so a swap between two reads mixes nothing.
fn read(files: &Files) -> Result<Bytes, Error> {
    let mut resolved: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut one = |path: &Path| {
        let at = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => {
                let known = resolved.iter().find(|(from, _)| from == folder).map(|(_, to)| to.clone());
                let real = known.unwrap_or_else(|| {
                    let real = fs::canonicalize(folder.join("..data")).unwrap_or_else(|_| folder.to_owned());
                    resolved.push((folder.to_owned(), real.clone()));
                    real
                });
                real.join(name)
            }
            _ => path.to_owned(),
        };
        fs::read(at).map_err(|source| Error::File { path: path.to_owned(), source })
    };
    Ok(Bytes {
        ca: files.ca.as_deref().map(&mut one).transpose()?,
        cert: one(&files.cert)?,
        key: one(&files.key)?,
    })
}
