//! `--profiling-bind-address`: what a process knows of itself, on plain HTTP.
//!
//! Upstream serves Go's pprof there. A Rust process has no such runtime; what people look for in it stands here instead: memory, threads
//! by CPU time, the runtime's tasks, and the operator's objects with what was last read of them.

use std::{fs, sync::Arc, time::Instant};

use anyhow::Result;
use keda_operator::Inspector;
use keda_telemetry::http::{self, Pages};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

const NO_PPROF: &str = "there are no Go profiles here: this is keda-rs, a Rust process\n\
    GET /debug says what there is; for a CPU profile run `perf record -g -p PID` beside the process\n";

/// Serves the pages until the shutdown; an empty address, or `0`, serves nothing. `objects`: the operator's.
pub(crate) async fn serve(
    address: &str,
    objects: Option<Inspector>,
    shutdown: &CancellationToken,
) -> Result<()> {
    if matches!(address, "" | "0") {
        return Ok(());
    }
    let listener = http::bind(address).await?;
    tracing::info!(logger = "setup", address, "serving /debug, to whoever can reach it");
    tokio::spawn(http::serve(listener, pages(objects), shutdown.clone().cancelled_owned()));
    Ok(())
}

fn pages(objects: Option<Inspector>) -> Pages {
    let (begun, runtime) = (Instant::now(), Handle::current());
    let mut index = "/debug/process  memory, files, time of the process, from /proc\n\
        /debug/threads  its threads by CPU time\n\
        /debug/runtime  tasks and workers of the runtime\n"
        .to_owned();
    let mut pages = Pages::new()
        .json("debug/process", move || pretty(&process(begun)))
        .json("debug/threads", || pretty(&threads()))
        .json("debug/runtime", move || pretty(&workers(&runtime)))
        .missing("debug/pprof", NO_PPROF);
    if let Some(inspector) = objects {
        index.push_str(
            "/debug/objects  ScaledObjects, their triggers, what was last read of them, and when\n",
        );
        pages = pages.json("debug/objects", move || {
            pretty(&inspector.objects().map_or_else(
                || json!({ "leading": false }),
                |objects| json!({ "leading": true, "objects": objects }),
            ))
        });
    }
    let index: Arc<str> = index.into();
    pages.text("debug", move || index.to_string())
}

fn pretty(value: &Value) -> String {
    // A Value is always JSON.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn process(begun: Instant) -> Value {
    let mut memory = Map::new();
    for file in ["/proc/self/status", "/proc/self/smaps_rollup"] {
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if let Some(kilobytes) = value.trim().strip_suffix(" kB").and_then(|it| it.parse::<u64>().ok()) {
                memory.insert(name.to_owned(), (kilobytes * 1024).into());
            }
        }
    }
    let cgroup = |name: &str| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": begun.elapsed().as_secs_f64(),
        "memoryBytes": memory,
        "cgroupMemoryBytes": { "current": cgroup("memory.current"), "max": cgroup("memory.max") },
        "openFiles": fs::read_dir("/proc/self/fd").map(Iterator::count).ok(),
    })
}

/// proc(5): field 2 of stat is a name in brackets that may hold anything, 3 the state, 14 and 15 the times in hundredths.
fn threads() -> Value {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut threads: Vec<(u64, Value)> = entries
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
            let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
            let (user, system) = (ticks(14)?, ticks(15)?);
            #[expect(clippy::cast_precision_loss, reason = "ticks of a process are far below 2^52")]
            let seconds = |ticks: u64| ticks as f64 / 100.0;
            let shown = json!({
                "name": name,
                "state": fields.first()?,
                "userSeconds": seconds(user),
                "systemSeconds": seconds(system),
            });
            Some((user + system, shown))
        })
        .collect();
    threads.sort_by_key(|(ticks, _)| std::cmp::Reverse(*ticks));
    threads.into_iter().map(|(_, shown)| shown).collect()
}

fn workers(runtime: &Handle) -> Value {
    let metrics = runtime.metrics();
    let worker = |at: usize| {
        json!({
            "busySeconds": metrics.worker_total_busy_duration(at).as_secs_f64(),
            "parks": metrics.worker_park_count(at),
        })
    };
    json!({
        "aliveTasks": metrics.num_alive_tasks(),
        "waitingTasks": metrics.global_queue_depth(),
        "workers": (0..metrics.num_workers()).map(worker).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn a_process_says_what_it_knows_of_itself() {
        let listener = http::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let pages = pages(Some(Inspector::default()));
        tokio::spawn(http::serve(listener, pages, shutdown.clone().cancelled_owned()));

        let json = async |path: &str| {
            let (status, body) = get(address, path).await;
            assert_eq!(status, 200, "{path}: {body}");
            serde_json::from_str::<Value>(&body).unwrap()
        };
        let process = json("/debug/process").await;
        assert!(process["memoryBytes"]["VmRSS"].as_u64().unwrap() > 1 << 20, "{process}");
        assert_eq!(process["pid"], std::process::id());
        let threads = json("/debug/threads").await;
        assert!(threads.as_array().unwrap().iter().all(|thread| thread["name"].is_string()), "{threads}");
        let runtime = json("/debug/runtime").await;
        assert!(runtime["aliveTasks"].as_u64().unwrap() >= 1, "{runtime}");
        assert_eq!(json("/debug/objects").await, json!({ "leading": false }));

        for path in ["/debug", "/debug/"] {
            let (status, index) = get(address, path).await;
            assert!(status == 200 && index.contains("/debug/objects"), "{index}");
        }
        let (status, text) = get(address, "/debug/pprof/heap?seconds=1").await;
        assert_eq!((status, text.as_str()), (404, NO_PPROF));
        shutdown.cancel();
    }
}
