//! The figures, as a table for people and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::{audit::Counts, latency::Latency, process::Usage};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// ScaledObjects.
    pub(crate) objects: usize,
    /// Their pollingInterval.
    pub(crate) interval_seconds: i32,
    /// How long this tool took to create them: part of `born.seconds`.
    pub(crate) create_seconds: f64,
    /// From the first creation until all were Ready with HPAs.
    pub(crate) born: Phase,
    /// From then until nobody wrote any more.
    pub(crate) settling: Settling,
    /// While nothing changed.
    pub(crate) at_rest: Phase,
    /// The reads of KEDA's accounts while nothing changed.
    pub(crate) reads_at_rest: Counts,
    /// A restart of the operator with everything in place.
    pub(crate) restarted: Restart,
    /// From the deletion of their namespace until it was gone.
    pub(crate) deleted_seconds: f64,
    /// The metrics API.
    pub(crate) latencies: Vec<Latency>,
}

/// A span of time and what it cost.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    /// How long it was.
    pub(crate) seconds: f64,
    /// The operator's share.
    pub(crate) operator: Usage,
    /// The adapter's share.
    pub(crate) adapter: Usage,
    /// Requests that reached the source.
    pub(crate) source_requests: u64,
    /// Writes at the API server, by user.
    pub(crate) writes: Counts,
}

/// The time between birth and rest.
#[derive(Debug, Serialize)]
pub(crate) struct Settling {
    /// How long it was.
    pub(crate) seconds: f64,
    /// Writes at the API server, by user.
    pub(crate) writes: Counts,
}

/// A restart of the operator.
#[derive(Debug, Serialize)]
pub(crate) struct Restart {
    /// From SIGTERM until the process was gone.
    pub(crate) exit_seconds: f64,
    /// From the start of the next process until every object was polled once.
    pub(crate) all_polled_seconds: f64,
    /// Writes at the API server, by user.
    pub(crate) writes: Counts,
}

impl Report {
    /// Prints the table.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{} ScaledObjects, pollingInterval {} s", self.objects, self.interval_seconds)?;
        writeln!(
            out,
            "  all Ready with HPAs      {:8.1} s   (creating them took {:.1} s of it)",
            self.born.seconds, self.create_seconds
        )?;
        self.born.print(out)?;
        writeln!(out, "  settled within           {:8.0} s", self.settling.seconds)?;
        print_counts(out, "writes", &self.settling.writes, None)?;
        writeln!(out, "  at rest for              {:8.0} s", self.at_rest.seconds)?;
        self.at_rest.print(out)?;
        print_counts(out, "reads", &self.reads_at_rest, Some(self.at_rest.seconds))?;
        writeln!(out, "  metrics API                   p50       p99     requests/s")?;
        for latency in &self.latencies {
            writeln!(
                out,
                "    c={:<4}                {:8.2} ms {:6.2} ms {:10.0}",
                latency.concurrency, latency.p50_ms, latency.p99_ms, latency.per_second
            )?;
        }
        writeln!(
            out,
            "  operator restarted: gone after {:.2} s, all polled {:.1} s after the next one started",
            self.restarted.exit_seconds, self.restarted.all_polled_seconds
        )?;
        print_counts(out, "writes", &self.restarted.writes, None)?;
        writeln!(out, "  deleted with their namespace {:4.1} s", self.deleted_seconds)
    }
}

impl Phase {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for (name, usage) in [("operator", self.operator), ("adapter", self.adapter)] {
            writeln!(
                out,
                "    {name:<9} {:6.2} s CPU ({:5.1} % of a core), {:5.1} MB resident, {:5.1} MB at most",
                usage.cpu_seconds,
                usage.cpu_seconds / self.seconds * 100.0,
                usage.rss_bytes as f64 / 1e6,
                usage.peak_rss_bytes as f64 / 1e6
            )?;
        }
        writeln!(
            out,
            "    source    {} requests, {:.1} a second",
            self.source_requests,
            self.source_requests as f64 / self.seconds
        )?;
        print_counts(out, "writes", &self.writes, Some(self.seconds))
    }
}

fn print_counts(out: &mut impl Write, what: &str, counts: &Counts, seconds: Option<f64>) -> io::Result<()> {
    for (user, counts) in counts {
        let total: u64 = counts.values().sum();
        write!(out, "    {what} by {user}: {total}")?;
        if let Some(seconds) = seconds {
            write!(out, ", {:.1} a second", total as f64 / seconds)?;
        }
        for (index, (what, count)) in counts.iter().enumerate() {
            write!(out, "{} {what} {count}", if index == 0 { ":" } else { "," })?;
        }
        writeln!(out)?;
    }
    Ok(())
}
