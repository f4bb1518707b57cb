"""scalingModifiers on the real HPA controller: one metric out of several triggers."""

import time

from harness.cluster import until


def _formula(space, formula, target="10", **more):
    """An object on two loads, `queue` and `topic`, by a formula."""
    space.workload()
    triggers = [space.prometheus_trigger(name="queue"),
                space.prometheus_trigger(load=f"{space.name}-topic", name="topic")]
    advanced = {"scalingModifiers": {"formula": formula, "target": target, **more}}
    space.scaled_object(triggers=triggers, advanced=advanced, maxReplicaCount=10)


def test_sum(space):
    """The HPA has one metric, and follows the formula."""
    space.load(0)
    space.load(0, f"{space.name}-topic")
    _formula(space, "queue + topic * 2", activationTarget="4")
    space.wait_ready()
    status = space.status()
    assert status["compositeScalerName"] == "composite-metric"
    assert status["externalMetricNames"] == ["s0-prometheus", "s1-prometheus"]
    metrics = space.hpa()["spec"]["metrics"]
    assert [metric["external"]["metric"]["name"] for metric in metrics] == ["composite-metric"]
    space.load(2, f"{space.name}-topic")
    space.steady(4)  # 4 is not above 4
    space.load(15)
    space.wait_replicas(2, seconds=40)
    assert space.wait_event("KEDAScaleTargetActivated")["note"].endswith("triggered by composite-metric")
    space.load(20, f"{space.name}-topic")
    space.wait_replicas(6, seconds=40)
    assert space.raw_metric("composite-metric", "app")["items"][0]["value"] == "55"
    space.load(0)
    space.load(0, f"{space.name}-topic")
    space.wait_replicas(0, seconds=40)
    space.load(None, f"{space.name}-topic")


def test_wrong_formulas_are_refused(space):
    """With the place, in condition and event; mended, the object scales."""
    space.load(25)
    space.load(0, f"{space.name}-topic")
    _formula(space, "queue + topics")
    condition = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed")
    assert "unknown name topics (1:9)" in condition["message"]
    space.wait_event("ScaledObjectCheckFailed", "unknown name topics (1:9)")
    assert space.hpa() is None
    space.patch("scaledobject", "app", {"spec": {"advanced": {"scalingModifiers": {"formula": "queue + topic"}}}})
    space.wait_replicas(3, seconds=40)
    # A formula that would take the operator's memory takes nothing.
    started = time.time()
    space.patch("scaledobject", "app", {"spec": {"advanced": {"scalingModifiers": {
        "formula": "len(1..1000000000) + queue"}}}})
    condition = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed")
    assert "more than 200000 steps" in condition["message"]
    assert time.time() - started < 10
    space.load(None, f"{space.name}-topic")


def test_a_formula_without_a_value(space):
    """A division by zero is an error with the formula, and scales nothing."""
    space.load(30)
    space.load(1, f"{space.name}-topic")
    _formula(space, "queue / topic")
    space.wait_replicas(3, seconds=40)
    space.load(0, f"{space.name}-topic")
    condition = space.wait_condition("Ready", "False", "TriggerError")
    assert "error trying to run custom formula" in condition["message"]
    assert "not a number to scale on" in condition["message"]
    space.wait_event("KEDAMetricSourceFailed", "queue / topic")
    space.steady(12)
    assert space.replicas() == 3
    space.load(1, f"{space.name}-topic")
    until("Ready again", lambda: space.condition("Ready")["status"] == "True")
    space.load(None, f"{space.name}-topic")
