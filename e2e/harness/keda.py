"""KEDA's processes, started as its Deployments would: upstream's flags, upstream's environment, their own accounts."""

import http.client
import os
import ssl
import sys
import urllib.request
from pathlib import Path

from .controlplane import kubectl
from .state import E2E, State, executable


def _environment(state: State, account: str) -> dict:
    return {
        "KUBECONFIG": str(state / f"{account}.kubeconfig"),
        "WATCH_NAMESPACE": "",
        "POD_NAMESPACE": "keda",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
        "RUST_BACKTRACE": "1",
    }


def start_balancer(state: State) -> None:
    (state / "backends").touch()
    state.start("balancer", [sys.executable, "-m", "harness.balancer", state.port("metrics-service"),
                             state / "backends"], env={"PYTHONPATH": str(E2E)})


def _balance(state: State) -> None:
    """The Service selects every operator that runs, leader or not, as upstream's does."""
    running = [f"operator-{one}" for one in "ab" if state.running(f"operator-{one}")]
    part = state / "backends.new"
    part.write_text("\n".join(state.address(f"{name}-grpc") for name in running))
    os.replace(part, state / "backends")


def start_operator(state: State, one: str = "a", wait: bool = True) -> None:
    name = f"operator-{one}"
    state.start(name, [
        state.program, "operator", "--leader-elect", "--zap-log-level=info", "--zap-encoder=console",
        "--zap-time-encoding=rfc3339nano",
        f"--cert-dir={state / 'certs'}",
        f"--metrics-service-bind-address={state.address(f'{name}-grpc')}",
        f"--health-probe-bind-address={state.address(f'{name}-probe')}",
        f"--metrics-bind-address={state.address(f'{name}-metrics')}",
    ], env=_environment(state, "keda-operator"))
    _balance(state)
    if wait:
        state.wait(f"{name}'s readiness", lambda: operator_ready(state, one), process=name)


def stop_operator(state: State, one: str = "a") -> float:
    """SIGTERM; returns the seconds until the process was gone."""
    took = state.stop(f"operator-{one}")
    _balance(state)
    return took


def kill_operator(state: State, one: str = "a") -> None:
    state.kill(f"operator-{one}")
    _balance(state)


def operator_ready(state: State, one: str = "a") -> bool:
    url = f"http://{state.address(f'operator-{one}-probe')}/readyz"
    with urllib.request.urlopen(url, timeout=2) as answer:
        return answer.status == 200


def start_adapter(state: State, wait: bool = True) -> None:
    certs = state / "certs"
    # The executable of its own, as the image has it, where it was built.
    own = Path(state.program).with_name("keda-adapter")
    state.start("adapter", [
        *([own] if own.exists() else [state.program, "adapter"]),
        f"--secure-port={state.port('adapter')}", "--bind-address=127.0.0.1",
        f"--port={state.port('adapter-metrics')}",
        f"--metrics-service-address=localhost:{state.port('metrics-service')}",
        f"--cert-dir={certs}", f"--tls-cert-file={certs / 'tls.crt'}",
        f"--tls-private-key-file={certs / 'tls.key'}", f"--client-ca-file={certs / 'ca.crt'}",
        "--zap-log-level=info", "--zap-encoder=console",
    ], env=_environment(state, "keda-metrics-server"))
    if wait:
        state.wait("the adapter's readiness", lambda: adapter_ready(state), process="adapter")


def adapter_ready(state: State) -> bool:
    trust = ssl.create_default_context(cafile=str(state / "certs/ca.crt"))
    connection = http.client.HTTPSConnection("localhost", state.port("adapter"), context=trust, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def start_webhooks(state: State, certs, *flags: str, wait: bool = True) -> None:
    """The admission webhooks, with the certificate in a folder of their own. Nobody asks them until a configuration says so."""
    state.start("webhooks", [
        state.program, "webhooks", f"--cert-dir={certs}", f"--port={state.port('webhooks')}",
        f"--health-probe-bind-address={state.address('webhooks-probe')}",
        f"--metrics-bind-address={state.address('webhooks-metrics')}",
        "--zap-log-level=info", "--zap-encoder=console", *flags,
    ], env=_environment(state, "keda-webhook"))
    if wait:
        state.wait("the webhooks' readiness", lambda: webhooks_ready(state), process="webhooks")


def webhooks_ready(state: State) -> bool:
    with urllib.request.urlopen(f"http://{state.address('webhooks-probe')}/readyz", timeout=2) as answer:
        return answer.status == 200


def aggregated(state: State) -> bool:
    """Whether the API server itself calls the external metrics API available."""
    path = '{.status.conditions[?(@.type=="Available")].status}'
    return kubectl(state, "get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", f"jsonpath={path}") == "True"


def metrics(state: State, process: str = "operator-a") -> str:
    """The process's own /metrics page."""
    with urllib.request.urlopen(f"http://{state.address(f'{process}-metrics')}/metrics", timeout=2) as answer:
        return answer.read().decode()


def start_recorder(state: State) -> None:
    state.start("recorder", [sys.executable, "-m", "harness.recorder", state / "record",
                             executable("kubectl", "KUBECTL"), "--kubeconfig", state.kubeconfig],
                env={"PYTHONPATH": str(E2E)})


def up(state: State) -> None:
    """Operator, adapter, the Service between them, and the recorder; returns when the aggregated API is available."""
    state.set_program(executable("keda", "KEDA_BIN"))
    start_recorder(state)
    start_balancer(state)
    start_operator(state)
    start_adapter(state)
    state.wait("the aggregated external metrics API", lambda: aggregated(state), process="adapter")
