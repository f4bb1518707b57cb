//! The HTTP front: from a request to a response.
//!
//! [`respond`] reads top to bottom: read the body, find out who asks and for what, log it, let faults have their way,
//! authorize, dispatch. Every refusal becomes a `Status` here and nowhere else.

mod discovery;
mod form;
mod openapi;
pub(crate) mod protobuf;
mod query;
mod read;
mod route;
mod table;
mod watch;
mod write;

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::BoxError;

use crate::{
    access::Attempt,
    faults::{Fault, Verdict},
    record::{Recorded, Verb},
    refusal::Refusal,
    resource::Resource,
    server::{Body, Identity, Inner},
    sync::lock,
};

use query::Query;
use route::{Route, Target};

/// Groups of every authenticated user.
const AUTHENTICATED: &str = "system:authenticated";

/// The connection breaks before there is an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection closed before message completed")]
pub struct Disconnected;

/// One request on its way through the front.
struct Asked {
    method: Method,
    headers: HeaderMap,
    query: Query,
    body: Bytes,
    identity: Identity,
    path_and_query: String,
}

/// Answers one request.
pub(crate) async fn respond<B>(
    server: &Arc<Inner>,
    request: Request<B>,
) -> Result<Response<Body>, Disconnected>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Disconnected)?.to_bytes();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let route = Route::parse(parts.uri.path());
    let identity = identify(server, &parts);
    let recorded = record(server, &parts, &query, &route, identity.as_ref());
    let number = lock(&server.log).push(recorded.clone());
    let Verdict { delay, fault } = server.faults.judge(&recorded);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let lost = fault == Some(Fault::LostAnswer);
    let result = match fault.filter(|_| !lost) {
        Some(Fault::Disconnect) => return Err(Disconnected),
        Some(fault) => Err(refusal_of(fault, &recorded).await),
        None => match identity {
            None => Err(Refusal::unauthorized()),
            Some(identity) => {
                let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
                let asked = Asked {
                    method: parts.method,
                    headers: parts.headers,
                    query,
                    body,
                    identity,
                    path_and_query,
                };
                match authorize(server, &recorded) {
                    Ok(()) => dispatch(server, &asked, route, recorded.verb).await,
                    Err(refusal) => Err(refusal),
                }
            }
        },
    };
    let response = result.unwrap_or_else(|refusal| refused(&refusal));
    lock(&server.log).answered(number, response.status().as_u16());
    if lost { Err(Disconnected) } else { Ok(response) }
}

/// Who asks: the identity of an in-process client, or that of a bearer token, or an administrator (there is nobody else
/// on a socket without authentication). `None` for an unknown token.
fn identify(server: &Inner, parts: &Parts) -> Option<Identity> {
    let mut identity = if let Some(identity) = parts.extensions.get::<Identity>() {
        identity.clone()
    } else if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok()?.strip_prefix("Bearer ")?;
        lock(&server.access).identity(token)?.clone()
    } else {
        Identity { user: "system:admin".to_owned(), groups: vec!["system:masters".to_owned()] }
    };
    if !identity.groups.iter().any(|group| group == AUTHENTICATED) {
        identity.groups.push(AUTHENTICATED.to_owned());
    }
    Some(identity)
}

fn record(
    server: &Inner,
    parts: &Parts,
    query: &Query,
    route: &Route,
    identity: Option<&Identity>,
) -> Recorded {
    let user = identity.map_or_else(String::new, |identity| identity.user.clone());
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let mut recorded = Recorded {
        at: lock(&server.clock).now(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.pairs().to_vec(),
        verb: Verb::Other,
        group: String::new(),
        resource: String::new(),
        namespace: String::new(),
        name: String::new(),
        user_agent: agent.map_or_else(|| user.clone(), str::to_owned),
        user,
        status: None,
    };
    if let Route::Object(target) = route {
        recorded.verb = target.verb(&parts.method, query);
        recorded.group.clone_from(&target.group);
        recorded.resource = target.resource();
        recorded.namespace.clone_from(&target.namespace);
        recorded.name.clone_from(&target.name);
    }
    recorded
}

async fn refusal_of(fault: Fault, request: &Recorded) -> Refusal {
    let about =
        crate::refusal::Subject { group: &request.group, kind: &request.resource, name: &request.name };
    match fault {
        Fault::Conflict => Refusal::modified(about),
        Fault::TooManyRequests { retry_after } => Refusal::new(
            429,
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        )
        .with_retry_after(i32::try_from(retry_after).unwrap_or(i32::MAX)),
        Fault::Internal | Fault::Disconnect | Fault::LostAnswer => {
            Refusal::internal("a fault that the test asked for")
        }
        Fault::Unavailable => {
            Refusal::new(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        }
        Fault::Timeout(after) => {
            tokio::time::sleep(after).await;
            Refusal::new(504, "Timeout", "the request timed out before it could be answered")
        }
        Fault::Refuse(refusal) => refusal,
    }
}

fn authorize(server: &Inner, request: &Recorded) -> Result<(), Refusal> {
    let attempt = Attempt {
        user: &request.user,
        verb: request.verb.name(),
        group: &request.group,
        resource: &request.resource,
        namespace: &request.namespace,
    };
    // Reviews, discovery and health are open to everybody who is known.
    if request.resource.is_empty() || lock(&server.access).allows(&attempt) {
        return Ok(());
    }
    let place = if request.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", request.namespace)
    };
    let why = format!(
        "User {:?} cannot {} resource {:?} in API group {:?} {place}",
        request.user,
        request.verb.name(),
        request.resource,
        request.group
    );
    let about =
        crate::refusal::Subject { group: &request.group, kind: &request.resource, name: &request.name };
    Err(Refusal::forbidden(about, &why))
}

async fn dispatch(
    server: &Arc<Inner>,
    asked: &Asked,
    route: Route,
    verb: Verb,
) -> Result<Response<Body>, Refusal> {
    if let Route::Object(Target { group, version, .. }) | Route::Version { group, version } = &route
        && let Some(backend) = server.backend(group, version)
    {
        return crate::aggregate::proxy(&backend, asked.as_proxied()).await;
    }
    match route {
        Route::Object(target) => object(server, asked, &target, verb).await,
        Route::Healthy => Ok(with_type(StatusCode::OK, "text/plain; charset=utf-8", "ok".to_owned())),
        Route::ServerVersion => Ok(json(StatusCode::OK, &discovery::server_version())),
        Route::Core | Route::Groups | Route::Group { .. } | Route::Version { .. } => {
            discovery::answer(server, asked, &route).await
        }
        Route::OpenApi { path } => openapi::answer(server, asked, &path),
        Route::Unknown => Ok(plain(StatusCode::NOT_FOUND, NO_PAGE)),
    }
}

async fn object(
    server: &Arc<Inner>,
    asked: &Asked,
    target: &Target,
    verb: Verb,
) -> Result<Response<Body>, Refusal> {
    let Some(resource) = lock(&server.state).catalog.find(&target.group, &target.version, &target.plural)
    else {
        return no_resource(server, target);
    };
    if resource.namespaced == target.namespace.is_empty() && !matches!(verb, Verb::List | Verb::Watch) {
        return Err(Refusal::no_route());
    }
    match verb {
        Verb::Get => read::get(server, asked, &resource, target),
        Verb::List => read::list(server, asked, &resource, target),
        Verb::Watch => watch::open(server, asked, &resource, target),
        Verb::Create | Verb::Update | Verb::Patch => write::write(server, asked, &resource, target, verb),
        Verb::Delete | Verb::DeleteCollection => write::delete(server, asked, &resource, target),
        Verb::Other => Err(Refusal::method_not_allowed()),
    }
}

/// There is no such kind. A real API server answers differently from layer to layer.
fn no_resource(server: &Inner, target: &Target) -> Result<Response<Body>, Refusal> {
    if server.is_aggregated(&target.group, &target.version) {
        return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "service unavailable"));
    }
    let is_builtin = |resource: &Arc<Resource>| resource.group() == target.group && !resource.is_custom();
    if lock(&server.state).catalog.all().iter().any(is_builtin) {
        return Err(Refusal::no_route());
    }
    Ok(plain(StatusCode::NOT_FOUND, NO_PAGE))
}

/// What a path that nobody serves is answered with.
const NO_PAGE: &str = "404 page not found";

impl Asked {
    fn as_proxied(&self) -> crate::aggregate::Proxied<'_> {
        crate::aggregate::Proxied {
            method: &self.method,
            path_and_query: &self.path_and_query,
            headers: &self.headers,
            body: self.body.clone(),
            identity: &self.identity,
        }
    }
}

/// A response of one JSON document.
fn json(status: StatusCode, body: &Value) -> Response<Body> {
    with_type(status, "application/json", body.to_string())
}

/// A line of text: how errors below the API proper are told.
fn plain(status: StatusCode, line: &str) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &refusal.to_json());
    let retry = refusal.details.as_ref().and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A body as JSON, from JSON, YAML or protobuf; null when it is empty.
fn parse_body(asked: &Asked) -> Result<Value, Refusal> {
    let content_type =
        asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("application/vnd.kubernetes.protobuf") {
        return protobuf::decode(&asked.body);
    }
    if asked.body.is_empty() {
        return Ok(json!(null));
    }
    if content_type.contains("yaml") {
        let text =
            std::str::from_utf8(&asked.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        return serde_saphyr::from_str(text).map_err(|error| Refusal::bad_request(error.to_string()));
    }
    serde_json::from_slice(&asked.body).map_err(|error| Refusal::bad_request(error.to_string()))
}
