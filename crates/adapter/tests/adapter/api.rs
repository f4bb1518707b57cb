//! The API server: the ConfigMap about authentication, TokenReviews and SubjectAccessReviews.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewStatus, UserInfo},
    authorization::v1::{SubjectAccessReview, SubjectAccessReviewStatus},
    core::v1::ConfigMap,
};
use keda_tls::make::{Authority, KeyKind, Subject};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Policy = Box<dyn Fn(&SubjectAccessReview) -> bool + Send + Sync>;

/// Cheap to clone; clones are the same server.
#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    front: Authority,
    users: Authority,
    config_map: watch::Sender<Option<ConfigMap>>,
    tokens: Mutex<HashMap<String, UserInfo>>,
    policy: Mutex<Policy>,
    down: Mutex<bool>,
    hangs: Mutex<bool>,
    token_reviews: Mutex<Vec<String>>,
    access_reviews: Mutex<Vec<SubjectAccessReview>>,
}

impl Api {
    /// Knows its front proxy and its users' CA, no tokens, and allows everything.
    pub(crate) fn new() -> Self {
        let now = SystemTime::now();
        let authority = |name| Authority::new(name, "", KeyKind::EcdsaP256, now).unwrap();
        let this = Self {
            inner: Arc::new(Inner {
                front: authority("front-proxy-ca"),
                users: authority("kubernetes"),
                config_map: watch::Sender::new(None),
                tokens: Mutex::default(),
                policy: Mutex::new(Box::new(|_| true)),
                down: Mutex::default(),
                hangs: Mutex::default(),
                token_reviews: Mutex::default(),
                access_reviews: Mutex::default(),
            }),
        };
        this.says_how_it_authenticates(&["front-proxy-client"]);
        this
    }

    pub(crate) fn says_how_it_authenticates(&self, allowed_names: &[&str]) {
        let list = |names: &[&str]| json!(names).to_string();
        let data = [
            ("requestheader-client-ca-file", self.inner.front.certificate().to_owned()),
            ("requestheader-allowed-names", list(allowed_names)),
            ("requestheader-username-headers", list(&["X-Remote-User"])),
            ("requestheader-uid-headers", list(&["X-Remote-Uid"])),
            ("requestheader-group-headers", list(&["X-Remote-Group"])),
            ("requestheader-extra-headers-prefix", list(&["X-Remote-Extra-"])),
            ("client-ca-file", self.inner.users.certificate().to_owned()),
        ];
        let data: BTreeMap<_, _> = data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let mut map = ConfigMap { data: Some(data), ..ConfigMap::default() };
        map.metadata.name = Some("extension-apiserver-authentication".to_owned());
        map.metadata.namespace = Some("kube-system".to_owned());
        let version = self.inner.config_map.borrow().is_some();
        map.metadata.resource_version = Some(if version { "2" } else { "1" }.to_owned());
        self.inner.config_map.send_replace(Some(map));
    }

    pub(crate) fn says_nothing_about_authentication(&self) {
        self.inner.config_map.send_replace(None);
    }

    /// Certificate and key of a front proxy with this common name.
    pub(crate) fn front_proxy(&self, name: &str) -> (String, String) {
        issue(&self.inner.front, name, "")
    }

    /// Certificate and key of a user.
    pub(crate) fn user(&self, name: &str, group: &str) -> (String, String) {
        issue(&self.inner.users, name, group)
    }

    pub(crate) fn knows_token(&self, token: &str, user: &str) {
        let info = UserInfo {
            username: Some(user.to_owned()),
            groups: Some(vec!["system:serviceaccounts".to_owned()]),
            ..UserInfo::default()
        };
        self.inner.tokens.lock().unwrap().insert(token.to_owned(), info);
    }

    pub(crate) fn allows(&self, policy: impl Fn(&SubjectAccessReview) -> bool + Send + Sync + 'static) {
        *self.inner.policy.lock().unwrap() = Box::new(policy);
    }

    /// Reviews fail from here on, or no longer.
    pub(crate) fn down(&self, down: bool) {
        *self.inner.down.lock().unwrap() = down;
    }

    /// Reviews are never answered from here on.
    pub(crate) fn hang(&self) {
        *self.inner.hangs.lock().unwrap() = true;
    }

    pub(crate) fn token_reviews(&self) -> Vec<String> {
        self.inner.token_reviews.lock().unwrap().clone()
    }

    pub(crate) fn access_reviews(&self) -> Vec<SubjectAccessReview> {
        self.inner.access_reviews.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> kube::Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let query = head.uri.query().unwrap_or_default();
        let hangs = *self.inner.hangs.lock().unwrap();
        match (head.method, head.uri.path()) {
            (Method::POST, _) if hangs => std::future::pending().await,
            (Method::GET, "/api/v1/namespaces/kube-system/configmaps") => {
                assert!(
                    query.contains("fieldSelector=metadata.name%3Dextension-apiserver-authentication"),
                    "{query}"
                );
                if query.contains("watch=true") { self.watch() } else { self.list() }
            }
            (Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews") => {
                self.review_token(serde_json::from_slice(&body).unwrap())
            }
            (Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews") => {
                self.review_access(serde_json::from_slice(&body).unwrap())
            }
            (method, path) => panic!("the adapter may not ask for {method} {path}"),
        }
    }

    fn list(&self) -> Response<Body> {
        let items: Vec<_> = self.inner.config_map.borrow().iter().cloned().collect();
        json_response(
            &json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
        )
    }

    /// Every change from here on, without an end.
    fn watch(&self) -> Response<Body> {
        let mut changes = self.inner.config_map.subscribe();
        changes.mark_unchanged();
        let events = stream::unfold(changes, |mut changes| async move {
            changes.changed().await.ok()?;
            let map = changes.borrow_and_update().clone()?;
            let event = format!("{}\n", json!({"type": "MODIFIED", "object": typed(&map)}));
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), changes))
        });
        Response::new(StreamBody::new(events.boxed()).boxed_unsync())
    }

    fn review_token(&self, mut review: TokenReview) -> Response<Body> {
        let token = review.spec.token.clone().unwrap();
        self.inner.token_reviews.lock().unwrap().push(token.clone());
        if *self.inner.down.lock().unwrap() {
            return broken();
        }
        let user = self.inner.tokens.lock().unwrap().get(&token).cloned();
        review.status = Some(TokenReviewStatus {
            authenticated: Some(user.is_some()),
            user,
            ..TokenReviewStatus::default()
        });
        json_response(&serde_json::to_value(review).unwrap())
    }

    fn review_access(&self, mut review: SubjectAccessReview) -> Response<Body> {
        self.inner.access_reviews.lock().unwrap().push(review.clone());
        if *self.inner.down.lock().unwrap() {
            return broken();
        }
        let allowed = (self.inner.policy.lock().unwrap())(&review);
        review.status = Some(SubjectAccessReviewStatus {
            allowed,
            reason: (!allowed).then(|| "the test says no".to_owned()),
            ..SubjectAccessReviewStatus::default()
        });
        json_response(&serde_json::to_value(review).unwrap())
    }
}

fn issue(authority: &Authority, common_name: &str, organization: &str) -> (String, String) {
    let subject = Subject { common_name, organization, names: &[] };
    authority.issue(&subject, SystemTime::now(), Duration::from_secs(3600)).unwrap()
}

fn typed(map: &ConfigMap) -> Value {
    serde_json::to_value(map).unwrap()
}

fn json_response(value: &Value) -> Response<Body> {
    Response::new(Full::new(Bytes::from(value.to_string())).boxed_unsync())
}

fn broken() -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "etcd is away",
        "reason": "InternalError", "code": 500});
    let mut response = json_response(&status);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
