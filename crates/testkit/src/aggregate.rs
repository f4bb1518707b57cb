//! Aggregated API groups: requests to them are handed to a backend, as kube-aggregator does it.

use std::{fmt, future::Future};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use crate::server::Body;

pub(crate) type Handler = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>;

/// Who answers for an aggregated API group.
#[derive(Clone)]
pub enum Backend {
    /// A service in this process, such as an axum router. It sees the headers that the front proxy adds
    /// (`X-Remote-User`, `X-Remote-Group`); there is no TLS to authenticate by.
    Service(InProcess),
    /// An address, reached over TLS with the front proxy's client certificate.
    Https {
        /// `host:port`.
        address: String,
        /// PEM of the CA that signed the backend's certificate; `None` accepts any certificate.
        ca: Option<String>,
    },
}

/// A service in this process that answers for an API group.
#[derive(Clone)]
pub struct InProcess(pub(crate) Handler);

impl Backend {
    /// A service in this process: anything like an axum router.
    pub fn service<S, F, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Future = F> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        F: Future<Output = Result<Response<B>, S::Error>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service
            .map_response(|response: Response<B>| {
                response.map(|body| body.map_err(Into::into).boxed_unsync())
            })
            .map_err(Into::into);
        Self::Service(InProcess(BoxCloneSyncService::new(service)))
    }

    /// `host:port`, reached over TLS; `ca` is PEM, `None` accepts any certificate.
    pub fn https(address: impl Into<String>, ca: Option<String>) -> Self {
        Self::Https { address: address.into(), ca }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(_) => f.write_str("Backend::Service"),
            Self::Https { address, .. } => write!(f, "Backend::Https({address})"),
        }
    }
}
