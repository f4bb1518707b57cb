"""A ScaledObject goes: what stays, and what comes back."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.cluster import until


@pytest.mark.parametrize("restore", [False, True], ids=["as it is", "restored"])
def test_deletion(space, restore):
    space.workload(replicas=2)
    space.load(45)
    advanced = {"restoreToOriginalReplicaCount": True} if restore else {}
    space.scaled_object(advanced=advanced)
    space.wait_replicas(5, seconds=40)
    assert space.status()["originalReplicaCount"] == 2
    space.kubectl("delete", "scaledobject", "app", "--timeout=10s")
    until("the ScaledObject gone", lambda: space.record.latest("scaledobjects", "app") is None)
    event = space.wait_event("ScaledObjectDeleted", "ScaledObject was deleted")
    assert event["type"] == "Warning"
    until("the HPA collected", lambda: space.hpa() is None, 20)
    if restore:
        space.wait_replicas(2)
    space.load(0)
    space.steady(8)
    assert space.replicas() == (2 if restore else 5)


def test_deletion_while_the_target_is_missing(space):
    space.workload()
    space.load(0)
    space.scaled_object(advanced={"restoreToOriginalReplicaCount": True})
    space.wait_ready()
    space.kubectl("delete", "deployment", "app")
    space.kubectl("delete", "scaledobject", "app", "--timeout=10s")
    until("the ScaledObject gone", lambda: space.record.latest("scaledobjects", "app") is None)


def test_same_name_again(space):
    """State belongs to an object, not to its name: a successor starts from nothing."""
    space.workload()
    space.load(5)
    space.scaled_object(cooldownPeriod=300)
    space.wait_replicas(1, seconds=15)
    space.kubectl("delete", "scaledobject", "app", "--timeout=10s")
    space.load(0)
    time.sleep(3)  # until Prometheus has it
    space.scaled_object(cooldownPeriod=300)
    # The first one's lastActiveTime would hold it up for five minutes.
    space.wait_replicas(0, seconds=20)


@pytest.mark.alone
def test_a_thousand_objects_and_their_namespace(space):
    """A namespace goes with everything in it: no object waits for its finalizer, whatever became of its target."""
    many = 1000
    space.workload()
    space.load(0)
    trigger = space.prometheus_trigger()
    manifests = [{
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": f"app-{index:04}", "namespace": space.name},
        "spec": {
            # Every other one has no target, and every third one would restore its replicas.
            "scaleTargetRef": {"name": f"nobody-{index}" if index % 2 else "app"},
            "advanced": {"restoreToOriginalReplicaCount": index % 3 == 0},
            "triggers": [trigger],
        },
    } for index in range(many)]
    # In parts, side by side: kubectl creates one object after the other.
    parts = [{"apiVersion": "v1", "kind": "List", "items": manifests[start::20]} for start in range(20)]
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda part: space.kubectl("create", "-f", "-", stdin=json.dumps(part)), parts):
            pass
    until("a finalizer on each", lambda: space.kubectl(
        "get", "scaledobjects", "-o", "jsonpath={.items[*].metadata.finalizers[0]}").split().count("finalizer.keda.sh") == many, 120)
    began = time.monotonic()
    space.kubectl("delete", "namespace", space.name, "--timeout=60s")
    space.note_time(f"{many} ScaledObjects and their namespace gone", time.monotonic() - began)
