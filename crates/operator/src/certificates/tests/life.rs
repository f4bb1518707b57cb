//! The content over time: made by us and by upstream, and never refused by anybody who is one step behind.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use keda_tls::{Acceptor, ClientAuth, Connector, Files, Folder, Incoming, Policy, Protocols, make::KeyKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_stream::StreamExt;

use super::{
    super::{
        Rotation,
        content::Content,
        plan::{OVERLAP, Plan, Work, plan},
    },
    DAY, accepts, cas, content, leaf, names, rotation,
};

/// What a plan makes of a content.
fn advance(content: &Content, rotation: &Rotation, now: SystemTime) -> (Plan, Content) {
    let facts = content.facts();
    let plan = plan(&facts, &rotation.names, now);
    let next = content.carry_out(&plan, &facts, rotation, now).unwrap();
    (plan, next)
}

#[test]
fn nobody_who_is_one_step_behind_is_refused_in_25_years() {
    let rotation = rotation();
    let mut now = SystemTime::UNIX_EPOCH + 20_454 * DAY;
    let end = now + 25 * 365 * DAY;
    let (_, mut held) = advance(&Content::default(), &rotation, now);
    let mut facts = held.facts();
    let (mut leaves, mut authorities, mut changed_at) = (0, 0, now);
    while now < end {
        let plan = plan(&facts, &rotation.names, now);
        if plan.work != Work::Nothing || !plan.drop.is_empty() {
            let next = held.carry_out(&plan, &facts, &rotation, now).unwrap();
            assert!(accepts(&held, &next, now) && accepts(&next, &held, now), "{plan:?}");
            assert!(
                now.duration_since(changed_at).unwrap() >= OVERLAP,
                "{plan:?}: too soon after the last change"
            );
            assert!(plan.work != Work::Everything, "{plan:?}");
            leaves += usize::from(plan.work == Work::Leaf);
            authorities += usize::from(plan.work == Work::Authority);
            (held, changed_at) = (next, now);
            facts = held.facts();
        }
        let leaf = leaf(&held);
        assert!(leaf.not_before <= now && now + 89 * DAY < leaf.not_after);
        assert!(accepts(&held, &held, now));
        assert!(cas(&held) <= 2, "{}", cas(&held));
        now = plan.again.unwrap_or(now + DAY / 2);
    }
    assert_eq!(authorities, 2, "ten years each, renewed 90 days ahead");
    assert!((30..=36).contains(&leaves), "{leaves}");
}

#[test]
fn upstreams_secret_is_read_and_its_authority_signs_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/tests/upstream");
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let theirs =
        Content { ca: file("ca.crt"), ca_key: file("ca.key"), cert: file("tls.crt"), key: file("tls.key") };
    // Made on 2026-01-01.
    let made = SystemTime::UNIX_EPOCH + 20_454 * DAY;
    let (plan, next) = advance(&theirs, &rotation(), made + 30 * DAY);
    assert_eq!((plan.work, next == theirs), (Work::Nothing, true), "{plan:?}");

    let then = made + 280 * DAY;
    let (plan, next) = advance(&theirs, &Rotation { key: KeyKind::Rsa2048, ..rotation() }, then);
    assert_eq!(plan.work, Work::Leaf, "{plan:?}");
    assert_eq!((&next.ca, &next.ca_key), (&theirs.ca, &theirs.ca_key), "to the byte");
    assert!(accepts(&theirs, &next, then) && accepts(&next, &theirs, then));
    assert!(next.key.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"), "the form that upstream reads");
    assert_eq!(leaf(&next).names, names());
}

#[test]
fn a_lost_key_or_a_deleted_secret_costs_no_connection() {
    let now = SystemTime::now();
    let old = content(now - DAY, now - DAY, &names());
    let (plan, announced) = advance(&old.clone().without_authority(), &rotation(), now);
    assert_eq!((plan.work, cas(&announced)), (Work::Authority, 2));
    assert!(announced.cert == old.cert && announced.key == old.key, "the leaf stays");
    let (plan, waiting) = advance(&announced, &rotation(), now + OVERLAP / 2);
    assert!(plan.work == Work::Nothing && waiting == announced);
    let (plan, switched) = advance(&announced, &rotation(), now + OVERLAP);
    assert_eq!((plan.work, plan.changes_issuer, cas(&switched)), (Work::Leaf, true, 2));
    assert!(accepts(&switched, &old, now + OVERLAP) && accepts(&announced, &switched, now + OVERLAP));
    assert!(!accepts(&old, &switched, now + OVERLAP), "who never learned of the new CA does not trust it");
}

/// Handshakes without a pause, while the server's certificates go through every step of a new CA and the client's follow
/// one step late.
#[tokio::test]
async fn connections_are_made_all_the_while_6850_5487_6551_5542() {
    keda_tls::install_provider();
    let now = SystemTime::now();
    let wanted = ["localhost".to_owned()];
    let rotation = Rotation { names: wanted.to_vec(), ..rotation() };
    let first = content(now - DAY, now - DAY, &wanted);
    let (_, announced) = advance(&first.clone().without_authority(), &rotation, now - OVERLAP);
    let (plan, switched) = advance(&announced, &rotation, now);
    assert_eq!(plan.work, Work::Leaf);
    let put = |folder: &Folder, content: &Content| {
        folder.put(Some(&content.ca), &content.cert, &content.key).unwrap()
    };
    let nowhere = || Folder::awaiting(Files::in_folder("/nonexistent"));

    let (server, client) = (nowhere(), nowhere());
    put(&server, &first);
    put(&client, &first);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = Acceptor::new(server.clone(), &Policy::default(), ClientAuth::Required, Protocols::Http2);
    tokio::spawn(async move {
        let mut incoming = Incoming::new(listener, acceptor);
        while let Some(Ok(mut connection)) = incoming.next().await {
            let _gone = connection.write_all(b"hello").await;
            let _gone = connection.shutdown().await;
        }
    });
    let made = std::sync::Arc::new(AtomicUsize::new(0));
    let (count, connector) = (made.clone(), Connector::new(client.clone(), &Policy::default(), None));
    let traffic = tokio::spawn(async move {
        loop {
            let mut stream = connector.connect("localhost", port).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "hello");
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let more = async || {
        let enough = made.load(Ordering::Relaxed) + 10;
        while made.load(Ordering::Relaxed) < enough {
            assert!(!traffic.is_finished(), "a connection was refused");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    more().await;
    for content in [&announced, &switched] {
        assert!(put(&server, content));
        more().await;
        assert!(put(&client, content));
        more().await;
    }
    traffic.abort();
}
