//! Certificates on disk, and handshakes over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use keda_tls::{
    Acceptor, Bundle, ClientAuth, Connection, Connector, Files, Folder, Incoming, Policy, Protocols, Roots,
    generate,
    make::{Authority, KeyKind, Subject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_stream::StreamExt;

fn bundle() -> Bundle {
    keda_tls::install_provider();
    generate(&["localhost".to_owned(), "keda-operator".to_owned()], KeyKind::EcdsaP256, SystemTime::now())
        .unwrap()
}

fn fixed(bundle: &Bundle) -> Folder {
    Folder::fixed(bundle.identity().unwrap())
}

/// A server that greets; the address it is at.
async fn greeter(folder: Folder, clients: ClientAuth) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = Acceptor::new(folder, &Policy::default(), clients, Protocols::Http2);
    tokio::spawn(async move {
        let mut incoming = Incoming::new(listener, acceptor);
        while let Some(connection) = incoming.next().await {
            let mut connection: Connection = connection.unwrap();
            let seen = connection.peer().certificates.len();
            let _ = connection.write_all(format!("hello {seen}").as_bytes()).await;
            let _ = connection.shutdown().await;
        }
    });
    address
}

/// What the server says: in TLS 1.3 a client learns of its refusal only when it reads.
async fn greeting(connector: &Connector, port: u16) -> std::io::Result<String> {
    let mut stream = connector.connect("localhost", port).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn mutual_tls_trusts_its_own_ca_only() {
    let (ours, theirs) = (bundle(), bundle());
    let port = greeter(fixed(&ours), ClientAuth::Required).await.port();
    let client = |bundle: &Bundle, name| Connector::new(fixed(bundle), &Policy::default(), name);

    let connector = client(&ours, None);
    assert_eq!(greeting(&connector, port).await.unwrap(), "hello 1");
    assert_eq!(connector.connected(), 1);
    assert_eq!(greeting(&client(&ours, Some("keda-operator:9666")), port).await.unwrap(), "hello 1");

    let error = greeting(&client(&ours, Some("elsewhere")), port).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    let error = greeting(&client(&theirs, None), port).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");

    // A client that trusts the server but carries another CA's certificate.
    let mixed = Bundle { ca: ours.ca.clone(), ..theirs };
    assert!(greeting(&client(&mixed, None), port).await.is_err());
}

#[tokio::test]
async fn an_optional_client_certificate_is_left_to_the_reader() {
    let (ours, theirs) = (bundle(), bundle());
    let port = greeter(fixed(&ours), ClientAuth::Optional).await.port();
    let mixed = Bundle { ca: ours.ca.clone(), ..theirs.clone() };
    let stranger = Connector::new(fixed(&mixed), &Policy::default(), None);
    assert_eq!(greeting(&stranger, port).await.unwrap(), "hello 1");

    let roots = Roots::from_pem("ours", ours.ca.as_bytes()).unwrap();
    let chain = theirs.identity().unwrap();
    assert!(roots.verify_client(chain.chain(), SystemTime::now()).is_err());
    let chain = ours.identity().unwrap();
    roots.verify_client(chain.chain(), SystemTime::now()).unwrap();
    let too_late = SystemTime::now() + Duration::from_secs(366 * 24 * 3600);
    assert!(roots.verify_client(chain.chain(), too_late).is_err());
}

#[tokio::test]
async fn silent_clients_delay_nobody() {
    let ours = bundle();
    let address = greeter(fixed(&ours), ClientAuth::Required).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let connector = Connector::new(fixed(&ours), &Policy::default(), None);
    let soon = tokio::time::timeout(Duration::from_secs(5), greeting(&connector, address.port()));
    assert_eq!(soon.await.unwrap().unwrap(), "hello 1");
}

#[tokio::test]
async fn new_files_serve_the_next_connection() {
    let (old, new) = (bundle(), bundle());
    let folder = tempfile::tempdir().unwrap();
    old.write_to(folder.path()).unwrap();
    let server = Folder::open(folder.path()).unwrap();
    let port = greeter(server.clone(), ClientAuth::Required).await.port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let watch = tokio::spawn(server.clone().watch(Duration::from_millis(20), async {
        let _ = stopped.await;
    }));

    let before = Connector::new(fixed(&old), &Policy::default(), None);
    let after = Connector::new(fixed(&new), &Policy::default(), None);
    greeting(&before, port).await.unwrap();
    new.write_to(folder.path()).unwrap();
    for _ in 0..500 {
        if server.status().generation == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    greeting(&after, port).await.unwrap();
    assert!(greeting(&before, port).await.is_err(), "the old CA is forgotten");
    drop(stop);
    watch.await.unwrap();
}

#[test]
fn unusable_files_leave_the_last_good_ones() {
    let (old, new) = (bundle(), bundle());
    let folder = tempfile::tempdir().unwrap();
    let error = Folder::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("ca.crt"), "{error}");

    old.write_to(folder.path()).unwrap();
    let followed = Folder::open(folder.path()).unwrap();
    assert_eq!(followed.status().generation, 1);
    assert!(!followed.reload().unwrap());
    let mode = fs::metadata(folder.path().join("tls.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Half a rotation: the certificate is new, the key is not.
    fs::write(folder.path().join("tls.crt"), &new.cert).unwrap();
    let error = followed.reload().unwrap_err().to_string();
    assert!(error.contains("the key does not belong to the certificate"), "{error}");
    assert!(!followed.reload().unwrap(), "told once");
    let status = followed.status();
    assert_eq!((status.generation, status.failures), (1, 1));
    assert!(status.error.is_some());
    assert_eq!(followed.current().unwrap().chain(), old.identity().unwrap().chain());

    new.write_to(folder.path()).unwrap();
    assert!(followed.reload().unwrap());
    let status = followed.status();
    assert_eq!((status.generation, status.error), (2, None));
    assert_eq!(status.not_after, Some(new.identity().unwrap().not_after()));

    fs::remove_file(folder.path().join("tls.key")).unwrap();
    assert!(followed.reload().is_err());
    assert!(followed.current().is_some());
}

/// A projected volume as the kubelet lays it out: `tls.crt -> ..data/tls.crt`, `..data -> ..<time>`.
#[test]
fn the_kubelets_swap_is_one_step() {
    let (old, new) = (bundle(), bundle());
    let volume = tempfile::tempdir().unwrap();
    old.write_to(volume.path().join("..1")).unwrap();
    new.write_to(volume.path().join("..2")).unwrap();
    let point = |version: &str| {
        let next = volume.path().join("..data_tmp");
        symlink(version, &next).unwrap();
        fs::rename(next, volume.path().join("..data")).unwrap();
    };
    point("..1");
    for name in ["ca.crt", "tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), volume.path().join(name)).unwrap();
    }
    let followed = Folder::open(volume.path()).unwrap();
    point("..2");
    assert!(followed.reload().unwrap());
    assert_eq!(followed.current().unwrap().chain(), new.identity().unwrap().chain());
}

#[test]
fn files_may_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let followed = Folder::awaiting(Files::in_folder(folder.path()));
    assert!(followed.reload().is_err());
    assert!(followed.reload().is_err(), "an error for as long as nothing is loaded");
    assert_eq!(followed.status().failures, 1, "counted once");
    bundle().write_to(folder.path()).unwrap();
    assert!(followed.reload().unwrap());
}

#[test]
fn made_certificates_have_upstreams_shape() {
    let now = SystemTime::now();
    let names = ["keda-operator", "keda-operator.keda", "10.0.0.1"].map(str::to_owned);
    let made = generate(&names, KeyKind::Rsa2048, now).unwrap();
    let identity = made.identity().unwrap();
    let (_, leaf) = x509_parser::parse_x509_certificate(&identity.chain()[0]).unwrap();
    assert_eq!(leaf.subject().to_string(), "CN=keda-operator");
    assert_eq!(leaf.issuer().to_string(), "O=KEDAORG, CN=KEDA");
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && usage.client_auth);
    assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
    let x509_parser::public_key::PublicKey::RSA(key) = leaf.public_key().parsed().unwrap() else { panic!() };
    assert_eq!(key.key_size(), 2048);
    let valid = leaf.validity();
    assert_eq!(valid.not_after.timestamp() - valid.not_before.timestamp(), 365 * 24 * 3600 + 3600);
    let shown = format!("{made:?} {identity:?}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn a_client_of_a_group() {
    let now = SystemTime::now();
    let authority = Authority::new("front", "", KeyKind::EcdsaP256, now).unwrap();
    let subject = Subject { common_name: "front-proxy-client", organization: "system:masters", names: &[] };
    let (cert, _) = authority.issue(&subject, now, Duration::from_secs(60)).unwrap();
    assert!(cert.starts_with("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn certificates_of_upstream_are_read_and_signed_with() {
    let file = |name: &str| {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upstream").join(name)).unwrap()
    };
    let (ca_pem, leaf_pem) = (file("ca.crt"), file("tls.crt"));
    let ca = keda_tls::Certificate::read(&ca_pem).unwrap().remove(0);
    let leaf = keda_tls::Certificate::read(&leaf_pem).unwrap().remove(0);
    assert!(ca.is_ca && !leaf.is_ca && leaf.for_both_ends);
    assert!(leaf.signed_by(&ca) && !ca.signed_by(&leaf));
    assert!(ca.owns(&file("ca.key")) && leaf.owns(&file("tls.key")) && !leaf.owns(&file("ca.key")));
    assert_eq!(leaf.names.len(), 13, "{:?}", leaf.names);
    assert_eq!(ca.pem().as_bytes(), ca_pem, "to the byte");

    let key = file("ca.key");
    let authority = Authority::load(&ca.pem(), &key).unwrap();
    assert!(authority.key().as_bytes() == key, "PKCS#1, to the byte");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let subject = Subject { common_name: "x", organization: "", names: &names };
    let (cert, key) = authority.issue(&subject, SystemTime::now(), Duration::from_secs(3600)).unwrap();
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let issued = keda_tls::Certificate::read(cert.as_bytes()).unwrap().remove(0);
    assert!(issued.signed_by(&ca) && issued.owns(key.as_bytes()));
    assert_eq!(issued.names, names);
    let other = Authority::new("KEDA", "KEDAORG", KeyKind::EcdsaP256, SystemTime::now()).unwrap();
    assert!(Authority::load(&ca.pem(), other.key().as_bytes()).is_err(), "the key of another CA");
    let namesake = keda_tls::Certificate::read(other.certificate().as_bytes()).unwrap().remove(0);
    assert!(!issued.signed_by(&namesake));
}

#[test]
fn texts_that_are_handed_over_are_served_until_better_ones_come() {
    let (first, second) = (bundle(), bundle());
    let folder = Folder::awaiting(Files::in_folder("/nonexistent"));
    let put = |b: &Bundle| folder.put(Some(b.ca.as_bytes()), b.cert.as_bytes(), b.key.as_bytes());
    assert!(put(&first).unwrap());
    assert!(!put(&first).unwrap(), "nothing new");
    let crossed = Bundle { key: second.key.clone(), ..first };
    assert!(put(&crossed).is_err());
    assert_eq!(folder.status().generation, 1, "the last good ones stay");
    assert!(put(&second).unwrap());
    assert_eq!(folder.current().unwrap().chain(), second.identity().unwrap().chain());
}
