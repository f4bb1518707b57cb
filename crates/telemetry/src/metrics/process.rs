//! `process_*` as Prometheus' client libraries have them, from /proc. What the kernel does not say is left out.

use std::fs;

use super::{Scrape, table};

/// Ticks a second in /proc, the same on every Linux that we run on.
const TICKS: f64 = 100.0;

pub(crate) fn collect(scrape: &mut Scrape) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        scrape.value(&table::CPU, stat.cpu);
        if let Some(boot) = boot_time() {
            scrape.value(&table::STARTED, boot + stat.start);
        }
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        for (key, definition) in [("VmRSS:", &table::RESIDENT), ("VmSize:", &table::VIRTUAL)] {
            if let Some(kilobytes) = number_after(&status, key) {
                scrape.value(definition, kilobytes * 1024.0);
            }
        }
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        scrape.value(&table::FILES, files.count() as f64);
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits")
        .ok()
        .and_then(|limits| number_after(&limits, "Max open files"))
    {
        scrape.value(&table::MOST_FILES, limit);
    }
}

struct Stat {
    /// Seconds.
    cpu: f64,
    /// Seconds after boot.
    start: f64,
}

impl Stat {
    /// proc(5): fields 14 and 15 are the times, 22 is the start; field 2 is a name in brackets that may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let after_name = &stat[stat.rfind(')')? + 1..];
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let field = |n: usize| fields.get(n - 3)?.parse::<f64>().ok();
        Some(Self { cpu: (field(14)? + field(15)?) / TICKS, start: field(22)? / TICKS })
    }
}

fn boot_time() -> Option<f64> {
    number_after(&fs::read_to_string("/proc/stat").ok()?, "btime ")
}

fn number_after(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
