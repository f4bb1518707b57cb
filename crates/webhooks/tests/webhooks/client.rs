//! An API server's side of the connection.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn verdict(&self) -> Verdict {
        assert_eq!(self.status, 200, "{}", self.text);
        let review: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        let response = &review["response"];
        assert_eq!(response["uid"], UID, "{}", self.text);
        let warnings = response["warnings"].as_array().cloned().unwrap_or_default();
        Verdict {
            allowed: response["allowed"].as_bool().unwrap(),
            code: response["status"]["code"].as_u64().unwrap(),
            reason: response["status"]["reason"].as_str().unwrap_or_default().to_owned(),
            message: response["status"]["message"].as_str().unwrap_or_default().to_owned(),
            warnings: warnings.iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
        }
    }
}

/// The answer, without its wrapping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) code: u64,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) warnings: Vec<String>,
}

const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A question as an API server of 1.35 writes it.
pub(crate) fn review(operation: &str, object: &Value, old: &Value) -> Value {
    let subject = if object.is_null() { old } else { object };
    let (group, version) = subject["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let kind = subject["kind"].as_str().unwrap();
    let gvk = json!({"group": group, "version": version, "kind": kind});
    let gvr = json!({"group": group, "version": version, "resource": format!("{}s", kind.to_lowercase())});
    let metadata = &subject["metadata"];
    let mut request = json!({
        "uid": UID,
        "kind": gvk, "resource": gvr, "requestKind": gvk, "requestResource": gvr,
        "name": metadata["name"],
        "operation": operation,
        "userInfo": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
        "object": object, "oldObject": old,
        "dryRun": false,
        "options": {"kind": format!("{}Options", operation), "apiVersion": "meta.k8s.io/v1"},
    });
    if let Some(namespace) = metadata.get("namespace") {
        request["namespace"] = namespace.clone();
    }
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})
}

/// Trusts one CA.
#[derive(Clone)]
pub(crate) struct Client {
    port: u16,
    config: Arc<ClientConfig>,
}

impl Client {
    pub(crate) fn new(port: u16, ca: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(ca.unwrap()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { port, config: Arc::new(config) }
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.config.clone()).connect(name, stream).await
    }

    /// A connection that is kept, as API servers keep theirs.
    pub(crate) async fn keep(&self) -> Kept {
        let stream = self.connect().await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Kept { sender }
    }

    pub(crate) async fn ask(&self, path: &str, review: &Value) -> Reply {
        self.keep().await.ask(path, review).await
    }
}

/// See [`Client::keep`].
pub(crate) struct Kept {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Kept {
    pub(crate) async fn ask(&mut self, path: &str, review: &Value) -> Reply {
        let body = serde_json::to_vec(review).unwrap();
        let request = Request::post(format!("{path}?timeout=10s"))
            .header(header::HOST, "keda-admission-webhooks.keda.svc:443")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*");
        self.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Reply {
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Reply { status, text: String::from_utf8_lossy(&body).into_owned() }
    }
}
