//! The token endpoint behind a real socket, with a certificate of its own CA.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keda_scaler::http::{Client, Request, Settings as HttpSettings};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Its port, and the CA's certificate, PEM.
async fn serve(google: Google) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (google, acceptor) = (google.clone(), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| answer(google.clone(), request));
                let http = hyper::server::conn::http1::Builder::new();
                _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (port, ca)
}

async fn answer(
    google: Google,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let host = request.headers()["host"].to_str().unwrap();
    let mut inner = Request::get(format!("https://{host}{}", request.uri()));
    inner.method = request.method().clone();
    inner.headers = request.headers().clone();
    inner.body = request.into_body().collect().await.unwrap().to_bytes();
    let response = google.send(inner).await.unwrap();
    let mut answer = hyper::Response::new(Full::new(response.body));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    Ok(answer)
}

#[tokio::test]
async fn a_key_is_shown_over_verified_tls_only() {
    let google = google();
    let (port, ca) = serve(google.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut json = key("key-1");
    json["token_uri"] = json!(format!("https://localhost:{port}/token"));
    let ask = async |json: &Value| {
        let mut settings = HttpSettings::default();
        settings.ca_dirs = vec![folder.path().to_owned()];
        let client = Arc::new(Client::new(settings));
        Broker::new(super::settings(), client, Clock::tokio(start())).token(&by_key(json)).await
    };
    let error = ask(&json).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleUnreachable), "{error}");
    assert!(error.message.contains("UnknownIssuer") && google.asked().is_empty(), "{error}");

    std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
    let token = ask(&json).await.unwrap();
    assert_eq!(token.principal().client_id, "shop@shop-1.iam.gserviceaccount.com");
    assert_eq!(google.asked(), [format!("POST https://localhost:{port}/token")]);
}
