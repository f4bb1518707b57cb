#![doc = include_str!("docs.md")]

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use keda_scaler::http::{self, HeaderValue, header};
use keda_scaler::{Context, Error, Kind, Link, Measurement, Metric};

pub use self::config::Config;

/// The trigger type `backlog`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "backlog";
    const LABEL: &'static str = "backlogScaler";

    fn plan(config: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        let metric = Metric::new(format!("backlog-{}", config.queue), config.messages);
        Ok(vec![metric.targeted_by("messages").activation(config.activation_messages)])
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<Source, Error> {
        let mut request =
            http::Request::get(format!("{}/queues/{}", config.server_address, config.queue));
        if let Some(token) = &config.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| Error::config("token cannot be sent as a header"))?;
            value.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, value);
        }
        Ok(Source { request, link })
    }
}

/// Asks for the length of a queue.
pub struct Source {
    request: http::Request,
    link: Link,
}

impl keda_scaler::Source for Source {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        let response = self.link.http.send(self.request.clone()).await?;
        if !response.status.is_success() {
            let status = response.status.as_u16();
            return Err(Error::new(Kind::Source(status), format!("the queue server answered {status}")));
        }
        let length = std::str::from_utf8(&response.body).ok().and_then(|text| text.trim().parse::<f64>().ok());
        length.map(Measurement::from).ok_or_else(|| Error::answer("the queue server answered no number"))
    }
}
