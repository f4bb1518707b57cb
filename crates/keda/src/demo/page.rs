//! The demo's HTTP server: the source that the workload scales on, its load, and the page that draws both.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /` | the page |
//! | `PUT /load` with a number | the load of the demo's own query from now on; `?query=…` sets another one |
//! | `GET /load` | the load, as a number |
//! | `GET /state` | samples and decisions of the last minutes, JSON |
//! | `GET /events` | the same, then what is new, as server-sent events `state`, `sample`, `decision` |
//! | `GET /api/v1/query` | Prometheus' query API |
//!
//! It listens on a loopback address and answers for no other origin: a page from elsewhere can neither read nor set.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{
        Html, IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures::{Stream, stream};
use keda_testkit::source::Prometheus;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::broadcast};
use tokio_util::sync::CancellationToken;

use super::{
    plot::{News, Plot},
    stage,
};

/// The page, whole: it loads nothing else.
const PAGE: &str = include_str!("page.html");

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Page {
    source: Prometheus,
    plot: Plot,
    loads: Arc<Mutex<BTreeMap<String, f64>>>,
}

/// Which query a load is for.
#[derive(Debug, Deserialize)]
struct Which {
    query: Option<String>,
}

impl Which {
    fn query(self) -> String {
        self.query.unwrap_or_else(|| stage::QUERY.to_owned())
    }
}

impl Page {
    pub(super) fn new(plot: Plot) -> Self {
        let page = Page { source: Prometheus::new(), plot, loads: Arc::default() };
        page.set(stage::QUERY.to_owned(), 0.0);
        page
    }

    /// The load of the demo's own query.
    pub(super) fn load(&self) -> f64 {
        self.of(stage::QUERY).unwrap_or_default()
    }

    fn of(&self, query: &str) -> Option<f64> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).get(query).copied()
    }

    fn set(&self, query: String, load: f64) {
        self.source.set(&query, load);
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).insert(query, load);
    }

    /// Serves until `end`, which cuts open streams too.
    pub(super) async fn serve(self, listener: TcpListener, end: CancellationToken) {
        let routes = Router::new()
            .route("/", get(async || Html(PAGE)))
            .route("/load", get(load).put(set_load))
            .route("/state", get(async |State(page): State<Page>| Json(page.plot.kept())))
            .route("/events", get(events))
            .fallback(get(ask))
            .with_state(self);
        let serving = async { axum::serve(listener, routes).await };
        if let Some(Err(error)) = end.run_until_cancelled(serving).await {
            tracing::error!(error = %error, "the page is no longer served");
        }
    }
}

async fn load(State(page): State<Page>, Query(which): Query<Which>) -> Response {
    match page.of(&which.query()) {
        Some(load) => format!("{load}\n").into_response(),
        None => (StatusCode::NOT_FOUND, "no load was set for this query\n").into_response(),
    }
}

async fn set_load(State(page): State<Page>, Query(which): Query<Which>, body: String) -> Response {
    let number = body.trim().parse::<f64>().ok().filter(|load| load.is_finite() && *load >= 0.0);
    let Some(load) = number else {
        let wrong = "the load must be a number, not negative, such as 35\n";
        return (StatusCode::BAD_REQUEST, wrong).into_response();
    };
    page.set(which.query(), load);
    format!("{load}\n").into_response()
}

/// Prometheus' API.
async fn ask(State(page): State<Page>, uri: Uri, headers: HeaderMap) -> Response {
    let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
    let reply = page.source.answer(asked, &headers);
    tokio::time::sleep(reply.delay).await;
    (reply.status, reply.headers, reply.body).into_response()
}

async fn events(State(page): State<Page>) -> Response {
    let stream = Sse::new(told(page.plot)).keep_alive(KeepAlive::default());
    ([(header::CACHE_CONTROL, "no-store")], stream).into_response()
}

/// Everything that is kept, then what is new; again everything, to a listener that fell behind.
fn told(plot: Plot) -> impl Stream<Item = Result<Event, Infallible>> {
    let start = (plot, None::<broadcast::Receiver<News>>, VecDeque::new());
    stream::unfold(start, |(plot, mut news, mut due)| async move {
        loop {
            if let Some(event) = due.pop_front() {
                return Some((Ok(event), (plot, news, due)));
            }
            let Some(receiver) = &mut news else {
                let (kept, receiver) = plot.listen();
                news = Some(receiver);
                due.push_back(event("state", &kept));
                continue;
            };
            match receiver.recv().await {
                Ok(News::Sample(sample)) => due.push_back(event("sample", &sample)),
                Ok(News::Decision(line)) => due.push_back(event("decision", &line)),
                Err(broadcast::error::RecvError::Lagged(_)) => news = None,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}

fn event(kind: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(kind).data(serde_json::to_string(data).unwrap_or_default())
}
