//! Whose certificates mean what: the CA and headers of the cluster's front proxy, and the CA of clients that are users.
//!
//! Two sources: the ConfigMap `kube-system/extension-apiserver-authentication`, watched, and files of the command line, polled; a file
//! goes before the ConfigMap. Their followers are the only writers. Readers take a snapshot; what a source said last stays when it
//! goes away or says something unusable.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use keda_tls::Roots;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::options::{Options, RequestHeaderOptions};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// How often files are looked at, as [`keda_tls::Folder`] does.
const LOOK: Duration = keda_tls::Folder::INTERVAL;

/// A snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchors {
    /// Who may speak for others, and how.
    pub(crate) front_proxy: Option<FrontProxy>,
    /// Who signs users' certificates.
    pub(crate) clients: Option<Roots>,
}

/// A proxy that has authenticated the user and says so in headers.
#[derive(Clone, Debug)]
pub(crate) struct FrontProxy {
    pub(crate) roots: Roots,
    /// Common names of its certificate; empty: any.
    pub(crate) allowed_names: Vec<String>,
    pub(crate) headers: Headers,
}

/// Lower-case names of headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) username: Vec<String>,
    pub(crate) uid: Vec<String>,
    pub(crate) group: Vec<String>,
    pub(crate) extra_prefix: Vec<String>,
}

/// The sources, put together.
#[derive(Debug)]
pub(crate) struct Trust {
    current: ArcSwap<Anchors>,
    parts: Mutex<Parts>,
    client_ca_file: Option<PathBuf>,
    request_header: Option<RequestHeaderOptions>,
    lookup: Lookup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    Skipped,
    Tolerated,
    Needed,
}

#[derive(Debug, Default)]
struct Parts {
    cluster: Option<Anchors>,
    file: Anchors,
    /// Why the newest of a source is not in use, by source.
    cluster_error: Option<String>,
    file_error: Option<String>,
    /// Contents as read last, so that a follower acts on changes only.
    seen: Option<Contents>,
}

/// Bytes of the two files, each if it was asked for.
type Contents = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Trust {
    pub(crate) fn new(options: &Options) -> Self {
        let lookup = if options.authentication_skip_lookup {
            Lookup::Skipped
        } else if options.authentication_tolerate_lookup_failure {
            Lookup::Tolerated
        } else {
            Lookup::Needed
        };
        Self {
            current: ArcSwap::default(),
            parts: Mutex::default(),
            client_ca_file: options.client_ca_file.clone(),
            request_header: options.request_header.clone(),
            lookup,
        }
    }

    /// What holds now. The same pointer for as long as nothing changes.
    pub(crate) fn anchors(&self) -> Arc<Anchors> {
        self.current.load_full()
    }

    /// Whether everything that was asked for is there.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let parts = self.parts();
        if self.lookup == Lookup::Needed && parts.cluster.is_none() {
            let why = parts.cluster_error.as_deref().unwrap_or("not read so far");
            return Err(format!("configmap {NAMESPACE}/{NAME}: {why}"));
        }
        let missing = (self.client_ca_file.is_some() && parts.file.clients.is_none())
            || (self.request_header.is_some() && parts.file.front_proxy.is_none());
        if missing {
            return Err(parts.file_error.clone().unwrap_or_else(|| "CA files: not read so far".to_owned()));
        }
        Ok(())
    }

    /// Follows the ConfigMap until `shutdown`. Returns at once when the lookup is skipped.
    pub(crate) async fn follow_cluster(&self, client: Client, shutdown: &CancellationToken) {
        if self.lookup == Lookup::Skipped {
            return;
        }
        let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let only = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = std::pin::pin!(watcher(api, only).default_backoff());
        while let Some(event) = shutdown.run_until_cancelled(events.try_next()).await {
            match event {
                Ok(Some(watcher::Event::Apply(map) | watcher::Event::InitApply(map))) => {
                    self.cluster_says(&map);
                }
                Ok(Some(watcher::Event::InitDone)) => {
                    let mut parts = self.parts();
                    if parts.cluster.is_none() && parts.cluster_error.is_none() {
                        parts.cluster_error = Some("does not exist".to_owned());
                    }
                }
                Ok(Some(watcher::Event::Delete(_))) => {
                    tracing::warn!("configmap {NAMESPACE}/{NAME} was deleted, what it said stays in use");
                }
                Ok(Some(watcher::Event::Init)) => {}
                Ok(None) => return,
                Err(error) => {
                    let text = error.to_string();
                    let mut parts = self.parts();
                    if parts.cluster_error.as_ref() != Some(&text) {
                        tracing::warn!(error = text, "cannot watch configmap {NAMESPACE}/{NAME}");
                        parts.cluster_error = Some(text);
                    }
                }
            }
        }
    }

    /// Follows the files until `shutdown`. Returns at once when there are none.
    pub(crate) async fn follow_files(self: Arc<Self>, shutdown: &CancellationToken) {
        if self.client_ca_file.is_none() && self.request_header.is_none() {
            return;
        }
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let this = self.clone();
            if tokio::task::spawn_blocking(move || this.read_files()).await.is_err() {
                return; // the runtime is going away
            }
        }
    }

    fn cluster_says(&self, map: &ConfigMap) {
        let mut parts = self.parts();
        match of_config_map(map) {
            Ok(anchors) => {
                tracing::info!(
                    front_proxy = anchors.front_proxy.is_some(),
                    client_ca = anchors.clients.is_some(),
                    "read how the cluster authenticates"
                );
                parts.cluster = Some(anchors);
                parts.cluster_error = None;
                self.publish(&parts);
            }
            Err(reason) => {
                tracing::error!(error = reason, "configmap {NAMESPACE}/{NAME} cannot be used");
                parts.cluster_error = Some(reason);
            }
        }
    }

    fn read_files(&self) {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let clients = self.client_ca_file.as_ref().map(read).transpose();
        let proxy = self.request_header.as_ref().map(|options| read(&options.client_ca_file)).transpose();
        let read = clients.and_then(|clients| proxy.map(|proxy| (clients, proxy)));
        let mut parts = self.parts();
        let outcome = read.and_then(|contents| {
            if parts.seen.as_ref() == Some(&contents) {
                return Ok(());
            }
            let roots = |name: &str, pem: &Option<Vec<u8>>| {
                pem.as_ref().map(|pem| Roots::from_pem(name, pem).map_err(|e| e.to_string())).transpose()
            };
            let file = Anchors {
                clients: roots("client-ca-file", &contents.0)?,
                front_proxy: match (roots("requestheader-client-ca-file", &contents.1)?, &self.request_header)
                {
                    (Some(roots), Some(options)) => Some(FrontProxy {
                        roots,
                        allowed_names: options.allowed_names.clone(),
                        headers: Headers {
                            username: lower(&options.username_headers),
                            uid: lower(&options.uid_headers),
                            group: lower(&options.group_headers),
                            extra_prefix: lower(&options.extra_headers_prefix),
                        },
                    }),
                    _ => None,
                },
            };
            tracing::info!("CA files loaded");
            parts.seen = Some(contents);
            parts.file = file;
            self.publish(&parts);
            Ok(())
        });
        let error = outcome.err();
        if let Some(error) = &error
            && parts.file_error.as_ref() != Some(error)
        {
            tracing::warn!(error, "CA files cannot be used, the last good ones stay");
        }
        parts.file_error = error;
    }

    fn publish(&self, parts: &Parts) {
        let cluster = parts.cluster.clone().unwrap_or_default();
        let file = parts.file.clone();
        self.current.store(Arc::new(Anchors {
            front_proxy: file.front_proxy.or(cluster.front_proxy),
            clients: file.clients.or(cluster.clients),
        }));
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        // Whole after any panic: fields are replaced one by one and none depends on another.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of the ConfigMap: `k8s.io/apiserver/pkg/server/options/authentication.go` and the controller that writes it.
fn of_config_map(map: &ConfigMap) -> Result<Anchors, String> {
    let text = |key: &str| map.data.as_ref().and_then(|data| data.get(key)).filter(|text| !text.is_empty());
    let list = |key: &str| match text(key) {
        Some(text) => serde_json::from_str::<Vec<String>>(text).map_err(|error| format!("{key}: {error}")),
        None => Ok(Vec::new()),
    };
    let roots = |key: &str| {
        text(key)
            .map(|pem| Roots::from_pem(key, pem.as_bytes()).map_err(|error| error.to_string()))
            .transpose()
    };
    let front_proxy = match roots("requestheader-client-ca-file")? {
        Some(roots) => Some(FrontProxy {
            roots,
            allowed_names: list("requestheader-allowed-names")?,
            headers: Headers {
                username: lower(&list("requestheader-username-headers")?),
                uid: lower(&list("requestheader-uid-headers")?),
                group: lower(&list("requestheader-group-headers")?),
                extra_prefix: lower(&list("requestheader-extra-headers-prefix")?),
            },
        }),
        None => None,
    };
    Ok(Anchors { front_proxy, clients: roots("client-ca-file")? })
}

fn lower(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_ascii_lowercase()).collect()
}
