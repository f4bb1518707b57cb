//! `keda demo --serve`: the stage stays up, for kubectl, for a browser, and for other people's tests.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    Source,
    page::Page,
    plot::{Plot, Sample},
    print::Printer,
    stage::{self, Stage},
};

/// Between two samples of the plot.
const SAMPLING: Duration = Duration::from_secs(1);

/// Raises the stage and keeps it until `end`.
pub(super) async fn run(
    listen: SocketAddr,
    threshold: f64,
    printer: &mut Printer,
    end: &CancellationToken,
) -> Result<()> {
    let plot = Plot::new();
    let page = Page::new(plot.clone());
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(page.clone().serve(listener, end.clone()));
    let source = Source { address: address.clone(), query: stage::QUERY.to_owned(), threshold };
    let mut stage = Stage::raise(&source, end).await?;

    let folder = tempfile::Builder::new().prefix("keda-demo-").tempdir().context("make a folder")?;
    let kubeconfig = folder.path().join("kubeconfig");
    let api = format!("http://{}", stage.address());
    let written = serde_json::to_string_pretty(&config_for(&api)).context("compose the kubeconfig")?;
    std::fs::write(&kubeconfig, written).context("write the kubeconfig")?;
    announce(printer, &kubeconfig, &api, &address);

    let sample = |stage: &Stage| {
        let (replicas, (value, target)) = (stage.replicas(), stage.reading());
        plot.sample(Sample {
            time: jiff::Timestamp::now(),
            load: page.load(),
            value,
            target,
            replicas: replicas.asked,
            ready: replicas.ready,
        });
    };
    let mut ticks = tokio::time::interval(SAMPLING);
    loop {
        tokio::select! {
            // In this order: whoever is asked to end closes its channel, and that is no failure.
            biased;
            () = end.cancelled() => return Ok(()),
            _ = ticks.tick() => sample(&stage),
            line = stage.next() => {
                let Some(line) = line.context("the operator stopped")? else { continue };
                printer.line(&line);
                plot.decision(line);
                // So that the step is drawn where the decision is.
                sample(&stage);
            }
        }
    }
}

/// A kubeconfig with one context, in JSON, which is YAML too.
fn config_for(api: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "keda-demo",
        "clusters": [{ "name": "keda-demo", "cluster": { "server": api } }],
        "users": [{ "name": "keda-demo", "user": {} }],
        "contexts": [{ "name": "keda-demo", "context": {
            "cluster": "keda-demo", "user": "keda-demo", "namespace": stage::NAMESPACE } }],
    })
}

/// Says where everything is: one JSON object first, or a page of text.
fn announce(printer: &mut Printer, kubeconfig: &Path, api: &str, page: &str) {
    let kubeconfig = kubeconfig.display();
    printer.data(&json!({
        "kubeconfig": kubeconfig.to_string(), "api": api, "page": page, "source": page,
        "object": stage::OBJECT, "query": stage::QUERY,
    }));
    for line in [
        "a cluster in this process, until ctrl-c: Kubernetes' API, the operator, the adapter, a source"
            .to_owned(),
        String::new(),
        format!("  page        {page}/"),
        format!("  kubeconfig  export KUBECONFIG={kubeconfig}"),
        String::new(),
        format!("  curl -X PUT -d 35 {page}/load         # the load; one replica takes the target"),
        "  kubectl get scaledobject,hpa,deployment,pods".to_owned(),
        "  kubectl get deployment web -w".to_owned(),
        "  kubectl describe scaledobject web".to_owned(),
        "  kubectl patch scaledobject web --type merge -p '{\"spec\":{\"maxReplicaCount\":5}}'".to_owned(),
        "  kubectl annotate scaledobject web autoscaling.keda.sh/paused=true".to_owned(),
        format!(
            "  kubectl get --raw '/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/s0-prometheus?labelSelector=scaledobject.keda.sh/name=web'",
            stage::NAMESPACE
        ),
        String::new(),
        "your own objects work too: a prometheus trigger with".to_owned(),
        format!("  serverAddress: {page}"),
        format!("  query: mine                    # curl -X PUT -d 7 '{page}/load?query=mine'"),
        String::new(),
    ] {
        printer.say(&line);
    }
}
