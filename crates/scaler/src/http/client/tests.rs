//! The client against real servers on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, LOCATION};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::http::{ClientCertificate, MAX_BODY, TlsVersion, header, sensitive};

type Body = BoxBody<Bytes, Infallible>;
type Reply = hyper::Response<Body>;

/// A server that lives as long as the test's runtime.
struct Server {
    address: SocketAddr,
    scheme: &'static str,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }
}

async fn serve(tls: Option<ServerConfig>, answer: fn(hyper::Request<Incoming>) -> Reply) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(request)) });
                let http = hyper::server::conn::http1::Builder::new();
                match acceptor {
                    None => _ = http.serve_connection(TokioIo::new(stream), service).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            _ = http.serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                }
            });
        }
    });
    Server { address, scheme, connections }
}

fn text(status: u16, text: impl Into<Bytes>) -> Reply {
    hyper::Response::builder().status(status).body(Full::new(text.into()).boxed()).unwrap()
}

fn redirect_to(status: u16, location: &str) -> Reply {
    let mut reply = text(status, "");
    reply.headers_mut().insert(LOCATION, location.parse().unwrap());
    reply
}

/// Says what it was sent.
#[expect(clippy::needless_pass_by_value, reason = "the shape of a server's function")]
fn echo(request: hyper::Request<Incoming>) -> Reply {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    text(200, format!("{} auth={:?} key={:?}", request.uri(), header("authorization"), header("x-key")))
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key, PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn server(
        &self,
        name: &str,
        clients: bool,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ServerConfig {
        let (chain, key) = self.issue(name);
        let provider = Arc::new(default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
        builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
    }
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A client without roots of its own but those in `ca_dirs`.
fn client(ca_dirs: Vec<PathBuf>) -> Client {
    Client::new(Settings { ca_dirs, ..Settings::default() })
}

fn with_ca(pem: &str) -> TlsIdentity {
    TlsIdentity { ca: Some(pem.into()), ..TlsIdentity::default() }
}

async fn get(client: &Client, url: String, tls: TlsIdentity) -> Result<String, Error> {
    let response = client.send(Request::get(url).tls(tls)).await?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

#[tokio::test]
async fn servers_are_verified_unless_told_otherwise() {
    let authority = Authority::new();
    let server = serve(Some(authority.server("localhost", false, BOTH)), echo).await;
    let url = server.url("localhost", "/q");
    let client = client(vec![]);
    let error = get(&client, url.clone(), TlsIdentity::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        format!("GET {url}: cannot connect: invalid peer certificate: UnknownIssuer")
    );
    get(&client, url.clone(), with_ca(&authority.pem)).await.unwrap();
    get(&client, url.clone(), TlsIdentity { unsafe_ssl: true, ..TlsIdentity::default() }).await.unwrap();
    let error = get(&client, url.clone(), with_ca(&Authority::new().pem)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let error = get(&client, url, with_ca("caaa")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Identity, "ca: no PEM certificate in it")
    );
}

#[tokio::test]
async fn the_servers_name_counts() {
    let authority = Authority::new();
    let server = serve(Some(authority.server("other.test", false, BOTH)), echo).await;
    let url = server.url("localhost", "/");
    let client = client(vec![]);
    let error = get(&client, url.clone(), with_ca(&authority.pem)).await.unwrap_err();
    assert!(error.to_string().contains("certificate not valid for name \"localhost\""), "{error}");
    get(&client, url, TlsIdentity { unsafe_ssl: true, ..TlsIdentity::default() }).await.unwrap();
}

/// platform.md 2.4: every file of the folders, but for `..data` and the like; what is unusable is said.
#[tokio::test]
async fn roots_come_from_the_ca_folders_too() {
    let authority = Authority::new();
    let server = serve(Some(authority.server("localhost", false, BOTH)), echo).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("company.crt"), format!("# ours\n{}", authority.pem)).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
    std::fs::write(folder.path().join("..hidden"), "nothing").unwrap();
    std::fs::create_dir(folder.path().join("..data")).unwrap();
    let client = client(vec![folder.path().join("missing"), folder.path().to_owned()]);
    get(&client, server.url("localhost", "/"), TlsIdentity::default()).await.unwrap();
    let problems: Vec<_> = client.problems().iter().filter(|problem| problem.contains("notes.txt")).collect();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].ends_with("notes.txt: no certificate in it"), "{problems:?}");
    assert!(!client.problems().iter().any(|problem| problem.contains("hidden")));
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let authority = Authority::new();
    let server = serve(Some(authority.server("localhost", true, BOTH)), echo).await;
    let client = client(vec![]);
    let url = server.url("localhost", "/");
    let error = get(&client, url.clone(), with_ca(&authority.pem)).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    let (chain, key) = authority.issue("keda");
    let certificate = ClientCertificate { chain: chain.as_str().into(), key: key.as_str().into() };
    let tls = TlsIdentity { certificate: Some(Arc::new(certificate)), ..with_ca(&authority.pem) };
    get(&client, url.clone(), tls).await.unwrap();
    let stranger = Authority::new().issue("keda");
    let mixed = ClientCertificate { chain: chain.as_str().into(), key: stranger.1.as_str().into() };
    let tls = TlsIdentity { certificate: Some(Arc::new(mixed)), ..with_ca(&authority.pem) };
    let error = get(&client, url, tls).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Identity && error.to_string().starts_with("cert and key do not fit"),
        "{error}"
    );
}

#[tokio::test]
async fn the_oldest_version_is_a_setting() {
    let authority = Authority::new();
    let server = serve(Some(authority.server("localhost", false, &[&rustls::version::TLS12])), echo).await;
    let url = server.url("localhost", "/");
    get(&client(vec![]), url.clone(), with_ca(&authority.pem)).await.unwrap();
    let strict = Client::new(Settings { min_tls: TlsVersion::Tls13, ..Settings::default() });
    let error = get(&strict, url, with_ca(&authority.pem)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

/// Connections belong to the endpoint, and errors do not cost new ones.
#[tokio::test]
async fn connections_are_shared_and_flat_under_errors_5341_5807() {
    let server = serve(None, |_| text(500, "no")).await;
    let ours = client(vec![]);
    for _ in 0..20 {
        let response = ours.send(Request::get(server.url("127.0.0.1", "/"))).await.unwrap();
        assert_eq!(response.status.as_u16(), 500);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(ours.len(), 1);
    let unsafe_ssl = TlsIdentity { unsafe_ssl: true, ..TlsIdentity::default() };
    get(&ours, server.url("127.0.0.1", "/"), unsafe_ssl).await.unwrap();
    assert_eq!((server.connections.load(Ordering::SeqCst), ours.len()), (2, 2), "identities do not share");
    let brief = Client::new(Settings { keep_alive: false, ..Settings::default() });
    for _ in 0..3 {
        get(&brief, server.url("127.0.0.1", "/"), TlsIdentity::default()).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 5);
}

fn unfinished(_: hyper::Request<Incoming>) -> Reply {
    let first = futures::stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"status\":")))]);
    hyper::Response::new(BodyExt::boxed(StreamBody::new(first.chain(futures::stream::pending()))))
}

fn endless(_: hyper::Request<Incoming>) -> Reply {
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks = futures::stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
    hyper::Response::new(BodyExt::boxed(StreamBody::new(chunks)))
}

#[tokio::test]
async fn the_deadline_covers_the_body() {
    let server = serve(None, unfinished).await;
    let url = server.url("127.0.0.1", "/slow?key=s3cr3t");
    let request = Request::get(url).timeout(Duration::from_millis(200));
    let error = client(vec![]).send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let shown = server.url("127.0.0.1", "/slow");
    assert_eq!(error.to_string(), format!("GET {shown}: no answer within 200ms"));
}

#[tokio::test]
async fn huge_answers_are_refused() {
    let server = serve(None, endless).await;
    let error = get(&client(vec![]), server.url("127.0.0.1", "/"), TlsIdentity::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().ends_with(": the answer is larger than 16 MiB"), "{error}");
    let server = serve(None, |_| text(200, vec![b'x'; MAX_BODY + 1])).await;
    let error = get(&client(vec![]), server.url("127.0.0.1", "/"), TlsIdentity::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "a length that is announced");
    let server = serve(None, |_| text(200, vec![b'x'; MAX_BODY])).await;
    let body = get(&client(vec![]), server.url("127.0.0.1", "/"), TlsIdentity::default()).await.unwrap();
    assert_eq!(body.len(), MAX_BODY);
}

/// `/hop` leads to `/end` here, `/away` to another host, `/loop` to itself.
fn redirecting(request: hyper::Request<Incoming>) -> Reply {
    match (request.uri().path(), request.uri().query()) {
        ("/hop", _) => redirect_to(302, "/end?hopped"),
        ("/away", Some(target)) => redirect_to(307, &format!("http://{target}/end")),
        ("/loop", _) => redirect_to(301, "/loop"),
        ("/nowhere", _) => redirect_to(301, "ftp://files"),
        _ => echo(request),
    }
}

#[tokio::test]
async fn redirects_take_no_credentials_along_7697() {
    let server = serve(None, redirecting).await;
    let client = client(vec![]);
    let mut headers = HeaderMap::new();
    headers.insert("x-key", sensitive("s3cr3t").unwrap());
    let send = |path: String, headers: &HeaderMap| {
        let request = Request::get(server.url("127.0.0.1", &path)).headers(headers.clone());
        let client = &client;
        async move {
            client.send(request).await.map(|response| String::from_utf8_lossy(&response.body).into_owned())
        }
    };
    assert_eq!(send("/hop".into(), &headers).await.unwrap(), "/end?hopped auth=None key=Some(\"s3cr3t\")");
    let away = format!("/away?localhost:{}", server.address.port());
    assert_eq!(send(away.clone(), &HeaderMap::new()).await.unwrap(), "/end auth=None key=None");
    let error = send(away.clone(), &headers).await.unwrap_err();
    let (from, to) = (server.url("127.0.0.1", "/away"), server.url("localhost", "/end"));
    assert_eq!(error.to_string(), format!("GET {from}: redirected to {to}, not followed with credentials"));
    let error = send("/loop".into(), &headers).await.unwrap_err();
    assert!(error.to_string().ends_with("stopped after 10 redirects"), "{error}");
    let error = send("/nowhere".into(), &headers).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    let with_user = server.url("bob:s3cr3t@127.0.0.1", &away);
    let error = client.send(Request::get(with_user)).await.unwrap_err();
    assert!(error.to_string().ends_with("not followed with credentials"), "{error}");
}

/// A resolver that answers one list after the other, the last one again and again.
struct Answers(std::sync::Mutex<Vec<Vec<IpAddr>>>);

impl Lookup for Answers {
    fn lookup(&self, _: String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

fn resolving(egress: Egress, answers: &[&[&str]]) -> Client {
    let lists = answers.iter().map(|list| list.iter().map(|address| address.parse().unwrap()).collect());
    // No connection is kept: each request resolves anew.
    let settings = Settings { egress, keep_alive: false, ca_dirs: vec![], ..Settings::default() };
    let lookup = Arc::new(Answers(std::sync::Mutex::new(lists.collect())));
    Client { lookup, ..Client::new(settings) }
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_is_when_connected_7697() {
    let server = serve(None, echo).await;
    let url = server.url("rebind.example", "/latest?key=s3cr3t");
    // First one thing, then another.
    let client = resolving(Egress::NoLinkLocal, &[&["127.0.0.1"], &["169.254.169.254"]]);
    let ask = async |client: &Client| get(client, url.clone(), TlsIdentity::default()).await;
    assert_eq!(ask(&client).await.unwrap(), "/latest?key=s3cr3t auth=None key=None");
    let error = ask(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error}");
    let shown = server.url("rebind.example", "/latest");
    assert_eq!(
        error.to_string(),
        format!(
            "GET {shown}: not connected to rebind.example, whose address is 169.254.169.254, a link-local or metadata address, which \
             --egress-policy=no-link-local of the operator keeps back"
        )
    );
    // Both at once, in either order.
    for both in [["127.0.0.1", "::ffff:169.254.169.254"], ["fd00:ec2::254", "127.0.0.1"]] {
        let client = resolving(Egress::NoLinkLocal, &[&both]);
        let error = ask(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Blocked, "{both:?}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_address_in_a_url_or_a_redirect_is_judged_too_7697() {
    let client = resolving(Egress::NoLinkLocal, &[&["127.0.0.1"]]);
    for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "[fe80::1]", "[::ffff:169.254.169.254]"] {
        let error = get(&client, format!("http://{host}/"), TlsIdentity::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Blocked, "{host}: {error}");
    }
    let server = serve(None, redirecting).await;
    let away = server.url("127.0.0.1", "/away?169.254.169.254");
    let error = get(&client, away, TlsIdentity::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error}");
}

#[tokio::test]
async fn the_largest_answer_is_a_setting() {
    let server = serve(None, |_| text(200, vec![b'x'; (1 << 20) + 1])).await;
    let settings = Settings { largest_answer: 1 << 20, ca_dirs: vec![], ..Settings::default() };
    let url = server.url("127.0.0.1", "/");
    let error = get(&Client::new(settings), url, TlsIdentity::default()).await.unwrap_err();
    assert!(error.to_string().ends_with(": the answer is larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn user_information_is_basic_authentication() {
    let server = serve(None, echo).await;
    let url = server.url("bob:p%40ss+word@127.0.0.1", "/q");
    let body = get(&client(vec![]), url.clone(), TlsIdentity::default()).await.unwrap();
    assert_eq!(body, "/q auth=Some(\"Basic Ym9iOnBAc3Mrd29yZA==\") key=None");
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, header::HeaderValue::from_static("Bearer mine"));
    let response = client(vec![]).send(Request::get(url).headers(headers)).await.unwrap();
    assert_eq!(&response.body[..], b"/q auth=Some(\"Bearer mine\") key=None");
}

#[tokio::test]
async fn errors_name_the_request_and_end_with_the_cause() {
    let client = client(vec![]);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://bob:s3cr3t@{gone}/q?token=s3cr3t");
    let error = get(&client, url, TlsIdentity::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("GET http://{gone}/q: cannot connect: ")), "{text}");
    assert!(text.contains("Connection refused") && !text.contains("s3cr3t"), "{text}");
    for (url, text) in [
        ("abc/api/v1/query?query=x", "abc/api/v1/query: not a URL: relative URL without a base"),
        ("unix:///run/x", "unix:///run/x: not an http or https URL but unix"),
    ] {
        let error = get(&client, url.to_owned(), TlsIdentity::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Request, text));
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let error =
        get(&client(vec![]), format!("http://{address}/q"), TlsIdentity::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    assert!(error.to_string().starts_with(&format!("GET http://{address}/q: connection lost: ")), "{error}");
}

#[tokio::test]
async fn folders_of_cas_are_read_once() {
    let authority = Authority::new();
    let server = serve(Some(authority.server("localhost", false, BOTH)), echo).await;
    let folder = tempfile::tempdir().unwrap();
    let early = client(vec![folder.path().to_owned()]);
    std::fs::write(folder.path().join("company.crt"), &authority.pem).unwrap();
    let late = client(vec![folder.path().to_owned()]);
    // As upstream's: a CA that is put there later counts after a restart.
    get(&early, server.url("localhost", "/"), TlsIdentity::default()).await.unwrap_err();
    get(&late, server.url("localhost", "/"), TlsIdentity::default()).await.unwrap();
}
