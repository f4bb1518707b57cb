//! The server on a socket, and an aggregated API behind TLS: what the demo and kubectl use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use std::{convert::Infallible, time::SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use k8s_openapi::api::core::v1::ConfigMap;
use keda_testkit::{ApiServer, Backend};
use keda_tls::{
    Acceptor, Bundle, ClientAuth, Connection, Folder, Incoming, Policy, Protocols, generate, make::KeyKind,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ListParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_client_over_http() {
    let server = ApiServer::new();
    let (listener, port) = listen().await;
    let shutdown = CancellationToken::new();
    let (served, token) = (server.clone(), shutdown.clone());
    let serving = tokio::spawn(async move { served.serve(listener, token).await });
    let url = format!("http://127.0.0.1:{port}").parse().unwrap();
    let client = Client::try_from(Config::new(url)).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let watch = api.watch(&WatchParams::default(), &version).await.unwrap();
    let mut watch = std::pin::pin!(watch);
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let Some(WatchEvent::Added(seen)) = watch.try_next().await.unwrap() else { panic!("no event") };
    assert_eq!(seen.name_any(), "a");
    assert_eq!(server.writes()[0].user, "system:admin");
    shutdown.cancel();
    serving.await.unwrap().unwrap();
    assert!(!matches!(watch.try_next().await, Ok(Some(_))), "the connection ends with the server");
}

/// A metrics API that asks its clients for a certificate of the front proxy's CA and tells who was announced.
fn backend(listener: TcpListener, bundle: &Bundle, front_proxy_ca: &str) -> JoinHandle<()> {
    let (cert, key) = (bundle.cert.as_bytes(), bundle.key.as_bytes());
    let identity =
        keda_tls::Identity::from_pem("backend", cert, key, Some(front_proxy_ca.as_bytes())).unwrap();
    let policy = Policy::service(|_| None);
    let acceptor = Acceptor::new(Folder::fixed(identity), &policy, ClientAuth::Required, Protocols::Http);
    let mut incoming = Incoming::new(listener, acceptor);
    tokio::spawn(async move {
        // One connection after the other: a test ends the task, and with it the connection.
        while let Some(Ok(connection)) = incoming.next().await {
            serve_one(connection).await;
        }
    })
}

async fn serve_one(connection: Connection) {
    let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
        let user = request.headers()["x-remote-user"].to_str().unwrap_or_default();
        let body = json!({"user": user, "path": request.uri().path()}).to_string();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(connection), service).await;
}

#[tokio::test]
async fn an_aggregated_api_behind_tls() {
    keda_tls::install_provider();
    let server = ApiServer::new();
    let name = "keda-metrics-apiserver.keda.svc";
    let bundle = generate(&[name.to_owned()], KeyKind::EcdsaP256, SystemTime::now()).unwrap();
    let (listener, port) = listen().await;
    let running = backend(listener, &bundle, &server.front_proxy_ca());
    let backend_at = Backend::https("127.0.0.1", port, &bundle.ca, name).unwrap();
    server.aggregate("v1beta1.external.metrics.k8s.io", backend_at).unwrap();
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/a/m";
    let client = server.client_for("hpa");
    let ask = async || client.request::<Value>(Request::get(path).body(Vec::new()).unwrap()).await;
    assert_eq!(ask().await.unwrap(), json!({"user": "hpa", "path": path}));
    assert_eq!(ask().await.unwrap()["user"], "hpa");

    // The backend goes, and comes back at the same address.
    running.abort();
    let _ = running.await;
    let kube::Error::Api(status) = ask().await.unwrap_err() else { panic!("not an answer") };
    assert_eq!(status.code, 503);
    assert!(status.message.starts_with("error trying to reach service:"), "{}", status.message);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let again = backend(listener, &bundle, &server.front_proxy_ca());
    assert_eq!(ask().await.unwrap()["user"], "hpa");
    again.abort();
    let _ = again.await;

    // Another name is another server.
    let wrong = Backend::https("127.0.0.1", port, &bundle.ca, "other.keda.svc").unwrap();
    server.aggregate("v1beta1.external.metrics.k8s.io", wrong).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let third = backend(listener, &bundle, &server.front_proxy_ca());
    assert!(ask().await.is_err());
    third.abort();
}
