#![doc = include_str!("docs.md")]

mod address;
mod amazon;
mod answer;
mod azure;
mod config;
mod google;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::aws::Service;
use keda_scaler::http::{self, HeaderMap, HeaderName, HeaderValue, query_escape};
use keda_scaler::identity::TokenRequest;
use keda_scaler::{Context, Error, Link, Measurement, Metric, Notice, Secret};

use self::answer::Answer;
pub use self::config::Config;
use self::config::Managed;
use crate::auth_modes::Mode;

/// The trigger type `prometheus`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "prometheus";
    const LABEL: &'static str = "prometheusScaler";

    fn validate(config: &Config, context: &Context) -> Result<(), String> {
        if config.auth.any() && context.pod_identity.provider().is_some() {
            return Err("pod identity cannot be enabled with other auth types".to_owned());
        }
        Ok(())
    }

    fn plan(config: &Config, context: &Context) -> Result<Vec<Metric>, Error> {
        config.token_request(context)?;
        let metric = Metric::new("prometheus", config.threshold).targeted_by("threshold");
        Ok(vec![metric.activation(config.activation_threshold)])
    }

    fn notices(config: &Config, context: &Context) -> Vec<Notice> {
        let mut notices = config.auth.without_effect("prometheus", &[Mode::ApiKey]);
        if !config.auth.any() && config.auth.ca().is_some() {
            let text = "ca has no effect in scaler prometheus without authModes: only the system's roots are trusted";
            notices.push(Notice::no_effect(text));
        }
        if !config.auth.any() {
            notices.extend(config.aws.notices(context));
        }
        let managed = config.managed(context);
        if let Some(Managed::Azure) = managed {
            notices.extend(config.azure.notices(&config.server_address));
            if config.unsafe_ssl {
                let text = "unsafeSsl has no effect in scaler prometheus with an Azure identity: the server is verified";
                notices.push(Notice::no_effect(text));
            }
        } else if let Some(Managed::Google(_)) = managed {
            notices.extend(google::notices(&config.server_address, config.unsafe_ssl));
        } else if let Some(Managed::Amazon(_)) = managed {
            notices.extend(amazon::notices(&config.server_address, config.unsafe_ssl));
        } else if config.unsafe_ssl && !config.auth.tls(true).unsafe_ssl {
            let text = "unsafeSsl has no effect in scaler prometheus with ca or the mode tls: the server is verified";
            notices.push(Notice::no_effect(text));
        }
        notices
    }

    fn deadline(config: &Config, context: &Context) -> Duration {
        let query = config.timeout(context);
        // A token, or credentials, may have to be had first, and both once more where they are refused.
        let with_token = matches!(config.token_request(context), Ok(Some(_)));
        let signed = matches!(config.managed(context), Some(Managed::Amazon(_)));
        if with_token || signed { (query + context.http_timeout) * 2 } else { query }
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<Source, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.custom_headers {
            let header = HeaderName::try_from(name).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
            let (name, value) = header.ok_or_else(|| {
                Error::config(format!("customHeaders: {name:?} cannot be sent as a header"))
            })?;
            headers.append(name, value);
        }
        let credential = config.auth.authorize(&mut headers)?;
        let identity = config.token_request(&link.context)?;
        let signed = match config.managed(&link.context) {
            Some(Managed::Amazon(service)) => Some(amazon::connect(service, &config.server_address, &link)),
            _ => None,
        };
        let verified = matches!(identity, Some(TokenRequest::Azure(_))) || signed.is_some();
        let tls = config.auth.tls(config.unsafe_ssl && !verified);
        tls.check()?;
        let request = http::Request::get("").headers(headers).tls(tls).timeout(config.timeout(&link.context));
        let before_time =
            format!("{}/api/v1/query?query={}&time=", config.server_address, query_escape(&config.query));
        let mut after_time = String::new();
        if let Some(namespace) = &config.namespace {
            after_time.push_str(&format!("&namespace={namespace}"));
        }
        for (name, value) in &config.query_parameters {
            after_time.push_str(&format!("&{}={}", query_escape(name), query_escape(value)));
        }
        Ok(Source { config, link, request, before_time, after_time, credential, identity, signed })
    }
}

/// Asks one query.
pub struct Source {
    config: Arc<Config>,
    link: Link,
    /// The request but for its URL, which holds the time.
    request: http::Request,
    before_time: String,
    after_time: String,
    credential: Option<Secret>,
    /// The token that the server is asked with: of a cloud's identity, or for client credentials.
    identity: Option<TokenRequest>,
    /// As whom queries are signed: Amazon's.
    signed: Option<Service>,
}

impl Source {
    /// The URL at this second: whoever asks the same query within it asks the same URL.
    fn url(&self) -> String {
        let second = Timestamp::from_second(self.link.clock.now().as_second()).unwrap_or_default();
        format!("{}{second}{}", self.before_time, self.after_time)
    }

    /// Asks, as the identity where there is one. Also gives the credential that was sent, to keep it out of errors.
    async fn ask(&self, request: http::Request) -> Result<(http::Response, Option<Secret>), Error> {
        if let Some(service) = &self.signed {
            let server_address = &self.config.server_address;
            let (response, credential) = amazon::ask(service, server_address, &self.link, request).await?;
            return Ok((response, Some(credential)));
        }
        let Some(identity) = &self.identity else {
            return Ok((self.link.http.send(request).await?, self.credential.clone()));
        };
        let sent = self.link.send_as(identity, request).await;
        let (response, token) = match identity {
            TokenRequest::Azure(_) => sent.map_err(azure::unreachable)?,
            _ => sent?,
        };
        let server_address = &self.config.server_address;
        let refusal = match identity {
            TokenRequest::Azure(request) => azure::refusal(
                &response,
                &azure::Asked { server_address, scope: &request.scope, token: &token },
            ),
            TokenRequest::Google(_) => google::refusal(&response, server_address, &token),
            _ => None,
        };
        refusal.map_or_else(|| Ok((response, Some(token.secret().clone()))), Err)
    }

    /// No usable number: 0 where the user chose so, else an error; counted either way.
    fn nothing(&self, why: String) -> Result<Measurement, Error> {
        let ignored = self.config.ignore_null_values;
        self.link.empty_response(ignored);
        if ignored { Ok(0.0.into()) } else { Err(Error::answer(why)) }
    }
}

impl keda_scaler::Source for Source {
    async fn sample(&self, metric: &Metric) -> Result<Measurement, Error> {
        let mut request = self.request.clone();
        request.url = self.url();
        let (response, credential) = self.ask(request).await?;
        let answer = answer::read(&response, &self.config.query).map_err(|mut error| {
            if let Some(text) = credential.as_ref().and_then(|sent| sent.hide_in(&error.message)) {
                error.message = text;
            }
            error
        })?;
        match answer {
            Answer::Value(value) if value.is_finite() => Ok(value.into()),
            Answer::Value(value) => self.nothing(format!("prometheus query returns {}", go_float(value))),
            Answer::Empty(what) => {
                self.nothing(format!("prometheus metrics 'prometheus' target may be lost, {what}"))
            }
            // Upstream takes null for -1: the HPA sees 0, and only a negative activation threshold is below it.
            Answer::Null => Ok(Measurement::with_activity(0.0, -1.0 > metric.activation)),
        }
    }
}

/// A number that is none, as Go prints it.
fn go_float(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}
