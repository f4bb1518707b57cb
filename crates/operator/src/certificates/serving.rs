//! The Secret's certificates, in the metrics service of every replica.
//!
//! The Secret itself is watched: a replica serves what it holds within moments, whether or not it leads, and knows nothing of the
//! kubelet's delay. Files in `--cert-dir` count at start, until the Secret was read. They are written too, where the folder is not the kubelet's:
//! an operator outside a pod shares them with the adapter beside it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use keda_tls::{Bundle, Files, Folder};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::content::Content;

/// What the metrics service serves, fed by the Secret. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Serving {
    folder: Folder,
    /// `--cert-dir`, unless the kubelet owns it.
    copy_to: Option<PathBuf>,
    changed: Arc<Notify>,
}

impl Serving {
    /// Serves the files of `cert_dir` first, if they are there.
    pub(crate) fn new(cert_dir: &Path) -> Self {
        let folder = Folder::awaiting(Files::in_folder(cert_dir));
        if folder.reload().is_ok() {
            tracing::info!(logger = "cert-rotation", folder = %cert_dir.display(), "serving the folder's certificates until the secret was read");
        }
        let kubelets = cert_dir.join("..data").symlink_metadata().is_ok();
        Self { folder, copy_to: (!kubelets).then(|| cert_dir.to_owned()), changed: Arc::default() }
    }

    /// What to serve.
    pub(crate) fn folder(&self) -> Folder {
        self.folder.clone()
    }

    /// Resolves after a change of the Secret.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Follows the Secret until the shutdown.
    pub(crate) async fn follow(
        self,
        client: Client,
        namespace: String,
        name: String,
        shutdown: CancellationToken,
    ) {
        let api: Api<Secret> = Api::namespaced(client, &namespace);
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = std::pin::pin!(watcher(api, only).default_backoff());
        let mut told = None;
        while let Some(event) = shutdown.run_until_cancelled(events.try_next()).await {
            match event {
                Ok(Some(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret))) => {
                    told = None;
                    self.take(&Content::of(&secret)).await;
                    self.changed.notify_one();
                }
                Ok(Some(watcher::Event::Delete(_))) => self.changed.notify_one(),
                Ok(Some(watcher::Event::Init | watcher::Event::InitDone)) => {}
                Ok(None) => return,
                Err(error) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::warn!(logger = "cert-rotation", secret = %format!("{namespace}/{name}"), error = text, "cannot watch the secret");
                    }
                    told = Some(text);
                }
            }
        }
    }

    /// Serves a content from here on. One that is not whole is no news: the leader is about to mend it.
    pub(super) async fn take(&self, content: &Content) {
        let Content { ca, cert, key, .. } = content;
        if ca.is_empty() || cert.is_empty() || key.is_empty() {
            return;
        }
        match self.folder.put(Some(ca), cert, key) {
            Ok(true) => {
                let generation = self.folder.status().generation;
                tracing::info!(logger = "cert-rotation", generation, "serving the secret's certificates");
                self.copy(content).await;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(logger = "cert-rotation", error = %error, "the secret's certificates cannot be used");
            }
        }
    }

    async fn copy(&self, content: &Content) {
        let Some(folder) = self.copy_to.clone() else { return };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let bundle = Bundle {
            ca: text(&content.ca),
            ca_key: String::new(),
            cert: text(&content.cert),
            key: text(&content.key),
        };
        let written = tokio::task::spawn_blocking(move || bundle.write_to(folder)).await;
        if let Ok(Err(error)) = written {
            // In a pod nobody needs the copy.
            tracing::debug!(logger = "cert-rotation", error = %error, "certificates are not copied to the folder");
        }
    }
}
