//! `keda demo --serve`, as its users have it: a process, its page's HTTP calls, and a client of its cluster.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test fail by panicking"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use axum::http::Request;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use keda_api::ScaledObject;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

/// How long anything may take that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(40);

/// The demo's process; it goes with its test.
struct Demo {
    process: Child,
    /// What it said where it is.
    said: Value,
    /// Its temporary files, which it has no time to remove when it is killed.
    _folder: tempfile::TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_keda"))
            .args(["demo", "--serve", "--listen", "127.0.0.1:0", "--output", "json"])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().expect("it says where it is").unwrap();
        let said = serde_json::from_str(&first).unwrap_or_else(|error| panic!("{error}: {first}"));
        // Its decisions must go somewhere.
        std::thread::spawn(move || lines.count());
        Demo { process, said, _folder: folder }
    }

    fn said(&self, member: &str) -> &str {
        self.said[member].as_str().unwrap_or_else(|| panic!("{member} in {}", self.said))
    }

    /// A request to the page's server: status and body.
    fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut answer = String::new();
        self.send(method, path, body).read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let address = self.said("page").strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.said("kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }
}

/// Waits until a Deployment has so many replicas, and they are ready.
async fn scaled(deployments: &Api<Deployment>, name: &str, wanted: i32) {
    let start = Instant::now();
    loop {
        let deployment = deployments.get(name).await.unwrap();
        let asked = deployment.spec.unwrap().replicas;
        let ready = deployment.status.and_then(|status| status.ready_replicas).unwrap_or(0);
        if asked == Some(wanted) && ready == wanted {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{name} has {asked:?} replicas, {ready} ready, not {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn deployment(name: &str) -> Deployment {
    let labels = json!({ "app": name });
    serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": {
            "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "c", "image": "i" }] } } },
    }))
    .unwrap()
}

fn scaled_object(name: &str, source: &str, interval: &Value) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": { "name": name },
        "spec": { "scaleTargetRef": { "name": name }, "pollingInterval": interval, "triggers": [
            { "type": "prometheus", "metadata": { "serverAddress": source, "query": name, "threshold": "5" } }] },
    })
}

#[tokio::test]
async fn a_cluster_to_play_with() {
    let demo = Demo::start();
    let client = demo.client().await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());

    // The page, and the load as its slider sets it.
    let (status, page) = demo.http("GET", "/", "");
    assert_eq!(status, 200);
    assert!(page.contains("<svg") && !page.contains("src=\"http"), "one file that loads nothing else");
    assert_eq!(demo.http("GET", "/load", ""), (200, "0\n".to_owned()));
    for wrong in ["much", "", "-1", "NaN", "inf"] {
        let (status, answer) = demo.http("PUT", "/load", wrong);
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
    assert_eq!(demo.http("PUT", "/load", "35"), (200, "35\n".to_owned()));
    assert_eq!(demo.http("GET", "/load?query=other", "").0, 404);
    scaled(&deployments, "web", 4).await;

    // The metric that the HPA sees, through the API server and the adapter.
    let metric = "/apis/external.metrics.k8s.io/v1beta1/namespaces/demo/s0-prometheus?labelSelector=scaledobject.keda.sh%2Fname%3Dweb";
    let answer: Value = client.request(Request::get(metric).body(Vec::new()).unwrap()).await.unwrap();
    assert_eq!(answer["items"][0]["value"], "35");

    // Objects of one's own: applied, refused, patched, scaled, deleted.
    let apply = PatchParams::apply("test");
    deployments.patch("mine", &apply, &Patch::Apply(deployment("mine"))).await.unwrap();
    let objects: Api<ScaledObject> = Api::default_namespaced(client.clone());
    let wrong = scaled_object("mine", demo.said("source"), &json!("often"));
    let refused = objects.patch("mine", &apply, &Patch::Apply(wrong)).await.unwrap_err().to_string();
    assert!(refused.contains("spec.pollingInterval"), "{refused}");
    let right = scaled_object("mine", demo.said("source"), &json!(1));
    objects.patch("mine", &apply, &Patch::Apply(right)).await.unwrap();
    assert_eq!(demo.http("PUT", "/load?query=mine", "14").0, 200);
    scaled(&deployments, "mine", 3).await;
    let most = json!({ "spec": { "maxReplicaCount": 2 } });
    objects.patch("mine", &PatchParams::default(), &Patch::Merge(most)).await.unwrap();
    scaled(&deployments, "mine", 2).await;
    let rest = json!({ "spec": { "replicas": 0 } });
    deployments.patch_scale("mine", &PatchParams::default(), &Patch::Merge(rest)).await.unwrap();
    scaled(&deployments, "mine", 2).await;
    objects.delete("mine", &DeleteParams::default()).await.unwrap();
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::default_namespaced(client.clone());
    let start = Instant::now();
    while autoscalers.get_opt("keda-hpa-mine").await.unwrap().is_some() {
        assert!(start.elapsed() < PATIENCE, "the HPA goes with its object");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // What the page draws: as a document, and as a stream that begins with the same and goes on.
    let (status, state) = demo.http("GET", "/state", "");
    assert_eq!(status, 200);
    let state: Value = serde_json::from_str(&state).unwrap();
    let last = state["samples"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["load"], &last["target"], &last["replicas"]), (&json!(35.0), &json!(10.0), &json!(4)));
    let decisions = state["decisions"].as_array().unwrap();
    let acted = |by: &str, from: i32, to: i32| {
        decisions.iter().any(|line| {
            line["by"] == by && line["from"] == from && line["replicas"] == to && line["object"] == "demo/web"
        })
    };
    assert!(acted("operator", 0, 1) && acted("hpa", 1, 4), "{decisions:?}");
    let stream = BufReader::new(demo.send("GET", "/events", ""));
    let kinds: Vec<String> = stream
        .lines()
        .filter_map(|line| line.unwrap().strip_prefix("event: ").map(str::to_owned))
        .take(2)
        .collect();
    assert_eq!(kinds, ["state", "sample"]);
}
