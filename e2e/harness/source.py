"""A real Prometheus that scrapes the application every second."""

import sys
import urllib.request

from .state import E2E, State, executable

CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: app
    static_configs: [{{targets: ["{app}"]}}]
"""


def _ok(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=1) as answer:
        return answer.status == 200


def start_app(state: State) -> None:
    state.start("app", [sys.executable, "-m", "harness.app", state.address("app")], env={"PYTHONPATH": str(E2E)})
    state.wait("the application", lambda: _ok(f"http://{state.address('app')}/metrics"), process="app")


def start_prometheus(state: State, name: str = "prometheus", port: int | None = None) -> str:
    """Starts a Prometheus (a scenario may want one of its own to stop) and returns its URL."""
    address = f"{state.host}:{port}" if port else state.address("prometheus")
    (state / f"{name}.yaml").write_text(CONFIG.format(app=state.address("app")))
    state.start(name, [
        executable("prometheus", "PROMETHEUS"), "--config.file", state / f"{name}.yaml",
        "--storage.tsdb.path", state / f"{name}-data", "--storage.tsdb.retention.time", "2h",
        "--web.listen-address", address, "--log.level", "warn"])
    state.wait("Prometheus", lambda: _ok(f"http://{address}/-/ready"), process=name)
    return f"http://{address}"


def up(state: State) -> None:
    start_app(state)
    start_prometheus(state)
