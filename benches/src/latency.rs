//! The metrics API asked directly over HTTPS, as an authorised service account, one metric after the other.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use reqwest::Certificate;
use serde::Serialize;
use serde_json::json;

use crate::{control_plane::ControlPlane, objects};

const READER: &str = "reader";

/// Asks the adapter.
pub(crate) struct Asker {
    client: reqwest::Client,
    urls: Vec<String>,
}

/// How long answers took at one concurrency.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    /// Requests in flight.
    pub(crate) concurrency: usize,
    /// Requests answered.
    pub(crate) requests: usize,
    /// Requests answered a second.
    pub(crate) per_second: f64,
    /// Milliseconds.
    pub(crate) p50_ms: f64,
    /// Milliseconds.
    pub(crate) p99_ms: f64,
}

impl Asker {
    /// Makes an account that may read every metric, and a client with its token.
    pub(crate) async fn new(control_plane: &ControlPlane, client: &Client, objects: usize) -> Result<Self> {
        let account = ServiceAccount {
            metadata: ObjectMeta { name: Some(READER.to_owned()), ..ObjectMeta::default() },
            ..ServiceAccount::default()
        };
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), objects::NAMESPACE);
        accounts.create(&PostParams::default(), &account).await?;
        let binding: ClusterRoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "bench-reader" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": READER, "namespace": objects::NAMESPACE }],
        }))?;
        Api::all(client.clone()).create(&PostParams::default(), &binding).await?;
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let token = accounts.create_token_request(READER, &PostParams::default(), &request).await?;
        let token = token.status.context("no token was made")?.token;

        let authority = Certificate::from_pem(&fs::read(control_plane.path("certs/ca.crt"))?)?;
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert(reqwest::header::AUTHORIZATION, format!("Bearer {token}").parse()?);
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .default_headers(headers)
            .build()?;
        let port = control_plane.port("adapter")?;
        let url = |index| {
            let (namespace, name) = (objects::NAMESPACE, objects::name(index));
            format!(
                "https://localhost:{port}/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/s0-prometheus\
                 ?labelSelector=scaledobject.keda.sh%2Fname%3D{name}"
            )
        };
        let asker = Self { client, urls: (0..objects).map(url).collect() };
        asker.once(0).await?;
        Ok(asker)
    }

    /// Keeps `concurrency` requests in flight for a while.
    pub(crate) async fn ask(&self, concurrency: usize, span: Duration) -> Result<Latency> {
        let began = Instant::now();
        let loops = (0..concurrency).map(|first| async move {
            let mut times = Vec::new();
            let mut index = first;
            while began.elapsed() < span {
                times.push(self.once(index).await?);
                index += concurrency;
            }
            anyhow::Ok(times)
        });
        let mut times = futures::future::try_join_all(loops).await?.concat();
        let elapsed = began.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |part: f64| -> Result<f64> {
            let index = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
            Ok(times.get(index).context("no request was answered")?.as_secs_f64() * 1000.0)
        };
        Ok(Latency {
            concurrency,
            requests: times.len(),
            per_second: times.len() as f64 / elapsed,
            p50_ms: at(0.50)?,
            p99_ms: at(0.99)?,
        })
    }

    async fn once(&self, index: usize) -> Result<Duration> {
        let url = &self.urls[index % self.urls.len()];
        let began = Instant::now();
        let answer = self.client.get(url).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status.is_success(), "the metrics API answers {status}: {body}");
        Ok(began.elapsed())
    }
}
