"""The control plane of the tests that need one: that of the end-to-end tests, without KEDA."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(DEPLOY), str(DEPLOY.parent / "e2e")]

from harness import controlplane  # noqa: E402
from harness.state import State  # noqa: E402


def _interrupted(*_):
    raise KeyboardInterrupt


# Whoever ends the tests ends what they started, too.
signal.signal(signal.SIGTERM, _interrupted)


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="write the snapshots instead of comparing them")


@pytest.fixture(scope="session")
def cluster():
    """An API server with etcd and the controllers, empty. Returns its State."""
    state = State(tempfile.mkdtemp(prefix="keda-deploy-"))
    try:
        controlplane.bare(state)
        yield state
    finally:
        controlplane.down(state)
        shutil.rmtree(state.dir, ignore_errors=True)
