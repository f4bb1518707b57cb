//! The in-memory API server on a socket, with KEDA's CRDs and the workload controllers, to look at with kubectl:
//!
//! ```console
//! $ cargo run -p keda-testkit --example apiserver 127.0.0.1:8001 &
//! $ kubectl --server http://127.0.0.1:8001 get namespaces
//! ```
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use keda_testkit::{
    ApiServer, Clock,
    controllers::{self, HpaOptions, Rollout},
};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let server = ApiServer::with_clock(Clock::system());
    server.install_crds(keda_api::crds::all())?;
    let listener = TcpListener::bind(&address).await?;
    let address = listener.local_addr()?;
    println!("kubectl --server http://{address}");
    let shutdown = CancellationToken::new();
    let client = Client::try_from(Config::new(format!("http://{address}").parse()?))?;
    let rollout = Rollout { pods: true, ..Rollout::default() };
    tokio::spawn(controllers::deployments(client.clone(), rollout.clone(), shutdown.clone()));
    tokio::spawn(controllers::stateful_sets(client.clone(), rollout, shutdown.clone()));
    let options = HpaOptions { clock: server.clock(), ..HpaOptions::default() };
    tokio::spawn(controllers::horizontal_pod_autoscalers(client, options, shutdown.clone()));
    server.serve(listener, shutdown).await?;
    Ok(())
}
