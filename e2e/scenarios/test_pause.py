"""Pausing by annotation, and back."""

import time

from harness.cluster import until


def _active(space):
    space.workload()
    space.load(5)
    space.scaled_object()
    space.wait_ready()
    space.wait_replicas(1, seconds=15)


def test_paused(space):
    _active(space)
    space.annotate("app", paused="true")
    paused = space.wait_condition("Paused", "True", "ScaledObjectPaused")
    assert paused["message"] == "ScaledObject is paused"
    space.wait_event("ScaledObjectPaused", "ScaledObject is paused")
    until("the HPA gone", lambda: space.hpa() is None)
    # Whatever the load does, nobody acts; what was last known stays.
    space.load(45)
    space.steady(6)
    space.load(0)
    space.steady(8)
    assert space.replicas() == 1
    ready = space.condition("Ready")
    assert (ready["status"], ready["message"]) == ("True", "ScaledObject is paused")
    # A person's own scaling is left alone.
    space.kubectl("scale", "deployment", "app", "--replicas=3")
    space.wait_replicas(3)
    space.steady(4)

    space.load(25)
    space.annotate("app", paused=None)
    space.wait_condition("Paused", "False", "ScaledObjectUnpaused")
    space.wait_event("ScaledObjectUnpaused")
    until("the HPA back", space.hpa)
    space.load(45)
    space.wait_replicas(5, seconds=30)


def test_paused_at_a_number(space):
    _active(space)
    space.annotate("app", paused_replicas="3")
    space.wait_condition("Paused", "True", "ScaledObjectPaused")
    space.wait_replicas(3)
    until("the paused count in the status", lambda: space.status().get("pausedReplicaCount") == 3)
    until("the HPA gone", lambda: space.hpa() is None)
    space.load(0)
    space.steady(7)
    space.annotate("app", paused_replicas="0")
    space.wait_replicas(0)
    space.load(5)
    space.steady(3)

    space.annotate("app", paused_replicas=None)
    space.wait_condition("Paused", "False", "ScaledObjectUnpaused")
    until("the paused count cleared", lambda: "pausedReplicaCount" not in space.status())
    space.wait_replicas(1, seconds=15)


def test_paused_from_the_start(space):
    """A pause is decided before the target is looked at."""
    space.workload(replicas=2)
    space.load(45)
    space.scaled_object(annotations={"autoscaling.keda.sh/paused": "true"})
    space.wait_condition("Paused", "True", "ScaledObjectPaused")
    space.wait_condition("Ready", "True")
    space.steady(5)
    assert space.hpa() is None and space.replicas() == 2


def test_paused_in_one_direction(space):
    space.workload()
    space.load(25)
    space.scaled_object(annotations={"autoscaling.keda.sh/paused-scale-in": "true"})
    space.wait_replicas(3, seconds=40)
    assert space.hpa()["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
    space.load(0)
    space.steady(12)
    assert space.replicas() == 3
    space.annotate("app", paused_scale_in=None, paused_scale_out="true")
    space.wait_replicas(0, seconds=40)
    time.sleep(2)  # the HPA, which may have been in the middle of its own step down, is overruled
    space.load(25)
    space.steady(6)
    assert space.replicas() == 0
    space.annotate("app", paused_scale_out=None)
    space.wait_replicas(3, seconds=40)
