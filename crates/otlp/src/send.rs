//! One message to the collector, by gRPC or HTTP.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{StatusCode, Uri};
use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_util::either::Either;
use tonic::{
    Code, Request,
    metadata::{MetadataKey, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    api::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_client::MetricsServiceClient,
    },
    settings::{Protocol, Settings},
};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer is read as far as this.
const ANSWER: usize = 4096;

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    text: String,
    /// Whether the same message may be taken later.
    pub(crate) temporary: bool,
}

impl Failure {
    fn new(temporary: bool, text: impl Into<String>) -> Self {
        Self { text: text.into(), temporary }
    }
}

/// A way to the collector.
pub(crate) enum Sender {
    Grpc(MetricsServiceClient<Channel>, Settings),
    Http(reqwest::Client, Settings),
}

impl Sender {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When certificates cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Failure> {
        let tls = settings.tls.config().map_err(|error| Failure::new(false, error))?;
        Ok(match settings.protocol {
            Protocol::Http => {
                let client = reqwest::Client::builder()
                    .tls_backend_preconfigured(tls)
                    .redirect(reqwest::redirect::Policy::none())
                    .connect_timeout(CONNECT)
                    .user_agent(concat!("keda/", env!("CARGO_PKG_VERSION")))
                    .build()
                    .map_err(|error| Failure::new(false, error.to_string()))?;
                Self::Http(client, settings.clone())
            }
            Protocol::Grpc => {
                Self::Grpc(MetricsServiceClient::new(channel(settings, tls)?), settings.clone())
            }
        })
    }

    /// Sends one message; says what the collector did not take of it.
    pub(crate) async fn send(
        &self,
        message: &ExportMetricsServiceRequest,
    ) -> Result<Option<String>, Failure> {
        let timeout = match self {
            Self::Grpc(_, settings) | Self::Http(_, settings) => settings.timeout,
        };
        let sending = async {
            match self {
                Self::Grpc(client, settings) => by_grpc(client.clone(), settings, message).await,
                Self::Http(client, settings) => by_http(client, settings, message).await,
            }
        };
        let answer = tokio::time::timeout(timeout, sending).await;
        let answer = answer.map_err(|_| Failure::new(true, format!("no answer within {timeout:?}")))??;
        Ok(answer.partial_success.filter(|partial| partial.rejected_data_points > 0).map(|partial| {
            format!("{} data points were rejected: {}", partial.rejected_data_points, partial.error_message)
        }))
    }
}

async fn by_grpc(
    mut client: MetricsServiceClient<Channel>,
    settings: &Settings,
    message: &ExportMetricsServiceRequest,
) -> Result<ExportMetricsServiceResponse, Failure> {
    let mut request = Request::new(message.clone());
    for (name, value) in &settings.headers {
        let key = MetadataKey::from_bytes(name.as_str().as_bytes());
        if let (Ok(key), Ok(value)) = (key, MetadataValue::try_from(value.as_bytes())) {
            request.metadata_mut().insert(key, value);
        }
    }
    match client.export(request).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => {
            // OTLP names the codes that are worth another try.
            let temporary = matches!(
                status.code(),
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
                    | Code::ResourceExhausted
            );
            let mut text = format!("{:?}: {}", status.code(), status.message());
            let mut cause = std::error::Error::source(&status);
            while let Some(error) = cause {
                let more = error.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                cause = error.source();
            }
            Err(Failure::new(temporary, text))
        }
    }
}

async fn by_http(
    client: &reqwest::Client,
    settings: &Settings,
    message: &ExportMetricsServiceRequest,
) -> Result<ExportMetricsServiceResponse, Failure> {
    let lost = |error: reqwest::Error| {
        // The deepest cause is what says something; the address stands in the log line already.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = error.to_string();
            cause = error.source();
        }
        Failure::new(true, text)
    };
    let mut request = client
        .post(settings.endpoint.to_string())
        .header(http::header::CONTENT_TYPE, "application/x-protobuf")
        .body(message.encode_to_vec());
    for (name, value) in &settings.headers {
        request = request.header(name, value.clone());
    }
    let mut answer = request.send().await.map_err(lost)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(lost)? {
        body.extend_from_slice(&part[..part.len().min(ANSWER - body.len())]);
        if body.len() == ANSWER {
            break;
        }
    }
    if status.is_success() {
        // What is no such message is a collector that says nothing: the metrics were taken.
        return Ok(ExportMetricsServiceResponse::decode(Bytes::from(body)).unwrap_or_default());
    }
    let temporary = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    Err(Failure::new(temporary, format!("the collector answered {status}")))
}

fn channel(settings: &Settings, mut tls: ClientConfig) -> Result<Channel, Failure> {
    let uri = &settings.endpoint;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = secure.then(|| tokio_rustls::TlsConnector::from(Arc::new(tls)));
    // tonic refuses https where it is not the one that does TLS; the origin says what is spoken.
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let unusable = |error: tonic::transport::Error| Failure::new(false, error.to_string());
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(unusable)?
        .origin(uri.clone())
        .connect_timeout(CONNECT);
    let connector = tower::service_fn(move |_: Uri| {
        let (host, tls) = (host.clone(), tls.clone());
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let Some(tls) = tls else { return Ok(TokioIo::new(Either::Left(stream))) };
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            let stream = tls.connect(name, stream).await?;
            Ok::<_, io::Error>(TokioIo::new(Either::Right(stream)))
        }
    });
    Ok(endpoint.connect_with_connector_lazy(connector))
}
