"""A source stays away for longer than is borne: the fallback, on the real HPA controller."""

import time

import pytest

from harness.cluster import until


def _falls_back(space, proxy, replicas=2, behavior=None, load=35, name=None, **spec):
    """An object that runs at `load` / 10, on a source that breaks on demand; three failed polls are borne, one a second."""
    trigger = space.prometheus_trigger(server=proxy.url, name=name, ignoreNullValues="false")
    fallback = {"failureThreshold": 3, "replicas": replicas}
    if behavior:
        fallback["behavior"] = behavior
    space.workload()
    space.load(load)
    space.scaled_object(triggers=[trigger], fallback=fallback, maxReplicaCount=10, **spec)


def _wait_fallback(space, status, reason, seconds=20):
    return space.wait_condition("Fallback", status, reason, seconds=seconds)


def test_static(space, proxy):
    """Past the threshold the HPA goes to the given replicas; the first good poll ends it. Both are told."""
    _falls_back(space, proxy, replicas=6)
    space.wait_replicas(4, seconds=40)
    assert space.condition("Fallback")["reason"] == "NoFallbackFound"
    broke = time.time()
    proxy.refuse()
    condition = _wait_fallback(space, "True", "FallbackExists")
    assert time.time() - broke >= 2.5, "the threshold was not waited for"
    assert condition["message"] == "At least one trigger is falling back on this scaled object"
    assert space.wait_event("ScaledObjectFallbackActivated", since=broke)["note"] == "ScaledObject fallback is active"
    health = space.status()["health"]["s0-prometheus"]
    assert health == {"numberOfFailures": 4, "status": "Failing"}
    space.wait_replicas(6, seconds=40)
    until("Ready in its fallback", lambda: space.condition("Ready")["status"] == "True")
    assert space.raw_metric("s0-prometheus", "app")["items"][0]["value"] == "60"
    space.steady(10)
    healed = time.time()
    proxy.pass_on()
    _wait_fallback(space, "False", "NoFallbackFound")
    note = space.wait_event("ScaledObjectFallbackDeactivated", since=healed)["note"]
    assert note == "ScaledObject fallback is no longer active"
    assert space.status()["health"]["s0-prometheus"] == {"numberOfFailures": 0, "status": "Happy"}
    assert len(space.events("ScaledObjectFallbackActivated")) == 1


def test_from_zero(space, proxy):
    """7239: the source is down from the start, and the fallback wakes the object."""
    proxy.refuse()
    _falls_back(space, proxy, replicas=3, load=0)
    _wait_fallback(space, "True", "FallbackExists")
    space.wait_replicas(3, seconds=40)


@pytest.mark.parametrize("behavior, replicas, expected", [
    ("currentReplicas", 2, 4), ("currentReplicasIfHigher", 6, 6), ("currentReplicasIfHigher", 2, 4),
    ("currentReplicasIfLower", 6, 4)])
def test_behaviors(space, proxy, behavior, replicas, expected):
    _falls_back(space, proxy, replicas=replicas, behavior=behavior)
    space.wait_replicas(4, seconds=40)
    proxy.refuse()
    _wait_fallback(space, "True", "FallbackExists")
    space.wait_replicas(expected, seconds=40)
    space.steady(12)


def test_none(space, proxy):
    """A fallback of 0 replicas: nothing moves before the threshold, then the object rests."""
    _falls_back(space, proxy, replicas=0)
    space.wait_replicas(4, seconds=40)
    proxy.refuse()
    _wait_fallback(space, "True", "FallbackExists")
    space.wait_replicas(0, seconds=30)
    proxy.pass_on()
    space.wait_replicas(4, seconds=40)


def test_of_a_formula(space, proxy):
    """5666: it stands for the whole formula, and the target need not be whole."""
    _falls_back(space, proxy, replicas=5, load=10, name="load", advanced={
        "scalingModifiers": {"formula": "load * 1", "target": "2.5"}})
    space.wait_replicas(4, seconds=40)
    proxy.refuse()
    _wait_fallback(space, "True", "FallbackExists")
    space.wait_replicas(5, seconds=40)
    space.steady(10)
