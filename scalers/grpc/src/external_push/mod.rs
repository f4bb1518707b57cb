#![doc = include_str!("docs.md")]

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use keda_scaler::{Context, Error, Link, Metric, Notice};

use crate::remote;
use crate::{Config, Pushing, Remote};

/// The trigger type `external-push`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Pushing;

    const TYPE: &'static str = "external-push";
    const LABEL: &'static str = "externalPushScaler";
    const REMOTE: bool = true;
    const PUSHES: bool = true;

    fn validate(config: &Config, context: &Context) -> Result<(), String> {
        config.check(context)
    }

    fn plan(_: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        Ok(Vec::new())
    }

    fn notices(config: &Config, context: &Context) -> Vec<Notice> {
        config.notices(context)
    }

    fn deadline(_: &Config, context: &Context) -> Duration {
        remote::patience(context)
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<Pushing, Error> {
        Remote::new(&config, &link).map(Pushing::new)
    }
}
