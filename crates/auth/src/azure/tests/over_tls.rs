//! The same login host behind a real socket, with a certificate of its own CA.

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
async fn serve(azure: Azure) -> (u16, String) {
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
            let (azure, acceptor) = (azure.clone(), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| answer(azure.clone(), request));
                let http = hyper::server::conn::http1::Builder::new();
                _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (port, ca)
}

async fn answer(
    azure: Azure,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let mut inner = Request::get(format!("https://localhost{}", request.uri()));
    inner.method = request.method().clone();
    inner.headers = request.headers().clone();
    inner.body = request.into_body().collect().await.unwrap().to_bytes();
    let response = azure.send(inner).await.unwrap();
    let mut answer = hyper::Response::new(Full::new(response.body));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    Ok(answer)
}

async fn ask(port: u16, ca_dir: &std::path::Path) -> Result<Token, Error> {
    let mut settings = HttpSettings::default();
    settings.ca_dirs = vec![ca_dir.to_owned()];
    let authority = Some(format!("https://localhost:{port}/"));
    let identity = Settings { authority_host: authority, ..by_annotations() };
    let client = Arc::new(Client::new(settings));
    let broker = Broker::new(identity, client, Arc::new(cluster()), Clock::tokio(start()));
    token(&broker).await
}

#[tokio::test]
async fn folders_of_cas_count_for_login_hosts_and_others_are_told_from_it() {
    let azure = federated();
    let (port, ca) = serve(azure.clone()).await;
    let folder = tempfile::tempdir().unwrap();

    let error = ask(port, folder.path()).await.expect_err("nobody knows the CA");
    assert_eq!(error.code, Some(Code::AzureUnknownCa), "{error}");
    assert!(error.message.contains("UnknownIssuer"), "{error}");
    assert!(azure.token_requests().is_empty(), "nothing is sent to who is not believed");

    std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
    let token = ask(port, folder.path()).await.expect("a token");
    assert_eq!(token.principal().object_id.as_deref(), Some(super::super::fake::OBJECT));

    azure.always(Some(Answer::Throttles(7)));
    let error = ask(port, folder.path()).await.expect_err("throttled");
    assert_eq!(error.code, Some(Code::AzureThrottled), "{error}");

    let error = ask(1, folder.path()).await.expect_err("nobody listens there");
    assert_eq!(error.code, Some(Code::AzureLoginUnreachable), "{error}");
}
