//! `keda demo`: a workload goes from zero to N and back, in a minute, on a machine with nothing but this executable.
//!
//! Nothing is staged: the operator and the adapter are the real ones, over sockets; the HPA is read through the real
//! external metrics API. Only the cluster (keda-testkit's API server with its Deployment and HPA controllers) and the
//! source are embedded, and `--prometheus` replaces the latter by a real one. `--serve` keeps all of it up.

mod page;
mod plot;
mod print;
mod serve;
mod stage;
mod story;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use self::{print::Printer, stage::Stage, story::Story};

/// Flags of the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// How decisions are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// A real Prometheus to scale on, instead of the embedded source.
    #[arg(long, requires = "query")]
    prometheus: Option<String>,
    /// The PromQL query to scale on.
    #[arg(long, requires = "prometheus")]
    query: Option<String>,
    /// The value that one replica takes.
    #[arg(long, default_value_t = 10.0)]
    threshold: f64,
    /// When to give up waiting for the whole cycle, in seconds.
    #[arg(long, default_value_t = 58)]
    timeout: u64,
    /// Keep the cluster up until ctrl-c: for kubectl, a browser, and tests of your own.
    #[arg(long, conflicts_with = "prometheus")]
    serve: bool,
    /// Where the page, the load and the source are served under --serve; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:0", requires = "serve")]
    listen: SocketAddr,
}

/// How decisions are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// One readable line a decision.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the demo's workload is scaled on.
#[derive(Clone, Debug)]
struct Source {
    address: String,
    query: String,
    threshold: f64,
}

/// Runs the demo; fails when the cycle was not seen in full.
pub(crate) fn run(flags: Flags) -> Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let seen = runtime.block_on(play(flags))?;
    Ok(if seen { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(flags: Flags) -> Result<bool> {
    let shutdown = crate::shutdown::on_signal()?;
    let end = shutdown.child_token();
    let mut printer = Printer::new(flags.output);
    if flags.serve {
        let served = serve::run(flags.listen, flags.threshold, &mut printer, &end).await;
        end.cancel();
        return served.map(|()| true);
    }
    let embedded = match (&flags.prometheus, &flags.query) {
        (Some(address), Some(query)) => Err((address.clone(), query.clone())),
        _ => Ok(stage::serve_source(&end).await?),
    };
    let (source, load) = match embedded {
        Ok((address, source)) => {
            (Source { address, query: stage::QUERY.into(), threshold: flags.threshold }, Some(source))
        }
        Err((address, query)) => (Source { address, query, threshold: flags.threshold }, None),
    };
    printer.say(&format!("scaling {} on {} every second", stage::OBJECT, source.query));
    let stage = Stage::raise(&source, &end).await?;
    let story = Story::new(load, source.threshold);
    let seen = watch(stage, story, &mut printer, Duration::from_secs(flags.timeout), &end).await;
    end.cancel();
    seen
}

async fn watch(
    mut stage: Stage,
    mut story: Story,
    printer: &mut Printer,
    timeout: Duration,
    end: &CancellationToken,
) -> Result<bool> {
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            // In this order: whoever is asked to end closes its channel, and that is no failure.
            biased;
            () = end.cancelled() => return Ok(false),
            () = &mut deadline => {
                printer.say(&format!("the cycle was not seen in full: {}", story.missing()));
                return Ok(false);
            }
            _ = ticks.tick() => {
                story.advance();
                printer.progress(story.elapsed(), story.value(), stage.replicas().asked);
            }
            event = stage.next() => {
                let Some(line) = event.context("the operator stopped")? else { continue };
                story.note(&line);
                printer.line(&line);
                if story.is_complete() {
                    printer.say(&format!("the whole cycle in {:.1} s: {}", story.elapsed().as_secs_f64(), story.summary()));
                    return Ok(true);
                }
            }
        }
    }
}
