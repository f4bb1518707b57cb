//! KEDA's two processes under measurement: started with upstream's flags under their own accounts, read through /proc.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::control_plane::ControlPlane;

/// The kernel's unit of CPU time in /proc: 100 a second on every architecture that Linux tells user space about.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running process of ours.
pub(crate) struct Keda {
    name: &'static str,
    child: Child,
    pid: u32,
    /// It is ready when this port answers.
    port: u16,
}

/// What a process has used so far, or within a span of time.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Usage {
    /// CPU time in user and kernel mode, all threads.
    pub(crate) cpu_seconds: f64,
    /// Resident memory now.
    pub(crate) rss_bytes: u64,
    /// The most it ever was.
    pub(crate) peak_rss_bytes: u64,
}

impl Usage {
    /// CPU since `earlier`; memory as it is now.
    pub(crate) fn since(self, earlier: &Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - earlier.cpu_seconds, ..self }
    }
}

impl Keda {
    /// Starts `keda operator`, leader election included.
    pub(crate) fn operator(control_plane: &ControlPlane, keda: &Path) -> Result<Self> {
        let local = |name| control_plane.port(name).map(|port| format!("127.0.0.1:{port}"));
        let arguments = [
            "operator".to_owned(),
            "--leader-elect".to_owned(),
            "--zap-log-level=info".to_owned(),
            format!("--cert-dir={}", control_plane.path("certs").display()),
            format!("--metrics-service-bind-address={}", local("metrics-service")?),
            format!("--health-probe-bind-address={}", local("operator-a-probe")?),
            format!("--metrics-bind-address={}", local("operator-a-metrics")?),
        ];
        let ready = control_plane.port("metrics-service")?;
        Self::start("operator", control_plane, keda, "keda-operator", &arguments, ready)
    }

    /// Starts the adapter: `keda-adapter` where it stands beside `keda`, as in the image, or `keda adapter`.
    pub(crate) fn adapter(control_plane: &ControlPlane, keda: &Path) -> Result<Self> {
        let certs = control_plane.path("certs").display().to_string();
        let arguments = [
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", control_plane.port("adapter")?),
            format!("--port={}", control_plane.port("adapter-metrics")?),
            format!("--metrics-service-address=localhost:{}", control_plane.port("metrics-service")?),
            format!("--cert-dir={certs}"),
            format!("--tls-cert-file={certs}/tls.crt"),
            format!("--tls-private-key-file={certs}/tls.key"),
            format!("--client-ca-file={certs}/ca.crt"),
            "--zap-log-level=error".to_owned(),
        ];
        let ready = control_plane.port("adapter")?;
        let own = keda.with_file_name("keda-adapter");
        let (program, subcommand) =
            if own.exists() { (own.as_path(), None) } else { (keda, Some("adapter".to_owned())) };
        let arguments = Vec::from_iter(subcommand.into_iter().chain(arguments));
        Self::start("adapter", control_plane, program, "keda-metrics-server", &arguments, ready)
    }

    fn start(
        name: &'static str,
        control_plane: &ControlPlane,
        keda: &Path,
        account: &str,
        arguments: &[String],
        port: u16,
    ) -> Result<Self> {
        let log = control_plane.path(&format!("log/{name}.log"));
        let log = fs::File::options().create(true).append(true).open(log)?;
        let child = Command::new(keda)
            .args(arguments)
            .env("KUBECONFIG", control_plane.path(&format!("{account}.kubeconfig")))
            .env("WATCH_NAMESPACE", "")
            .env("POD_NAMESPACE", "keda")
            .env("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("the process has ended already")?;
        Ok(Self { name, child, pid, port })
    }

    /// Waits until it listens where it serves: for the operator that is once it leads.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the {} ended: {status}", self.name);
            }
            ensure!(Instant::now() < deadline, "the {} does not listen after a minute", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// What it has used since it started.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .with_context(|| format!("the {} has ended", self.name))?;
        // The second field is the name in parentheses, and may contain anything; the rest counts from there.
        let (_, fields) = stat.rsplit_once(')').context("unexpected form of /proc/PID/stat")?;
        let ticks: f64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let memory = |key: &str| -> Result<u64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix(key)).context("no memory in /proc")?;
            let kibibytes = line.split_whitespace().next().context("no number in /proc")?;
            Ok(kibibytes.parse::<u64>()? * 1024)
        };
        Ok(Usage {
            cpu_seconds: ticks / TICKS_PER_SECOND,
            rss_bytes: memory("VmRSS:")?,
            peak_rss_bytes: memory("VmHWM:")?,
        })
    }

    /// Asks it to end, and says how long that took.
    pub(crate) async fn stop(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await?;
        ensure!(asked.success(), "the {} has ended by itself", self.name);
        tokio::time::timeout(Duration::from_secs(40), self.child.wait())
            .await
            .with_context(|| format!("the {} does not end", self.name))??;
        Ok(began.elapsed())
    }
}
