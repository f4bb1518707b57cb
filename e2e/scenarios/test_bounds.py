"""minReplicaCount, idleReplicaCount, maxReplicaCount, cooldownPeriod."""

import time


def test_minimum(space):
    space.workload()
    space.load(0)
    space.scaled_object(minReplicaCount=2)
    space.wait_ready()
    # Inactive and below the minimum: brought to it at once, and kept there.
    space.wait_replicas(2, seconds=10)
    assert space.hpa()["spec"]["minReplicas"] == 2
    space.steady(8)
    space.load(45)
    space.wait_replicas(5, seconds=40)
    space.load(0)
    space.wait_replicas(2, seconds=40)
    space.steady(8)
    assert min(space.replica_history()[1:]) == 2


def test_idle(space):
    space.workload()
    space.load(0)
    space.scaled_object(idleReplicaCount=0, minReplicaCount=2)
    space.wait_ready()
    space.steady(4)
    assert space.replicas() == 0
    space.load(5)
    space.wait_replicas(2, seconds=10)
    space.load(0)
    began = time.time()
    assert space.wait_replicas(0, seconds=25) - began >= 4.5
    # No stop at one on the way up or down.
    assert 1 not in space.replica_history()


def test_maximum(space):
    space.workload()
    space.load(10_000)
    space.scaled_object(maxReplicaCount=3)
    space.wait_replicas(3, seconds=40)
    space.steady(8)
    assert max(space.replica_history()) == 3
    # A raised limit is followed, a lowered one too.
    space.patch("scaledobject", "app", {"spec": {"maxReplicaCount": 4}})
    space.wait_replicas(4, seconds=30)
    space.patch("scaledobject", "app", {"spec": {"maxReplicaCount": 2}})
    space.wait_replicas(2, seconds=30)


def test_cooldown(space):
    space.workload()
    space.load(5)
    space.scaled_object(cooldownPeriod=10)
    space.wait_replicas(1, seconds=15)
    space.load(0)
    cooling = space.wait_condition("Active", "False", "ScalerCooldown")
    assert cooling["message"] == "Scaler cooling down because triggers are not active"
    # Load that comes back during the cooldown begins it anew.
    time.sleep(6)
    space.load(5)
    space.wait_condition("Active", "True", "ScalerActive")
    time.sleep(2)
    space.load(0)
    ended = time.time()
    gone = space.wait_replicas(0, seconds=25) - ended
    assert 9 <= gone <= 15, f"scaled to zero {gone:.1f} s after the load ended"
    assert space.replica_history() == [0, 1, 0]
