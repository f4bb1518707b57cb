//! The real control plane of the end-to-end tests, brought up for measuring: beside the API server only the controllers of HPAs
//! and of namespaces run, at Kubernetes' own rhythm, so that the figures are not about ReplicaSets and pods.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::process::Command;

/// A control plane that is up in a folder.
pub(crate) struct ControlPlane {
    e2e: PathBuf,
    dir: PathBuf,
    ports: BTreeMap<String, u16>,
}

impl ControlPlane {
    /// Brings it up, with the CRDs that `keda` prints.
    pub(crate) async fn up(e2e: &Path, dir: &Path, keda: &Path) -> Result<Self> {
        let status = Command::new(e2e.join("up"))
            .arg(dir)
            .env("KEDA_BIN", keda)
            .env("KEDA_E2E_CONTROLLERS", "horizontal-pod-autoscaler-controller,namespace-controller")
            .env("KEDA_E2E_HPA_SYNC", "15s")
            .stdout(std::process::Stdio::null())
            .status()
            .await?;
        ensure!(status.success(), "e2e/up failed: {status}");
        let ports = fs::read(dir.join("ports.json")).context("e2e/up left no ports.json")?;
        Ok(Self { e2e: e2e.to_owned(), dir: dir.to_owned(), ports: serde_json::from_slice(&ports)? })
    }

    /// Takes it down.
    pub(crate) async fn down(&self, keep: bool) -> Result<()> {
        let mut command = Command::new(self.e2e.join("down"));
        command.arg(&self.dir);
        if !keep {
            command.arg("--remove");
        }
        let status = command.status().await?;
        ensure!(status.success(), "e2e/down failed: {status}");
        Ok(())
    }

    /// A file of the folder.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.dir.join(part)
    }

    /// The port that has this name in `e2e/harness/state.py`.
    pub(crate) fn port(&self, name: &str) -> Result<u16> {
        self.ports.get(name).copied().with_context(|| format!("no port is called {name}"))
    }

    /// The administrator's client.
    pub(crate) async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.path("admin.kubeconfig"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }
}
