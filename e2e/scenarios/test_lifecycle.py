"""The main job: 0 -> 1 -> N -> 1 -> 0 on a PromQL query, through the real aggregator and the real HPA controller."""

import time

from harness.cluster import until


def test_zero_to_n_and_back(space):
    space.workload()
    space.load(0)
    space.scaled_object()
    space.wait_ready()
    assert space.replicas() == 0

    began = time.time()
    space.load(5)
    woken = space.wait_replicas(1, seconds=10)
    space.note_time("0 to 1 after load came", woken - began)
    note = space.wait_event("KEDAScaleTargetActivated")["note"]
    assert note == f"Scaled apps/v1.Deployment {space.name}/app from 0 to 1, triggered by s0-prometheus"
    active = space.wait_condition("Active", "True", "ScalerActive")
    assert active["message"] == "Scaling is performed because triggers are active"

    began = time.time()
    space.load(45)
    grown = space.wait_replicas(5, seconds=40)
    space.note_time("1 to 5 by the HPA after load grew", grown - began)
    until("the HPA's own account of it", lambda: (space.hpa() or {}).get("status", {}).get("desiredReplicas") == 5)
    metric = space.hpa()["status"]["currentMetrics"][0]["external"]
    assert metric["metric"]["name"] == "s0-prometheus"
    space.wait_condition("HPAActive", "True", "HPAActive")

    began = time.time()
    space.load(5)
    shrunk = space.wait_replicas(1, seconds=40)
    space.note_time("5 to 1 by the HPA after load fell", shrunk - began)

    began = time.time()
    space.load(0)
    asleep = space.wait_replicas(0, seconds=30)
    space.note_time("1 to 0 after load ended, cooldown 5 s", asleep - began)
    # The cooldown runs from the last poll that saw the load, at most an interval before the load ended.
    assert asleep - began >= 4, "the cooldown was not kept"
    note = space.wait_event("KEDAScaleTargetDeactivated")["note"]
    assert note == f"Deactivated apps/v1.Deployment {space.name}/app from 1 to 0"
    inactive = space.wait_condition("Active", "False", "ScalerNotActive")
    assert inactive["message"] == "Scaling is not performed because triggers are not active"

    # The HPA may take 1 -> 5 in several steps, but nobody may turn back on the way.
    history = space.replica_history()
    top = history.index(5)
    assert history[:top + 1] == sorted(history[:top + 1]) and history[top:] == sorted(history[top:], reverse=True)
    assert history[0] == history[-1] == 0


def test_running_workload_without_load_goes_to_zero(space):
    """Without a lastActiveTime there is no cooldown beyond initialCooldownPeriod."""
    space.workload(replicas=2)
    space.load(0)
    created = time.time()
    space.scaled_object(initialCooldownPeriod=8, cooldownPeriod=300)
    space.wait_condition("Active", "False", "ScalerCooldown")
    # It runs from the object's creationTimestamp, which has no fractions of a second.
    assert space.wait_replicas(0, seconds=20) - created >= 7
    space.wait_condition("Active", "False", "ScalerNotActive")


def test_activation_threshold(space):
    space.workload()
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(activationThreshold="5")])
    space.wait_ready()
    space.wait_condition("Active", "False", "ScalerNotActive")
    space.steady(4)
    assert space.replicas() == 0
    space.load(5.5)
    space.wait_replicas(1)
