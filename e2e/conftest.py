"""Fixtures of the scenarios. `e2e/run` brings the cluster up and says by KEDA_E2E_DIR where it is."""

import json
import re
import time

import pytest

from harness.cluster import Space
from harness.proxy import FaultProxy
from harness.state import State


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: disturbs every other scenario or is disturbed by them: runs by itself")


@pytest.fixture(scope="session")
def state() -> State:
    state = State()
    if not state.running("apiserver"):
        pytest.exit(f"no control plane is up in {state.dir}: scenarios are run by e2e/run", returncode=4)
    return state


@pytest.fixture
def space_type():
    return Space


@pytest.fixture
def space(state, request, space_type):
    """A fresh namespace, named after the scenario."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")[:50]
    space = space_type(state, f"{name}-{time.time_ns() // 1_000_000 % 1_000_000}")
    request.node.space = space
    space.create()
    yield space
    space.remove()


@pytest.fixture
def proxy(space):
    """A way to Prometheus that the scenario can break."""
    proxy = FaultProxy(space.prometheus)
    yield proxy
    proxy.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    space = getattr(item, "space", None)
    if report.failed and space:
        report.sections.append((f"what happened in namespace {space.name}", space.record.story()))
    return report


def pytest_runtest_logreport(report):
    """Tells e2e/run what became of every scenario. With several workers only the controller writes."""
    import os

    results = os.environ.get("KEDA_E2E_RESULTS")
    if not results or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    if report.when == "call" or report.failed:
        with open(results, "a") as file:
            file.write(json.dumps({
                "scenario": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 1)}) + "\n")
