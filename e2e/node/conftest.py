"""Fixtures of the scenarios that need a node. `e2e/run --node` brings the cluster up and installs KEDA from its chart."""

import json
from datetime import datetime

import pytest

from harness import helm
from harness.controlplane import kubectl
from harness.node import Node
from harness.pods import PodSpace


@pytest.fixture(scope="session")
def state() -> Node:
    state = Node()
    if not state.running("kubelet"):
        pytest.exit(f"no cluster with a node is up in {state.dir}: these scenarios are run by e2e/run --node", returncode=4)
    return state


@pytest.fixture
def space_type():
    return PodSpace


def denied(state: Node, since: int) -> list[str]:
    """What the API server refused KEDA's own accounts, by its audit log from an offset on.

    Two refusals do not count: while a release is taken away, its pods have no permissions any more and still say goodbye;
    and nobody may create anything in a namespace that is being deleted.
    """
    with open(state / "log/audit.log") as log:
        log.seek(since)
        events = [json.loads(line) for line in log if "system:serviceaccount:keda:" in line and '"code":403' in line]
    away = state / "uninstalled.jsonl"
    gone = [json.loads(line) for line in away.read_text().splitlines()] if away.exists() else []

    def counts(event) -> bool:
        when = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        ending = "because it is being terminated" in event["responseStatus"].get("message", "")
        return not ending and not any(began <= when <= ended for began, ended in gone)
    return [f"{event['user']['username']} {event['verb']} {event['requestURI']}" for event in events if counts(event)]


@pytest.fixture(autouse=True)
def permitted(state):
    """No scenario makes KEDA ask for what the chart does not permit it."""
    before = (state / "log/audit.log").stat().st_size
    yield
    assert denied(state, before) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What a person looks at first when pods are involved: the pods, and what KEDA's own said last."""
    report = yield
    state = item.funcargs.get("state") if hasattr(item, "funcargs") else None
    if report.failed and state:
        pods = kubectl(state, "get", "pods", "-A", "-o", "wide", "--request-timeout=5s", check=False)
        report.sections.append(("pods", pods))
        for deployment in helm.PODS:
            report.sections.append((f"the last words of {deployment}", helm.logs(state, deployment, "--tail=15", "--request-timeout=5s")))
    return report
