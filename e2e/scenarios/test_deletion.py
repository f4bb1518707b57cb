"""A ScaledObject goes: what stays, and what comes back."""

import time

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
