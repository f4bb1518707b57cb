//! Sharing, under virtual time.

use std::sync::atomic::AtomicUsize;

use ::http::StatusCode;
use futures::future::join_all;

use super::*;
use crate::http::{ErrorKind, HeaderMap};

/// Answers `body` after `delay`, fails with `fail`, and knows how many were in at once.
struct Slow {
    delay: Duration,
    fail: bool,
    body: usize,
    now: AtomicUsize,
    most: AtomicUsize,
}

fn slow(delay: u64) -> Slow {
    Slow {
        delay: Duration::from_millis(delay),
        fail: false,
        body: 1,
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    }
}

#[async_trait]
impl Transport for Slow {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(self.delay).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if self.fail {
            return Err(Error::new(ErrorKind::Connect, format!("{}: refused", request.describe())));
        }
        Ok(Response::new(StatusCode::OK, vec![b'x'; self.body]))
    }
}

fn get(url: &str) -> Request {
    Request::get(url).timeout(Duration::from_secs(3))
}

async fn advance(milliseconds: u64) {
    tokio::time::advance(Duration::from_millis(milliseconds)).await;
}

#[tokio::test(start_paused = true)]
async fn identical_requests_in_flight_are_one() {
    let shared = Coalescing::new(slow(500));
    let answers = join_all((0..100).map(|_| shared.send(get("http://a/q")))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(shared.counters(), Counters { asked: 100, sent: 1 });
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_for_a_second() {
    let shared = Coalescing::new(slow(500));
    shared.send(get("http://a/q")).await.unwrap();
    advance(999).await;
    shared.send(get("http://a/q")).await.unwrap();
    assert_eq!(shared.counters().sent, 1);
    advance(1).await;
    shared.send(get("http://a/q")).await.unwrap();
    assert_eq!(shared.counters().sent, 2);
    assert_eq!(shared.shared.lock().answers.len(), 1, "the old answer is forgotten");
}

#[tokio::test(start_paused = true)]
async fn whatever_differs_is_asked_for_itself() {
    let shared = Coalescing::new(slow(1));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer other"));
    let other_tls = TlsIdentity { unsafe_ssl: true, ..TlsIdentity::default() };
    let mut post = get("http://a/q");
    post.method = Method::POST;
    for request in [
        get("http://a/q"),
        get("http://a/q?x"),
        get("http://b/q"),
        get("http://a/q").headers(headers),
        get("http://a/q").tls(other_tls),
        get("http://a/q").timeout(Duration::from_secs(9)),
        post.clone(),
        post,
    ] {
        shared.send(request).await.unwrap();
    }
    assert_eq!(shared.counters(), Counters { asked: 8, sent: 8 });
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_only_in_flight() {
    let shared = Coalescing::new(Slow { fail: true, ..slow(100) });
    let answers = join_all((0..10).map(|_| shared.send(get("http://a/q")))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().is_err_and(|error| error.to_string() == "GET http://a/q: refused"))
    );
    assert_eq!(shared.counters().sent, 1);
    assert!(shared.send(get("http://a/q")).await.is_err());
    assert_eq!(shared.counters().sent, 2);
}

/// A large answer would stay in memory for a second: it is shared with those who wait, then dropped.
#[tokio::test(start_paused = true)]
async fn large_answers_are_not_kept() {
    let shared = Coalescing::new(Slow { body: KEPT_BODY + 1, ..slow(10) });
    join_all((0..5).map(|_| shared.send(get("http://a/q")))).await;
    assert_eq!(shared.counters().sent, 1);
    assert!(shared.shared.lock().answers.is_empty());
}

/// Whoever asked first may give up: the others still get the answer, and no place is lost.
#[tokio::test(start_paused = true)]
async fn a_flight_survives_its_first_caller() {
    let shared = Coalescing::with_limit(slow(500), 1);
    let first = tokio::spawn({
        let shared = shared.clone();
        async move { shared.send(get("http://a/q")).await }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let shared = shared.clone();
        async move { shared.send(get("http://a/q")).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert!(second.await.unwrap().is_ok());
    assert_eq!(shared.counters().sent, 1);

    let alone = tokio::spawn({
        let shared = shared.clone();
        async move { shared.send(get("http://a/other")).await }
    });
    tokio::task::yield_now().await;
    alone.abort();
    _ = alone.await;
    assert!(shared.send(get("http://a/other")).await.is_ok(), "the place came back");
    assert_eq!(shared.counters().sent, 3, "nobody waited for the second flight, it was dropped");
}

/// Every second asks another URL, and is remembered for no longer than it is of use.
#[tokio::test(start_paused = true)]
async fn failing_sources_leave_nothing_behind_4687_5248() {
    let never = Coalescing::new(slow(3_600_000));
    let failing = Coalescing::new(Slow { fail: true, ..slow(10) });
    let healthy = Coalescing::new(slow(10));
    for second in 0..1000 {
        let url = format!("http://a/q?time={second}");
        assert!(tokio::time::timeout(Duration::from_millis(500), never.send(get(&url))).await.is_err());
        assert!(failing.send(get(&url)).await.is_err());
        assert!(healthy.send(get(&url)).await.is_ok());
        advance(1000).await;
    }
    let left = |state: &State| (state.answers.len(), state.kept.len(), state.endpoints.len());
    assert_eq!(left(&never.shared.lock()), (0, 0, 1));
    assert_eq!(left(&failing.shared.lock()), (0, 0, 1));
    assert_eq!(left(&healthy.shared.lock()), (1, 1, 1), "the last answer, until somebody asks again");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_sees_a_bounded_number() {
    let shared = Coalescing::with_limit(slow(100), 4);
    let urls: Vec<String> = (0..20).map(|n| format!("http://a/q?{n}")).collect();
    let answers = join_all(urls.iter().map(|url| shared.send(get(url)))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(shared.transport().most.load(Ordering::SeqCst), 4);
}

/// A slow source stalls nobody else, and its own callers not beyond their deadline.
#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_stays_by_itself_5083() {
    struct TwoHosts(Slow, Slow);

    #[async_trait]
    impl Transport for TwoHosts {
        async fn send(&self, request: Request) -> Result<Response, Error> {
            if request.url.starts_with("http://black-hole/") {
                self.0.send(request).await
            } else {
                self.1.send(request).await
            }
        }
    }

    let shared = Coalescing::with_limit(TwoHosts(slow(3_600_000), slow(10)), 2);
    let holes: Vec<String> = (0..10).map(|n| format!("http://black-hole/{n}")).collect();
    let started = Instant::now();
    let stuck = join_all(holes.iter().map(|url| shared.send(get(url))));
    let healthy = async {
        let answer = shared.send(get("http://healthy/")).await;
        (answer, started.elapsed())
    };
    let (stuck, (answer, took)) = tokio::join!(stuck, healthy);
    assert!(answer.is_ok() && took < Duration::from_millis(20), "{took:?}");
    for (at, result) in stuck.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), format!("GET http://black-hole/{at}: no answer within 3s"));
    }
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}
