//! Reaching the API server, and the small texts that every process shares.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use keda_telemetry::metrics::Registry;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{layer::layer_fn, limit::RateLimitLayer};

use crate::requests::Requests;

/// Flags about the API server.
#[derive(Debug, clap::Args)]
pub(crate) struct ApiFlags {
    /// Kubeconfig to use; else KUBECONFIG, the pod's service account, or ~/.kube/config.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Limit of requests a second to the API server. There is none unless this is given.
    #[arg(long)]
    kube_api_qps: Option<f64>,
    /// Requests that may be sent at once under --kube-api-qps.
    #[arg(long)]
    kube_api_burst: Option<u64>,
    /// Without effect: answers of the API server are never compressed.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    disable_compression: bool,
}

impl ApiFlags {
    /// A client for the cluster that the flags, the environment or the pod name.
    pub(crate) async fn client(&self) -> Result<Client> {
        self.counted_client(&Registry::new()).await
    }

    /// The same; its requests are counted in the registry.
    pub(crate) async fn counted_client(&self, registry: &Registry) -> Result<Client> {
        let config = match &self.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path)
                    .with_context(|| format!("read the kubeconfig {}", path.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
            }
            None => Config::infer().await.context("find out which cluster to use")?,
        };
        self.connect(config, registry)
    }

    fn connect(&self, config: Config, registry: &Registry) -> Result<Client> {
        let requests = Requests::new(registry, &config.cluster_url);
        let builder = ClientBuilder::try_from(config).context("set up the client of the API server")?;
        let builder = builder.with_layer(&layer_fn(move |inner| requests.around(inner)));
        let Some(qps) = self.kube_api_qps.filter(|qps| *qps > 0.0) else { return Ok(builder.build()) };
        let burst = self.kube_api_burst.unwrap_or(30).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a burst is far below 2^52")]
        let window = Duration::from_secs_f64(burst as f64 / qps);
        Ok(builder.with_layer(&RateLimitLayer::new(burst, window)).build())
    }
}

/// The first lines of the log, and the proof that the API server answers.
pub(crate) async fn greet(client: &Client, component: &str) -> Result<()> {
    let version = client.apiserver_version().await.context("ask the API server for its version")?;
    tracing::info!(logger = "setup", "Starting {component}");
    tracing::info!(logger = "setup", "KEDA Version: {} (keda-rs)", env!("CARGO_PKG_VERSION"));
    tracing::info!(logger = "setup", "Running on Kubernetes {}.{}", version.major, version.minor);
    Ok(())
}

/// Parses Go's listen addresses: `:8080`, `127.0.0.1:8080`, `[::1]:8080`; `0` and the empty text mean none.
pub(crate) fn address(text: &str) -> Result<Option<SocketAddr>> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().with_context(|| format!("{text:?} has no valid port"))?;
        return Ok(Some(any(port)));
    }
    match text.parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => match text.strip_prefix("localhost:").map(str::parse) {
            Some(Ok(port)) => Ok(Some(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))),
            _ => bail!("{text:?} is not an address to listen on, write for instance :8080 or 127.0.0.1:8080"),
        },
    }
}

/// Every address of the host: IPv6 and, as Linux maps it, IPv4; IPv4 alone where there is no IPv6.
fn any(port: u16) -> SocketAddr {
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    let has_v6 = std::net::TcpListener::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)).is_ok();
    if has_v6 { v6 } else { SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), port) }
}

/// This process among its replicas: host name and a part that no other process has.
pub(crate) fn identity() -> String {
    use std::hash::{BuildHasher, Hasher};
    let unique = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{}_{unique:016x}", keda_operator::host_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_go_writes_them() {
        assert_eq!(address("0").unwrap(), None);
        assert_eq!(address(":8080").unwrap().unwrap().port(), 8080);
        assert_eq!(address("127.0.0.1:9666").unwrap().unwrap().to_string(), "127.0.0.1:9666");
        assert_eq!(address("localhost:1").unwrap().unwrap().to_string(), "127.0.0.1:1");
        assert!(address("nowhere").is_err());
    }
}
