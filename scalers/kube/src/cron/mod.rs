#![doc = include_str!("docs.md")]

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use keda_core::cron::{self, Schedule, Window};
use keda_scaler::{Clock, Context, Error, Link, Measurement, Metric};

pub use self::config::Config;

/// The trigger type `cron`.
pub struct Trigger;

impl keda_scaler::Trigger for Trigger {
    type Config = Config;
    type Source = Source;

    const TYPE: &'static str = "cron";
    const LABEL: &'static str = "cronScaler";
    const CACHEABLE: bool = false;

    /// The zone is looked up on connecting only, as upstream does: a manifest with an unknown one is accepted.
    fn validate(config: &Config, _: &Context) -> Result<(), String> {
        config.schedules().map_err(|error| error.message)?;
        if config.start == config.end {
            return Err("start and end can not have exactly same time input".to_owned());
        }
        if config.desired_replicas == 0 {
            return Err("no desiredReplicas specified".to_owned());
        }
        Ok(())
    }

    fn plan(config: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        let Config { timezone, start, end, .. } = config;
        let name = format!("cron-{timezone}-{}-{}", in_a_name(start), in_a_name(end));
        Ok(vec![Metric::new(name, 1_i64)])
    }

    async fn connect(config: Arc<Config>, link: Link) -> Result<Source, Error> {
        let (start, end) = config.schedules()?;
        let zone = cron::zone(&config.timezone)
            .map_err(|error| Error::config(format!("unable to load timezone: {error}")))?;
        let window = Window { start, end, zone };
        Ok(Source { window, clock: link.clock, desired: config.desired_replicas as f64 })
    }
}

impl Config {
    fn schedules(&self) -> Result<(Schedule, Schedule), Error> {
        let parse = |which: &str, text: &str| {
            Schedule::parse(text)
                .map_err(|error| Error::config(format!("error parsing {which} schedule: {error}")))
        };
        Ok((parse("start", &self.start)?, parse("end", &self.end)?))
    }
}

/// A schedule as part of a metric name, in upstream's spelling.
fn in_a_name(schedule: &str) -> String {
    schedule.replace(' ', "").replace('*', "x").replace('/', "Sl").replace('?', "Qm").replace(',', "Cm")
}

/// Looks at the clock.
#[derive(Debug)]
pub struct Source {
    window: Window,
    clock: Clock,
    desired: f64,
}

impl keda_scaler::Source for Source {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        let active = self.window.active(self.clock.now());
        Ok(Measurement::with_activity(if active { self.desired } else { 0.0 }, active))
    }
}
