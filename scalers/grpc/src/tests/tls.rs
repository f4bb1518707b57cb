//! TLS on loopback: who is believed, and as whom we speak.

use std::io;
use std::sync::Arc;

use futures::StreamExt;
use keda_scaler::contract::{Scripted, environment, parameters};
use keda_scaler::grpc::Channels;
use keda_scaler::http::Settings;
use keda_scaler::{Context, Environment, Error};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::EXTERNAL;
use crate::externalscaler::external_scaler_server::ExternalScalerServer;
use crate::server::Server;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, PEM.
fn issued(issuer: &Issuer, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    (certificate, key)
}

/// Serves with TLS; the port.
async fn serve(ca: &Issuer, wants_client: bool) -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_client {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (certificate, key) = issued(ca, "localhost");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = futures::stream::unfold((listener, acceptor), |(listener, acceptor)| async move {
        let (stream, _) = listener.accept().await.ok()?;
        // tonic does not know this type of stream: it is handed a pipe.
        let accepted: io::Result<_> = acceptor.accept(stream).await.map(|mut stream| {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut theirs).await });
            ours
        });
        Some((accepted, (listener, acceptor)))
    });
    // Handshakes that fail are the client's to report.
    let incoming = incoming.filter(|accepted| std::future::ready(accepted.is_ok()));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(ExternalScalerServer::new(Server::new()))
            .serve_with_incoming(incoming),
    );
    port
}

async fn ask(port: u16, metadata: &[(&str, &str)], auth: &[(&str, &str)]) -> Result<usize, Error> {
    let address = format!("localhost:{port}");
    let parameters = parameters(&[&[("scalerAddress", address.as_str())], metadata].concat(), auth);
    let world = Environment { grpc: Channels::new(Settings::default()), ..environment(Scripted::silent()) };
    let live = EXTERNAL.parse(&parameters, &Context::default())?.connect(&world).await?;
    live.metrics().await.map(|metrics| metrics.len())
}

#[tokio::test]
async fn a_server_is_believed_by_its_ca_or_on_request() {
    let ca = issuer();
    let port = serve(&ca, false).await;
    assert_eq!(ask(port, &[], &[("caCert", &ca.pem())]).await, Ok(1), "a caCert alone means TLS");
    assert_eq!(ask(port, &[("enableTLS", "true"), ("unsafeSsl", "true")], &[]).await, Ok(1));
    for (metadata, auth) in [
        (vec![("enableTLS", "true")], vec![]),
        (vec![("enableTLS", "true")], vec![("caCert", issuer().pem())]),
    ] {
        let auth: Vec<(&str, &str)> = auth.iter().map(|(key, pem)| (*key, pem.as_str())).collect();
        let error = ask(port, &metadata, &auth).await.unwrap_err();
        let words = format!("connect to localhost:{port}: TLS handshake: invalid peer certificate");
        assert!(error.message.contains("code = Unavailable") && error.message.contains(&words), "{error}");
    }
    let plain = ask(port, &[], &[]).await.unwrap_err();
    assert!(plain.message.contains("rpc error: code = "), "{plain}");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let ca = issuer();
    let port = serve(&ca, true).await;
    let (certificate, key) = issued(&ca, "keda");
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let root = ca.pem();
    let auth = [("caCert", root.as_str()), ("tlsClientCert", &certificate), ("tlsClientKey", &key)];
    assert_eq!(ask(port, &[], &auth).await, Ok(1));
    let error = ask(port, &[], &auth[..1]).await.unwrap_err();
    assert!(error.message.contains("rpc error: code = "), "{error}");
}
