//! `keda-bench`: N ScaledObjects on a real control plane over loopback, and what they cost.
//!
//! The way of one measurement reads top to bottom in [`measure`]: bring the control plane up, start the two processes,
//! create the objects and wait until all are Ready with HPAs, let it rest, ask the metrics API, restart the operator, delete it all.
//! The source is this process itself and answers at once, so that what is measured is KEDA and the API server.

mod audit;
mod control_plane;
mod latency;
mod objects;
mod process;
mod report;
mod source;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::time::Instant;

use crate::{
    audit::Audit, control_plane::ControlPlane, objects::Fleet, process::Keda, report::Report, source::Source,
};

/// They are at rest when nobody has written an object for this long.
const SETTLED: Duration = Duration::from_secs(35);

/// Measures N ScaledObjects on a real control plane over loopback.
#[derive(Debug, Parser)]
#[command(name = "keda-bench")]
struct Options {
    /// ScaledObjects, each with a Deployment and a prometheus trigger with a query of its own.
    #[arg(long, default_value_t = 100)]
    objects: usize,

    /// Their pollingInterval, in seconds.
    #[arg(long, default_value_t = 30)]
    interval: i32,

    /// How long to watch it rest, in seconds.
    #[arg(long, default_value_t = 90)]
    steady: u64,

    /// How long to ask the metrics API at each concurrency, in seconds.
    #[arg(long, default_value_t = 10)]
    asking: u64,

    /// The keda executable. Default: `keda` beside this program.
    #[arg(long)]
    keda: Option<PathBuf>,

    /// The `e2e` folder of this project, whose `up` and `down` are used.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e"))]
    e2e: PathBuf,

    /// Where the control plane keeps its files while it is up. It is removed afterwards, but for `--keep`.
    #[arg(long)]
    dir: Option<PathBuf>,

    /// Keep the folder with all logs.
    #[arg(long)]
    keep: bool,

    /// Also write the figures as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    keda_tls::install_provider();
    let options = Options::parse();
    let keda = match &options.keda {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("keda"),
    };
    let keda = keda.canonicalize().with_context(|| format!("no keda executable at {}", keda.display()))?;
    let dir = options.dir.clone();
    let dir = dir.unwrap_or_else(|| std::env::temp_dir().join(format!("keda-bench-{}", std::process::id())));

    let control_plane = ControlPlane::up(&options.e2e, &dir, &keda).await?;
    let result = tokio::select! {
        result = measure(&options, &control_plane, &keda) => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    control_plane.down(options.keep || result.is_err()).await?;

    let report = result.with_context(|| format!("logs are in {}", dir.display()))?;
    report.print(&mut std::io::stdout())?;
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

async fn measure(options: &Options, control_plane: &ControlPlane, keda: &std::path::Path) -> Result<Report> {
    let source = Source::start().await?;
    let client = control_plane.client().await?;
    let audit = Audit::of(control_plane);
    let mut operator = Keda::operator(control_plane, keda)?;
    let mut adapter = Keda::adapter(control_plane, keda)?;
    operator.ready().await?;
    adapter.ready().await?;

    // Born: objects come while everything runs.
    say(format_args!("{} ScaledObjects come", options.objects));
    let mark = audit.mark()?;
    let before = (operator.usage()?, adapter.usage()?, source.requests());
    let began = Instant::now();
    let fleet = Fleet::watch(client.clone(), options.objects);
    let created = fleet.create(&source, options.interval).await?;
    fleet.all_ready(Duration::from_secs(600)).await?;
    let born = report::Phase {
        seconds: began.elapsed().as_secs_f64(),
        operator: operator.usage()?.since(&before.0),
        adapter: adapter.usage()?.since(&before.1),
        source_requests: source.requests() - before.2,
        writes: audit.since(mark)?.writes,
    };

    // At rest: nothing changes. Until then HPAs get their first conditions, as fast as their controller may ask.
    say(format_args!("all Ready after {:.1} s; they settle", born.seconds));
    let mark = audit.mark()?;
    let began = Instant::now();
    loop {
        let mark = audit.mark()?;
        tokio::time::sleep(SETTLED).await;
        if audit.since(mark)?.changes() == 0 {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(600), "objects are still written ten minutes later");
    }
    let settling =
        report::Settling { seconds: began.elapsed().as_secs_f64(), writes: audit.since(mark)?.writes };
    say(format_args!("at rest for {} s", options.steady));
    let mark = audit.mark()?;
    let before = (operator.usage()?, adapter.usage()?, source.requests());
    tokio::time::sleep(Duration::from_secs(options.steady)).await;
    let counted = audit.since(mark)?;
    let at_rest = report::Phase {
        seconds: options.steady as f64,
        operator: operator.usage()?.since(&before.0),
        adapter: adapter.usage()?.since(&before.1),
        source_requests: source.requests() - before.2,
        writes: counted.writes,
    };

    say(format_args!("the metrics API is asked"));
    let asker = latency::Asker::new(control_plane, &client, options.objects).await?;
    let asking = Duration::from_secs(options.asking);
    let latencies = vec![asker.ask(1, asking).await?, asker.ask(16, asking).await?];

    // Restarted: everything is there already, nothing has to be written.
    say(format_args!("the operator is restarted"));
    let left = operator.stop().await?;
    let mark = audit.mark()?;
    let requests = source.requests();
    let began = Instant::now();
    let mut operator = Keda::operator(control_plane, keda)?;
    source.until(requests + options.objects as u64, Duration::from_secs(300)).await?;
    let polled = began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let restarted = report::Restart {
        exit_seconds: left.as_secs_f64(),
        all_polled_seconds: polled,
        writes: audit.since(mark)?.writes,
    };

    // Gone: with the namespace, as users delete things.
    say(format_args!("the namespace is deleted"));
    let deleted = fleet.delete(Duration::from_secs(600)).await?;

    operator.stop().await?;
    adapter.stop().await?;
    Ok(Report {
        objects: options.objects,
        interval_seconds: options.interval,
        create_seconds: created.as_secs_f64(),
        born,
        settling,
        at_rest,
        reads_at_rest: counted.reads,
        restarted,
        deleted_seconds: deleted.as_secs_f64(),
        latencies,
    })
}

/// Progress, for the person who waits.
fn say(what: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _nobody_waits = writeln!(std::io::stderr(), "keda-bench: {what}");
}
