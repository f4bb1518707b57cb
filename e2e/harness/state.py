"""One folder holds one control plane: ports, keys, logs, pid files. Two folders can be up side by side."""

import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

E2E = Path(__file__).resolve().parent.parent
ROOT = E2E.parent

# Every listener has a name here; `State.port` gives its number.
PORTS = [
    "etcd",
    "etcd-peer",
    "apiserver",
    "controller-manager",
    "prometheus",
    "app",
    "metrics-service",  # what the adapter dials, as a Service would balance it
    "adapter",
    "adapter-metrics",
    "operator-a-grpc",
    "operator-a-probe",
    "operator-a-metrics",
    "operator-b-grpc",
    "operator-b-probe",
    "operator-b-metrics",
    "webhooks",
    "webhooks-probe",
    "webhooks-metrics",
    # Only where there is a node (harness/node.py).
    "scheduler",
    "kubelet-health",
    "proxy-health",
    "proxy-metrics",
    "dns-health",
    "metrics-server",
]


class Failure(Exception):
    """Something of the harness did not come up; the text says what and where to look."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, below those the kernel gives to outgoing connections.

    Between the end of a server and its next start, a client that tries to reach it could otherwise be given that very
    port for its own end, and so keep it.
    """
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.randrange(10_000, first_ephemeral)))
                held.append(candidate)
            except OSError:
                candidate.close()
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def is_free(port: int) -> bool:
    """Whether a server could listen there: a killed one holds its port until its last thread is gone."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def started_at(pid: int) -> str | None:
    """The kernel's start time of a process, which with the pid names it for good; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def executable(name: str, variable: str | None = None) -> str:
    """A program by name: from `variable`, from the cache of e2e/build, or from PATH."""
    if variable and os.environ.get(variable):
        return os.environ[variable]
    cache = Path(os.environ.get("KEDA_E2E_BIN") or Path.home() / ".cache/keda-rs-e2e/bin") / name
    if cache.is_file():
        return str(cache)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if os.access(Path(folder) / name, os.X_OK):
            return str(Path(folder) / name)
    raise Failure(f"{name} is missing: run e2e/build first")


class State:
    """The folder, and the processes that were started in it."""

    # Where what a scenario or a pod calls listens. What only the harness itself calls stays on loopback.
    host = "127.0.0.1"

    def __init__(self, folder: str | Path | None = None):
        self.dir = Path(folder or os.environ.get("KEDA_E2E_DIR") or E2E / ".state").resolve()

    def __truediv__(self, part: str) -> Path:
        return self.dir / part

    def create(self) -> None:
        """Makes the folders and settles the ports: free ones, or KEDA_E2E_BASE_PORT and up."""
        for part in ("pki", "log", "pid", "certs"):
            (self.dir / part).mkdir(parents=True, exist_ok=True)
        if (self / "ports.json").exists():
            return
        base = os.environ.get("KEDA_E2E_BASE_PORT")
        numbers = range(int(base), int(base) + len(PORTS)) if base else free_ports(len(PORTS))
        (self / "ports.json").write_text(json.dumps(dict(zip(PORTS, numbers)), indent=1))

    def port(self, name: str) -> int:
        return json.loads((self / "ports.json").read_text())[name]

    def address(self, name: str) -> str:
        return f"{self.host}:{self.port(name)}"

    def local(self, name: str) -> str:
        return f"127.0.0.1:{self.port(name)}"

    @property
    def kubeconfig(self) -> Path:
        return self / "admin.kubeconfig"

    # -- processes ---------------------------------------------------------------------------------------

    def start(self, name: str, argv: list, env: dict | None = None) -> int:
        """Starts a process in a session of its own; output is appended to log/NAME.log."""
        if self.running(name):
            raise Failure(f"{name} is running already")
        with open(self / f"log/{name}.log", "ab") as log:
            process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                cwd=self.dir,
                start_new_session=True,
            )
        (self / f"pid/{name}").write_text(f"{process.pid} {started_at(process.pid)}")
        return process.pid

    def pid(self, name: str) -> int | None:
        """The pid of a process that still is the one that was started here."""
        try:
            pid, start = (self / f"pid/{name}").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if started_at(int(pid)) == start else None

    def running(self, name: str) -> bool:
        return self.pid(name) is not None

    # The executable under test is remembered, so that whoever restarts a process restarts the same one.

    def set_program(self, path: str) -> None:
        (self / "program").write_text(path)

    @property
    def program(self) -> str:
        return (self / "program").read_text()

    def signal(self, name: str, number: int) -> None:
        if pid := self.pid(name):
            os.kill(pid, number)

    def stop(self, name: str, patience: float = 30) -> float:
        """Asks a process to end, insists after `patience` seconds; returns how long it took."""
        began = time.monotonic()
        self.signal(name, signal.SIGTERM)
        while self.running(name):
            if time.monotonic() - began > patience:
                self.signal(name, signal.SIGKILL)
            time.sleep(0.02)
        (self / f"pid/{name}").unlink(missing_ok=True)
        return time.monotonic() - began

    def kill(self, name: str) -> None:
        """kill -9: no goodbye."""
        self.signal(name, signal.SIGKILL)
        while self.running(name):
            time.sleep(0.02)
        (self / f"pid/{name}").unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Processes with a pid file, in the order they were started."""
        if not (self / "pid").is_dir():
            return []
        return [f.name for f in sorted((self / "pid").iterdir(), key=lambda f: f.stat().st_mtime_ns)]

    def tail(self, name: str, lines: int = 5) -> str:
        try:
            return "\n".join((self / f"log/{name}.log").read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def wait(self, what: str, ready, seconds: float = 60, process: str | None = None) -> None:
        """Polls `ready` until it is true; an exception counts as not yet."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
                cause = "not yet"
            except Exception as e:
                cause = repr(e)
            if process and not self.running(process):
                raise Failure(f"{process} ended: {self.tail(process)}")
            if time.monotonic() > deadline:
                hint = f"; {process} says: {self.tail(process)}" if process else ""
                raise Failure(f"{what} not seen in {seconds} s ({cause}){hint}")
            time.sleep(0.1)
