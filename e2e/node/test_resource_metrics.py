"""`cpu` and `memory` on real pods: the kubelet measures, metrics-server tells, the HPA controller scales.

Each scenario's load is shared by the pods there are, so more pods mean less for each.
"""

import pytest

from harness.cluster import Refused, until


def condition(space, type):
    conditions = (space.hpa() or {}).get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == type), {})


def follows_the_load(space, up, three, down):
    """From one to three pods and back, and nowhere else. The loads are totals."""
    space.wait_ready()
    until("figures in the HPA", lambda: condition(space, "ScalingActive").get("reason") == "ValidMetricFound", 60,
          instead=lambda: condition(space, "ScalingActive"))
    space.wait_condition("Active", "True", "ScalerActive")
    began = space.record.history("horizontalpodautoscalers")[-1].t
    space.load(up)
    grown = space.wait_replicas(three, seconds=90)
    until("as many pods", lambda: space.running() == three, 30, instead=space.running)
    space.note_time(f"1 to {three} pods by the HPA", grown - began)
    space.steady(12)
    space.load(down)
    space.wait_replicas(1, seconds=90)
    history = space.replica_history()
    top = history.index(three)
    assert history[:top + 1] == sorted(history[:top + 1]) and max(history) == three
    space.wait_condition("HPAActive", "True")


def test_cpu_utilization(space):
    """60 % of what is requested: 150 thousandths need three pods that request 100 each."""
    space.load(30)
    space.workers(space.container("main", "cpu", requests={"cpu": "100m"}))
    space.scaled_object(minReplicaCount=1, triggers=[
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}])
    follows_the_load(space, 150, 3, 20)
    assert space.status()["resourceMetricNames"] == ["cpu"]
    assert space.hpa()["status"]["currentMetrics"][0]["resource"]["name"] == "cpu"


def test_cpu_of_one_container(space):
    """An average value, of the container that is named. The other one burns more, requests nothing, and does not count."""
    other = f"{space.name}-other"
    space.load(250, other)
    space.load(20)
    space.workers(space.container("side", "cpu", load=other), space.container("main", "cpu", requests={"cpu": "10m"}))
    space.scaled_object(minReplicaCount=1, triggers=[
        {"type": "cpu", "metricType": "AverageValue", "metadata": {"value": "50m", "containerName": "main"}}])
    follows_the_load(space, 125, 3, 10)
    space.load(None, other)
    assert space.hpa()["status"]["currentMetrics"][0]["containerResource"]["container"] == "main"


def test_memory(space):
    """An average value of what is held: 110 MiB, 40 a pod."""
    space.load(10)
    space.workers(space.container("main", "memory", requests={"memory": "16Mi"}))
    space.scaled_object(minReplicaCount=1, triggers=[
        {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "40Mi"}}])
    follows_the_load(space, 105, 3, 12)


def test_missing_requests(space):
    """A percentage of nothing. The admission webhook refuses it; when the request goes away later, the HPA's own words reach
    the ScaledObject's conditions, and nobody moves."""
    space.load(100)
    triggers = [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "200"}}]
    space.workers(space.container("main", "cpu"))
    with pytest.raises(Refused, match="the scaledobject has a cpu trigger but the container main doesn't have the cpu request"):
        space.scaled_object(minReplicaCount=1, triggers=triggers)
    space.workers(space.container("main", "cpu", requests={"cpu": "100m"}))
    space.scaled_object(minReplicaCount=1, triggers=triggers)
    space.wait_condition("HPAActive", "True", seconds=90)
    space.workers(space.container("main", "cpu"))
    # First the new pod has no figures yet; then it has, and there is nothing to divide them by.
    until("the HPA's words in the condition", lambda: "missing request for cpu in container main of Pod app-"
          in space.wait_condition("HPAActive", "False", "FailedGetResourceMetric", seconds=60)["message"], 60,
          instead=lambda: space.condition("HPAActive"))
    space.load(500)
    space.steady(15)
    space.workers(space.container("main", "cpu", requests={"cpu": "100m"}))
    space.wait_condition("HPAActive", "True", seconds=90)


def test_cpu_next_to_prometheus(space):
    """A queue wakes the pods from zero, their CPU brings more of them, and without both they go back to zero."""
    work = f"{space.name}-work"
    space.load(0)
    space.load(0, work)
    space.workers(space.container("main", "cpu", load=work, requests={"cpu": "100m"}), replicas=0)
    space.scaled_object(triggers=[
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}, space.prometheus_trigger()])
    space.wait_ready()
    space.steady(5)
    space.load(5)
    space.wait_replicas(1, seconds=15)
    until("a pod", lambda: space.running() == 1, 20)
    space.load(150, work)
    space.wait_replicas(3, seconds=90)
    space.load(0, work)
    space.load(0)
    space.wait_replicas(0, seconds=60)
    until("no pods", lambda: space.running() == 0, 20)
    space.load(None, work)
