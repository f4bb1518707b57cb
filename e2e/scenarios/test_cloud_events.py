"""CloudEventSource and ClusterCloudEventSource, received by a sink of the scenario's own."""

import datetime
import json

import pytest

from harness import keda
from harness.cluster import Refused, kubectl, until
from harness.sink import Sink


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.leave()


@pytest.fixture
def clustered(space):
    """The name of this scenario's source for all namespaces; it goes with the scenario."""
    name = f"all-{space.name}"
    yield name
    try:
        space.kubectl("delete", "clustercloudeventsource", name, "--wait=false")
    except Refused:
        pass


def source(name: str, sink: Sink, kind: str = "CloudEventSource", **spec) -> dict:
    return {"apiVersion": "eventing.keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"destination": {"http": {"uri": sink.url}}, **spec}}


def active(space, name: str, kind: str = "cloudeventsource") -> dict:
    conditions = space.get(kind, name).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Active"), {})


def test_cloud_events_of_a_namespace(space, sink, clustered):
    """From ready to removed; a source hears its own namespace, one of the cluster hears all, each what it asked for."""
    everywhere, elsewhere = Sink(), Sink()
    space.apply(source("own", sink))
    space.apply(source(clustered, everywhere, "ClusterCloudEventSource", clusterName="blue",
                       eventSubscription={"excludedEventTypes": ["keda.scaledobject.paused.v1"]}))
    # In another namespace: it must hear nothing of this one.
    foreign = source(f"foreign-{space.name}", elsewhere)
    kubectl(space.state, "apply", "--namespace=keda", "-f", "-", stdin=json.dumps(foreign))
    try:
        until("both sources active", lambda: active(space, "own").get("status") == "True"
              and active(space, clustered, "clustercloudeventsource").get("status") == "True")
        assert active(space, "own")["message"] == "Is configured to send events to the configured destination"

        space.workload()
        space.load(0)
        space.scaled_object()
        space.wait_ready()
        subject = f"/kubernetes-default/{space.name}/scaledobject/app"
        until("the event that it is ready", lambda: sink.of("keda.scaledobject.ready.v1", subject))
        event = sink.of("keda.scaledobject.ready.v1")[0]
        assert event.content_type == "application/json"
        assert event.data == {"reason": "ScaledObjectReady", "message": "ScaledObject is ready for scaling"}
        assert event.attributes["specversion"] == "1.0"
        assert event.attributes["source"] == "/kubernetes-default/keda/keda"
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(event.attributes["time"])
        assert abs(age.total_seconds()) < 60

        space.annotate("app", paused="true")
        until("the event that it is paused", lambda: sink.of("keda.scaledobject.paused.v1", subject))
        space.annotate("app", paused=None)
        until("the event that it goes on", lambda: sink.of("keda.scaledobject.unpaused.v1", subject))
        space.kubectl("delete", "scaledobject", "app")
        until("the event that it is gone", lambda: sink.of("keda.scaledobject.removed.v1", subject))
        blue = f"/blue/{space.name}/scaledobject/app"
        until("the same for the cluster's", lambda: everywhere.of("keda.scaledobject.removed.v1", blue))
        assert everywhere.of("keda.scaledobject.unpaused.v1", blue)
        assert not everywhere.of("keda.scaledobject.paused.v1")
        assert all(space.name in event.subject for event in sink.events), "only of its own namespace"
        assert not any(space.name in event.subject for event in elsewhere.events)

        page = keda.metrics(space.state)
        labels = f'namespace="{space.name}",cloudeventsource="own",eventsink="http",state="emitted"'
        assert f"keda_cloudeventsource_events_emitted_total{{{labels}}} {len(sink.events)}" in page, page
    finally:
        kubectl(space.state, "delete", "cloudeventsource", foreign["metadata"]["name"], "--namespace=keda")
        everywhere.leave()
        elsewhere.leave()


def test_cloud_events_sink_that_was_away(space, sink):
    """A sink that is away is said in the condition, and gets what it missed when it is back, without an edit."""
    sink.leave()
    space.apply(source("away", sink))
    space.workload()
    space.load(5)
    space.scaled_object()
    # Scaling does not wait for anybody's sink.
    space.wait_replicas(1, seconds=15)
    until("a condition that says so", lambda: active(space, "away").get("status") == "False", 45)
    condition = active(space, "away")
    assert condition["reason"] == "CloudEventSourceFailed"
    text = f"Failed to send events to the configured destination: POST {sink.url}: cannot connect"
    assert condition["message"].startswith(text), condition
    space.kubectl("delete", "scaledobject", "app")

    sink.listen()
    subject = f"/kubernetes-default/{space.name}/scaledobject/app"
    until("what it missed", lambda: sink.of("keda.scaledobject.removed.v1", subject), 90)
    types = [event.type for event in sink.events]
    assert types.index("keda.scaledobject.ready.v1") < types.index("keda.scaledobject.removed.v1"), types
    until("an active source", lambda: active(space, "away").get("status") == "True")
    space.kubectl("delete", "cloudeventsource", "away", "--timeout=10s")


@pytest.mark.alone
def test_cloud_events_at_a_clean_end(space, state, sink):
    """What is said in the moment in which the operator stops is still heard, by the cluster and by the sink."""
    space.apply(source("last", sink))
    until("an active source", lambda: active(space, "last").get("status") == "True")
    space.workload()
    space.load(0)
    space.scaled_object()
    space.wait_ready()
    for round in range(1, 4):
        space.annotate("app", paused="true" if round % 2 else None)
        took = keda.stop_operator(state)
        keda.start_operator(state)
        assert took < 5
        said = ("ScaledObjectPaused", "keda.scaledobject.paused.v1") if round % 2 else (
            "ScaledObjectUnpaused", "keda.scaledobject.unpaused.v1")
        space.wait_condition("Paused", "True" if round % 2 else "False")
        # The one that stopped said it or the next one does; neither thinks that the other did.
        times = (round + 1) // 2
        until(f"{said[1]} for the {times}. time", lambda: len(sink.of(said[1])) >= times, 30,
              instead=lambda: [event.type for event in sink.events])
        until(f"{said[0]} for the {times}. time", lambda: len(space.events(said[0])) >= times, 30)
