//! What every process shows of itself, with the names of Prometheus' client libraries and of client-go.

use super::Definition;

/// CPU time.
pub static CPU: Definition =
    Definition::counter("process_cpu_seconds_total", &[], "Total user and system CPU time spent in seconds.");
/// When it began.
pub static STARTED: Definition = Definition::gauge(
    "process_start_time_seconds",
    &[],
    "Start time of the process since unix epoch in seconds.",
);
/// Memory that it occupies.
pub static RESIDENT: Definition =
    Definition::gauge("process_resident_memory_bytes", &[], "Resident memory size in bytes.");
/// Memory that it may address.
pub static VIRTUAL: Definition =
    Definition::gauge("process_virtual_memory_bytes", &[], "Virtual memory size in bytes.");
/// Open files and sockets.
pub static FILES: Definition = Definition::gauge("process_open_fds", &[], "Number of open file descriptors.");
/// How many it may open.
pub static MOST_FILES: Definition =
    Definition::gauge("process_max_fds", &[], "Maximum number of open file descriptors.");

/// Requests to the API server.
pub static CLIENT_REQUESTS: Definition = Definition::counter(
    "rest_client_requests_total",
    &["code", "method", "host"],
    "Number of HTTP requests, partitioned by status code, method, and host.",
);

/// Of every process.
pub const PROCESS: &[&Definition] = &[&CPU, &STARTED, &RESIDENT, &VIRTUAL, &FILES, &MOST_FILES];
/// Of whoever talks to the API server.
pub const CLIENT: &[&Definition] = &[&CLIENT_REQUESTS];
