"""The source breaks while the workload runs: nobody scales in, everybody is told why, and it heals by itself."""

import time

import pytest

from harness import source
from harness.state import free_ports

# How a source can break, and the words by which condition and event say so.
FAULTS = {
    "refuses": (lambda proxy: proxy.refuse(), "refused"),
    "answers 500": (lambda proxy: proxy.status(500, "the disk is full"), "500"),
    "answers 503 with words of its own": (
        lambda proxy: proxy.status(503, '{"status":"error","errorType":"unavailable","error":"replaying the WAL"}'),
        "replaying the WAL"),
    "is empty": (lambda proxy: proxy.empty(), "target may be lost, the result is empty"),
    "says NaN": (lambda proxy: proxy.nan(), "NaN"),
    "is slow": (lambda proxy: proxy.slow(30), "no answer within"),
    "answers nonsense": (lambda proxy: proxy.raw("<html>it works</html>"), "JSON"),
}


def _run_at_three(space, server, **metadata):
    space.workload()
    space.load(25)
    space.scaled_object(triggers=[space.prometheus_trigger(
        server=server, ignoreNullValues="false", timeout="1000", **metadata)])
    space.wait_replicas(3, seconds=40)


def _broken_and_healed(space, break_it, heal_it, words):
    """Breaks the source for longer than cooldown and several HPA rounds; then heals it."""
    broke = time.time()
    break_it()
    failed = space.wait_condition("Ready", "False", "TriggerError", seconds=8)
    space.note_time("source broken until the condition says so", time.time() - broke)
    assert failed["message"].startswith("Triggers defined in ScaledObject are not working correctly")
    assert words.lower() in failed["message"].lower(), "the condition does not name the cause"
    event = space.wait_event("KEDAScalerFailed", since=broke)
    assert event["type"] == "Warning"
    assert words.lower() in event["note"].lower(), "the event does not name the cause"
    space.steady(14)
    assert space.replicas() == 3
    healed = time.time()
    heal_it()
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=10)
    took = time.time() - healed
    space.note_time("source healed until Ready, interval 1 s, deadline 1 s", took)
    assert took <= 3.5, f"recovery took {took:.1f} s"
    space.load(45)
    space.wait_replicas(5, seconds=40)
    space.load(0)
    space.wait_replicas(0, seconds=30)


@pytest.mark.parametrize("fault", FAULTS)
def test_source(space, proxy, fault):
    break_it, words = FAULTS[fault]
    _run_at_three(space, proxy.url)
    _broken_and_healed(space, lambda: break_it(proxy), proxy.pass_on, words)


def test_prometheus_stopped(space, state):
    """A real one, stopped and started again."""
    name, port = f"prometheus-{space.name}", free_ports(1)[0]
    url = source.start_prometheus(state, name, port)
    try:
        _run_at_three(space, url)
        _broken_and_healed(space, lambda: state.stop(name),
                           lambda: source.start_prometheus(state, name, port), "refused")
    finally:
        state.stop(name)


def test_series_lost(space):
    """The application no longer reports: Prometheus answers, and has nothing to say."""
    _run_at_three(space, None)
    _broken_and_healed(space, lambda: space.load(None), lambda: space.load(25), "the result is empty")


@pytest.mark.parametrize("fault", ["is empty", "says NaN"])
def test_null_is_zero_where_the_user_said_so(space, proxy, fault):
    """ignoreNullValues, on by default: no value means no load."""
    space.workload()
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url)])
    space.wait_replicas(1, seconds=15)
    FAULTS[fault][0](proxy)
    space.wait_replicas(0, seconds=20)
    assert space.condition("Ready")["status"] == "True"
    assert space.events("KEDAScalerFailed") == []


def test_broken_from_the_start(space, proxy):
    """No value was ever seen: the workload is left alone at whatever it runs, and the HPA is there already."""
    proxy.status(500)
    space.workload(replicas=2)
    space.load(45)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url)])
    space.wait_condition("Ready", "False", "TriggerError")
    assert space.hpa(), "the HPA waits for the source"
    space.steady(8)
    assert space.replicas() == 2
    proxy.pass_on()
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=5)
    space.wait_replicas(5, seconds=40)


def test_asleep_and_broken(space, proxy):
    """At zero a broken source wakes nobody, and its return does."""
    space.workload()
    space.load(0)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url)])
    space.wait_ready()
    proxy.refuse()
    space.wait_condition("Ready", "False", "TriggerError")
    space.load(25)
    space.steady(5)
    assert space.replicas() == 0
    proxy.pass_on()
    space.wait_replicas(1, seconds=5)


def test_slow_source_hurts_nobody_else(space, proxy):
    """One ScaledObject waits for a black hole, its neighbour scales at once."""
    space.workload(name="app")
    space.workload(name="neighbour")
    space.load(0)
    proxy.slow(30)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url)])
    space.scaled_object(name="neighbour", target="neighbour")
    space.wait_condition("Ready", "False", "TriggerError", seconds=15)
    began = time.time()
    space.load(5)
    assert space.wait_replicas(1, seconds=10, name="neighbour") - began < 4
