"""A scaler of one's own: a real one in Go, served by grpc-go from the package that upstream publishes."""

import json
import time
import urllib.request

import pytest

from harness.cluster import until
from harness.state import executable, free_ports


class Scaler:
    """The program of e2e/external-scaler, and what it says of this scenario's object."""

    def __init__(self, state, name: str):
        self.state, self.name = state, name
        self.address, self.control = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.process = f"external-{name}"

    def start(self) -> None:
        self.state.start(self.process, [executable("external-scaler"), self.address, self.control])
        self.state.wait("the external scaler", lambda: self.listeners() >= 0, process=self.process)

    def stop(self) -> None:
        self.state.stop(self.process)

    def _url(self) -> str:
        return f"http://{self.control}/{self.name}"

    def say(self, active: bool, **metrics: tuple[float, float]) -> None:
        """Whether there is work, and each metric's target and value."""
        told = {"active": active, "metrics": [
            {"name": name, "target": target, "value": value} for name, (target, value) in metrics.items()]}
        request = urllib.request.Request(self._url(), data=json.dumps(told).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=5).close()

    def listeners(self) -> int:
        """How many listen to StreamIsActive."""
        with urllib.request.urlopen(self._url(), timeout=5) as answer:
            return int(answer.read())

    def trigger(self, type: str) -> dict:
        return {"type": type, "metadata": {"scalerAddress": self.address, "name": self.name}}


@pytest.fixture
def scaler(space, state):
    scaler = Scaler(state, space.name)
    scaler.start()
    yield scaler
    scaler.stop()


def _metrics(space) -> dict[str, str]:
    metrics = (space.hpa() or {"spec": {"metrics": []}})["spec"]["metrics"]
    return {m["external"]["metric"]["name"]: m["external"]["target"]["averageValue"] for m in metrics}


def test_external(space, scaler):
    """0 -> 1 -> N -> 0 on the word of the scaler; the HPA follows the metrics that it has."""
    scaler.say(False, depth=(10, 0))
    space.workload()
    space.scaled_object(triggers=[scaler.trigger("external")])
    space.wait_ready()
    assert _metrics(space) == {"s0-depth": "10"}
    space.steady(3)
    scaler.say(True, depth=(10, 35))
    space.wait_replicas(1, seconds=10)
    assert space.wait_event("KEDAScaleTargetActivated")["note"].endswith("from 0 to 1, triggered by s0-depth")
    space.wait_replicas(4, seconds=40)
    assert space.raw_metric("s0-depth", "app")["items"][0]["value"] == "35"
    scaler.say(True, depth=(20, 35), age=(60, 300))
    until("the HPA follows", lambda: _metrics(space) == {"s0-depth": "20", "s0-age": "60"}, 10)
    space.wait_replicas(5, seconds=40)
    scaler.say(False, depth=(20, 0), age=(60, 0))
    space.wait_replicas(0, seconds=40)


def test_external_away(space, scaler):
    """The scaler goes: nobody scales in, everybody is told, the HPA keeps its metrics, and it heals by itself."""
    scaler.say(True, depth=(10, 25))
    space.workload()
    space.scaled_object(triggers=[scaler.trigger("external")])
    space.wait_replicas(3, seconds=40)
    scaler.stop()
    failed = space.wait_condition("Ready", "False", "TriggerError", seconds=15)
    assert "rpc error: code = Unavailable" in failed["message"], failed
    assert space.wait_event("KEDAScalerFailed", "rpc error: code = Unavailable")["type"] == "Warning"
    # Another trigger's address is another trigger: what is known of the metrics is then what the HPA has.
    space.scaled_object(triggers=[scaler.trigger("external")], maxReplicaCount=4)
    space.steady(12)
    assert _metrics(space) == {"s0-depth": "10"}
    scaler.start()
    scaler.say(True, depth=(10, 25))
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=15)
    scaler.say(False, depth=(10, 0))
    space.wait_replicas(0, seconds=40)


def test_external_push(space, scaler):
    """Polled once an hour: what wakes it, and what changes its HPA, is what the scaler says by itself."""
    scaler.say(False, depth=(10, 0))
    space.workload()
    space.scaled_object(triggers=[scaler.trigger("external-push")], pollingInterval=3600)
    space.wait_ready()
    until("it listens", lambda: scaler.listeners() == 1, 10)
    said = time.time()
    scaler.say(True, depth=(10, 45))
    woken = space.wait_replicas(1, seconds=5)
    space.note_time("external-push says that there is work until replicas 0 -> 1", woken - said)
    assert woken - said < 2
    space.wait_replicas(5, seconds=40)
    scaler.say(True, age=(60, 30))
    until("the HPA follows", lambda: _metrics(space) == {"s0-age": "60"}, 5)

    # The stream is lost and comes back; nothing is scaled in meanwhile.
    scaler.stop()
    space.wait_event("KEDAScalerInfo", "cannot be heard and is polled meanwhile", "StreamIsActive", seconds=30)
    assert space.replicas() >= 1
    scaler.start()
    until("it listens again", lambda: scaler.listeners() == 1, 70)
    space.kubectl("delete", "scaledobject", "app", "--wait=true", "--timeout=20s")
    until("it listens no more", lambda: scaler.listeners() == 0, 10)
