"""KEDA as its users install it: the chart, by helm, into namespace `keda`."""

import json
import os
import subprocess
import time
from pathlib import Path

from . import images, node
from .controlplane import kubectl
from .state import ROOT, Failure, State, executable

CHART = ROOT / "deploy/chart/keda"
NAMESPACE = "keda"
IMAGE = "ghcr.io/keda-rs/keda"
PODS = ("keda-admission-webhooks", "keda-operator", "keda-operator-metrics-apiserver")
# The image is on the node already, no registry knows it.
BASE = ("image.pullPolicy=IfNotPresent",)


def load_image(state: node.Node, trust: list[Path] | None = None) -> None:
    """Builds KEDA's image and puts it where the kubelet finds it, under the name that the chart asks for."""
    node.load(state, images.keda(state, state.program, IMAGE, trust=trust))


def run(state: State, *argv: str, check: bool = True) -> str:
    folder = {f"HELM_{part}_HOME": str(state / f"helm/{part.lower()}") for part in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [executable("helm"), "--kubeconfig", state.kubeconfig, "--namespace", NAMESPACE, *argv],
        capture_output=True, text=True, env={**os.environ, **folder})
    if check and done.returncode:
        raise Failure(f"helm {' '.join(map(str, argv))}: {done.stderr.strip()}")
    return done.stdout


def install(state: State, *values: str, verb: str = "install") -> str:
    """`helm install` (or upgrade) of release `keda` with these `--set`s."""
    sets = [part for value in values for part in ("--set", value)]
    create = ["--create-namespace"] if verb == "install" else []
    (state / "installed.json").write_text(json.dumps(sorted(values)))
    return run(state, verb, "keda", str(CHART), *create, *sets)


def ensure(state: State, *values: str, before=None) -> None:
    """An installation with these values, Ready: the one that is there, or a new one.

    `before` is called when the old one is gone, and its namespace with it.
    """
    wanted = sorted([*BASE, *values])
    installed = state / "installed.json"
    if not installed.exists() or json.loads(installed.read_text()) != wanted:
        if installed.exists():
            uninstall(state)
        kubectl(state, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout=60s")
        if before:
            before()
        install(state, *wanted)
    wait_ready(state)


def uninstall(state: State) -> None:
    """Takes the release away and waits for its pods' end; notes when, for they lose their permissions before they end."""
    began = time.time()
    run(state, "uninstall", "keda", "--wait", "--timeout", "60s")
    (state / "installed.json").unlink(missing_ok=True)
    state.wait("the end of KEDA's pods", lambda: not pods(state))
    with open(state / "uninstalled.jsonl", "a") as file:
        file.write(json.dumps([began, time.time()]) + "\n")


def revision(state: State) -> int:
    """How often the release was installed or upgraded."""
    return json.loads(run(state, "status", "keda", "-o", "json"))["version"]


def pods(state: State) -> list[dict]:
    return json.loads(kubectl(state, "-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]


def owner(pod: dict) -> str:
    """The Deployment that a pod belongs to."""
    return pod["metadata"]["name"].rsplit("-", 2)[0]


def ready(pod: dict) -> bool:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
    return "deletionTimestamp" not in pod["metadata"] and conditions.get("Ready") == "True"


def restarts(pod: dict) -> int:
    return sum(container["restartCount"] for container in pod["status"].get("containerStatuses", []))


def all_ready(state: State) -> bool:
    """KEDA's pods and nothing else, Ready."""
    found = pods(state)
    return tuple(sorted(map(owner, found))) == PODS and all(map(ready, found))


def aggregated(state: State) -> bool:
    path = '{.status.conditions[?(@.type=="Available")].status}'
    return kubectl(state, "get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", f"jsonpath={path}",
                   check=False) == "True"


def wait_ready(state: State, seconds: float = 60) -> None:
    state.wait("KEDA's pods Ready", lambda: all_ready(state), seconds)
    state.wait("the aggregated external metrics API", lambda: aggregated(state), seconds)


def logs(state: State, deployment: str = "keda-operator", *flags: str) -> str:
    return kubectl(state, "-n", NAMESPACE, "logs", f"deployment/{deployment}", *flags, check=False)
