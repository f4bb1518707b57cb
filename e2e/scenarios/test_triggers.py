"""Several triggers, a window of time, a spec that changes while it runs."""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from harness import canary
from harness.cluster import until


def test_two_triggers(space):
    """Active when either is; the HPA follows the larger one."""
    other = f"{space.name}-other"
    space.workload()
    space.load(0)
    space.load(0, other)
    space.scaled_object(triggers=[space.prometheus_trigger(), space.prometheus_trigger(load=other, name="other")])
    space.wait_ready()
    space.steady(3)
    space.load(5, other)
    space.wait_replicas(1, seconds=10)
    assert space.wait_event("KEDAScaleTargetActivated")["note"].endswith("from 0 to 1, triggered by s1-prometheus")
    until("the activity of each", lambda: space.status().get("triggersActivity") == {
        "s0-prometheus": {"isActive": False}, "s1-prometheus": {"isActive": True}})
    space.load(35)
    space.wait_replicas(4, seconds=40)
    space.load(0)
    space.wait_replicas(1, seconds=40)
    space.steady(7)  # the other one keeps it awake beyond the cooldown
    space.load(0, other)
    space.wait_replicas(0, seconds=25)
    space.load(None, other)


def test_one_of_two_triggers_fails(space, proxy):
    """The healthy one scales, and the failing one is not taken for "no load"."""
    space.workload()
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(),
                                  space.prometheus_trigger(server=proxy.url, ignoreNullValues="false")])
    space.wait_replicas(1, seconds=15)
    proxy.status(500)
    partial = space.wait_condition("Ready", "Unknown", "PartialTriggerError")
    assert partial["message"].startswith("Some triggers defined in ScaledObject are not working correctly")
    space.load(25)
    space.wait_replicas(3, seconds=40)
    # All that is known says zero; one is not known: nobody moves.
    space.load(0)
    space.wait_condition("Ready", "False", "TriggerError")
    space.steady(12)
    proxy.pass_on()
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=5)
    space.wait_replicas(0, seconds=30)


def test_cron(space):
    """Closed, open, closed: the window opens and ends at full minutes."""
    now = datetime.now(timezone.utc)
    opens = now.replace(second=0, microsecond=0) + timedelta(minutes=1 if now.second < 50 else 2)
    ends = opens + timedelta(minutes=1)
    space.workload()
    space.scaled_object(maxReplicaCount=4, triggers=[{"type": "cron", "metadata": {
        "timezone": "Etc/UTC", "start": f"{opens.minute} {opens.hour} * * *", "end": f"{ends.minute} {ends.hour} * * *",
        "desiredReplicas": "3"}}])
    space.wait_ready()
    space.wait_condition("Active", "False")
    opened = space.wait_replicas(1, seconds=80)
    assert -0.5 <= opened - opens.timestamp() <= 3, "the window did not open on time"
    space.wait_replicas(3, seconds=30)
    metric = f"s0-cron-Etc-UTC-{opens.minute}{opens.hour}xxx-{ends.minute}{ends.hour}xxx"
    assert space.status()["externalMetricNames"] == [metric]
    space.wait_replicas(0, seconds=80)
    assert time.time() - ends.timestamp() >= 4, "the cooldown was not kept"


def test_cpu_and_memory(space):
    """Metrics that the HPA reads by itself. Alone they keep the target at one replica, whatever its minReplicaCount.

    Nobody serves metrics.k8s.io here, so what the HPA makes of them is not looked at.
    """
    space.workload()
    space.scaled_object(minReplicaCount=0, triggers=[
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}},
        {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "0.5Gi", "containerName": "main"}}])
    space.wait_ready()
    space.wait_replicas(1, seconds=15)
    space.wait_event("KEDAScaleTargetActivated", "from 0 to 1")
    space.wait_condition("Active", "True", "ScalerActive")
    assert space.hpa()["spec"]["metrics"] == [
        {"type": "ContainerResource", "containerResource": {
            "name": "memory", "container": "main", "target": {"type": "AverageValue", "averageValue": "512Mi"}}},
        {"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]
    assert space.status()["resourceMetricNames"] == ["cpu"]
    assert "externalMetricNames" not in space.status()
    before = space.hpa()["spec"]
    space.steady(8)  # longer than the cooldown
    assert space.hpa()["spec"] == before


def test_cpu_next_to_prometheus(space):
    """The other trigger alone decides between zero and one."""
    space.workload()
    space.load(0)
    space.scaled_object(triggers=[{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}},
                                  space.prometheus_trigger()])
    space.wait_ready()
    space.wait_condition("Active", "False")
    space.steady(4)
    assert [metric["type"] for metric in space.hpa()["spec"]["metrics"]] == ["External", "Resource"]
    assert space.status()["externalMetricNames"] == ["s1-prometheus"]
    space.load(35)
    # The HPA may follow in the same instant.
    until("activated", lambda: (space.replicas() or 0) >= 1, 15)
    assert space.replica_history()[:2] == [0, 1]
    space.load(0)
    space.wait_replicas(0, seconds=40)


def test_kubernetes_workload(space):
    """One replica for two pods of two other workloads."""
    for name in ("web", "api", "db"):
        space.workload(name=name)
    space.workload()
    space.scaled_object(triggers=[{"type": "kubernetes-workload", "metadata": {
        "podSelector": "app in (web, api),app!=db", "value": "2"}}])
    space.wait_ready()
    assert space.status()["externalMetricNames"] == [f"s0-workload-{space.name}"]
    space.kubectl("scale", "deployment/db", "--replicas=3")
    space.steady(4)
    space.kubectl("scale", "deployment/web", "deployment/api", "--replicas=3")
    space.wait_replicas(1, seconds=20)
    assert space.wait_event("KEDAScaleTargetActivated")["note"].endswith(
        f"from 0 to 1, triggered by s0-workload-{space.name}")
    space.wait_replicas(3, seconds=40)
    space.kubectl("scale", "deployment/web", "--replicas=0")
    space.wait_replicas(2, seconds=40)
    space.kubectl("scale", "deployment/api", "--replicas=0")
    space.wait_replicas(0, seconds=40)


def test_kubernetes_resource(space):
    """A number in a ConfigMap; what is missing is an error and not zero."""
    def backlog(length):
        space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "backlog"},
                     "data": {"status.json": json.dumps({"queues": [{"length": length}]})}})

    backlog(0)
    space.workload()
    space.scaled_object(triggers=[{"type": "kubernetes-resource", "metadata": {
        "resourceKind": "ConfigMap", "resourceName": "backlog", "key": "status.json", "format": "json",
        "valueLocation": "queues.0.length", "targetValue": "10"}}])
    space.wait_ready()
    metric = "s0-configmap-backlog-status-json"
    assert space.status()["externalMetricNames"] == [metric]
    space.steady(3)
    backlog("35")
    space.wait_replicas(4, seconds=40)
    assert space.raw_metric(metric, "app")["items"][0]["value"] == "35"
    space.kubectl("delete", "configmap", "backlog")
    failed = space.wait_condition("Ready", "False", "TriggerError")
    assert f"error getting ConfigMap {space.name}/backlog: not found" in failed["message"]
    space.steady(8)
    backlog(0)
    space.wait_condition("Ready", "True", "ScaledObjectReady")
    space.wait_replicas(0, seconds=40)


def test_kubernetes_resource_of_a_secret(space):
    """Read from a Secret, which no message ever shows."""
    def secret(value):
        space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "limits"}, "stringData": {"n": value}})

    secret("12 or so")
    space.workload()
    space.scaled_object(triggers=[{"type": "kubernetes-resource", "metadata": {
        "resourceKind": "Secret", "resourceName": "limits", "key": "n", "targetValue": "10"}}])
    space.wait_replicas(2, seconds=40)
    hidden = canary.secret("number")
    secret(hidden)
    failed = space.wait_condition("Ready", "False", "TriggerError")
    assert f"key n of Secret {space.name}/limits: does not begin with a number" in failed["message"]
    assert hidden not in space.record.story()


def test_query_and_threshold_change(space):
    other = f"{space.name}-other"
    space.workload()
    space.load(15)
    space.load(35, other)
    space.scaled_object()
    space.wait_replicas(2, seconds=40)
    space.patch("scaledobject", "app", {"spec": {"triggers": [space.prometheus_trigger(load=other)]}})
    space.wait_replicas(4, seconds=40)
    space.patch("scaledobject", "app", {"spec": {"triggers": [space.prometheus_trigger(load=other, threshold="20")]}})
    until("the target in the HPA", lambda: space.hpa()["spec"]["metrics"][0]["external"]["target"].get("averageValue") == "20")
    space.wait_replicas(2, seconds=40)
    space.load(0, other)
    space.wait_replicas(0, seconds=30)
    assert [e["reason"] for e in space.events() if e["type"] == "Warning"] == []
    space.load(None, other)


def test_target_changes(space):
    """From one Deployment to another while it runs: the first is left as it is."""
    space.workload(name="app")
    space.workload(name="next")
    space.load(15)
    space.scaled_object()
    space.wait_replicas(2, seconds=40)
    space.patch("scaledobject", "app", {"spec": {"scaleTargetRef": {"name": "next"}}})
    space.wait_replicas(2, seconds=40, name="next")
    assert space.hpa()["spec"]["scaleTargetRef"]["name"] == "next"
    space.load(0)
    space.wait_replicas(0, seconds=30, name="next")
    assert space.replicas() == 2


def test_forced_activation(space):
    space.workload()
    space.load(0)
    space.scaled_object(annotations={"autoscaling.keda.sh/force-activation": "true"})
    space.wait_replicas(1, seconds=15)
    space.wait_event("KEDAScaleTargetActivated", "caused by forced activation annotation")
    space.steady(8)
    space.annotate("app", force_activation=None)
    space.wait_replicas(0, seconds=20)


@pytest.mark.parametrize("kind", ["StatefulSet", "Widget"])
def test_other_targets(space, kind):
    """A StatefulSet, and a custom resource that has nothing but /scale."""
    if kind == "Widget":
        space.apply({"apiVersion": "e2e.keda.sh/v1", "kind": "Widget", "metadata": {"name": "app"},
                     "spec": {"replicas": 0, "selector": "app=app"}})
    else:
        space.workload(kind="StatefulSet")
    space.load(0)
    space.scaled_object(kind=kind, api_version="e2e.keda.sh/v1" if kind == "Widget" else None)
    space.wait_ready()
    space.load(35)
    space.wait_replicas(1, seconds=15, kind=kind)
    if kind == "Widget":  # the scenario is its controller
        space.patch("widget", "app", {"status": {"replicas": 1}}, "--subresource=status")
        assert space.status()["scaleTargetKind"] == "e2e.keda.sh/v1.Widget"
    space.wait_replicas(4, seconds=40, kind=kind)
    space.load(0)
    space.wait_replicas(0, seconds=40, kind=kind)
