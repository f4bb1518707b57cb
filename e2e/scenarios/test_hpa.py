"""Kubernetes' own HPA controller and ours, on the same series: after every sync both have done and said the same."""

import os
import shutil
import subprocess

import pytest

from harness import hpa_recorder
from harness.state import ROOT

pytestmark = pytest.mark.alone


def test_every_sync_of_the_hpa_controller(tmp_path):
    """A fresh trace of some forty autoscalers is replayed by the test that otherwise replays the committed one."""
    cargo = shutil.which("cargo") or pytest.skip("ours is in Rust: cargo is needed to run it")
    trace = tmp_path / "hpa.jsonl"
    hpa_recorder.record(tmp_path / "control-plane", trace)
    replay = subprocess.run(
        [cargo, "test", "--locked", "-p", "keda-core", "--test", "autoscale_as_kubernetes", "--", "--nocapture"],
        cwd=ROOT, env={**os.environ, "KEDA_HPA_TRACE": str(trace)}, capture_output=True, text=True)
    print(replay.stdout, replay.stderr)
    assert replay.returncode == 0, replay.stderr[-5000:]
