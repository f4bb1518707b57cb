"""ScaledJobs, against the real Job controller.

There is no node: a Job's pod is made, and waits until the scenario says what became of it.
"""

import json
import time

import pytest

from harness.cluster import until

JOB = {"template": {"spec": {"containers": [{"name": "work", "image": "none"}], "restartPolicy": "Never"}}}


@pytest.fixture(autouse=True)
def leave(space):
    """The ScaledJobs go while an operator is there to let them go."""
    yield
    space.kubectl("delete", "scaledjobs", "--all", "--wait=true", "--timeout=20s")


def scaled_job(space, name: str = "work", annotations: dict | None = None, target: dict | None = None, **spec) -> None:
    space.apply({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"jobTargetRef": {**JOB, **(target or {})}, "pollingInterval": 1,
                 "triggers": [space.prometheus_trigger(threshold="1")], **spec}})


def items(space, kind: str, selector: str = "scaledjob.keda.sh/name=work") -> list[dict]:
    found = json.loads(space.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]
    return [item for item in found if "deletionTimestamp" not in item["metadata"]]


def names(space) -> set[str]:
    return {job["metadata"]["name"] for job in items(space, "jobs")}


def become(space, phase: str, count: int) -> None:
    """That many pods that are not done yet come to this phase, as a kubelet would say."""
    pods = [pod for pod in items(space, "pods") if pod["status"].get("phase") not in (phase, "Succeeded", "Failed")]
    for pod in pods[:count]:
        space.patch("pod", pod["metadata"]["name"], {"status": {
            "phase": phase, "conditions": [{"type": "Ready", "status": str(phase == "Running")}]}}, "--subresource=status")


def condition(space, type: str) -> dict:
    conditions = space.get("scaledjob", "work").get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type), {})


def finished(space, type: str = "Complete") -> set[str]:
    return {job["metadata"]["name"] for job in items(space, "jobs")
            if any(one["type"] == type and one["status"] == "True" for one in job["status"].get("conditions", []))}


def test_scaled_job_life(space):
    """A Job for each piece of work, none twice however slow its pod is; what is done is kept up to the limit; all go with their owner."""
    space.load(3)
    scaled_job(space, successfulJobsHistoryLimit=2)
    until("three Jobs", lambda: len(names(space)) == 3, 20)
    assert condition(space, "Ready")["status"] == "True"
    assert condition(space, "Active")["status"] == "True"
    first = names(space)
    # Ten polls while every pod waits to be started.
    time.sleep(10)
    assert names(space) == first
    until("a pod for each", lambda: len(items(space, "pods")) == 3)
    owner = items(space, "jobs")[0]["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ScaledJob", "work", True)

    become(space, "Running", 3)
    time.sleep(3)
    assert names(space) == first, "work that is under way is no new work"
    space.load(5)
    until("two more", lambda: len(names(space)) == 5, 20)

    space.load(0)
    until("inactive", lambda: condition(space, "Active").get("status") == "False", 20)
    become(space, "Succeeded", 5)
    until("two of the finished are left", lambda: len(names(space)) == 2 and names(space) == finished(space), 30)
    space.kubectl("delete", "scaledjob", "work", "--timeout=10s")
    until("the Jobs collected", lambda: not items(space, "jobs"), 30)


def test_scaled_job_bounds_and_strategy(space):
    """`accurate`: what is pending is counted against what is wanted, which is the maximum without the minimum."""
    space.load(50)
    scaled_job(space, minReplicaCount=2, maxReplicaCount=4, scalingStrategy={"strategy": "accurate"})
    until("the minimum", lambda: len(names(space)) == 2, 20)
    until("a pod for each", lambda: len(items(space, "pods")) == 2)
    time.sleep(3)
    assert len(names(space)) == 2, "two are pending, two are wanted beside the minimum"
    become(space, "Running", 2)
    until("as many as the maximum", lambda: len(names(space)) == 4, 20)
    space.load(0)
    until("a pod for each", lambda: len(items(space, "pods")) == 4)
    become(space, "Running", 4)
    time.sleep(3)
    assert len(names(space)) == 4
    become(space, "Succeeded", 4)
    until("the minimum is filled again", lambda: len(names(space) - finished(space)) == 2, 30)


@pytest.mark.parametrize("strategy", ["immediate", "gradual"])
def test_scaled_job_rollout(space, strategy):
    space.load(2)
    scaled_job(space, rollout={"strategy": strategy})
    until("two Jobs", lambda: len(names(space)) == 2, 20)
    before = names(space)
    space.load(0)
    until("the load is seen", lambda: condition(space, "Active").get("status") == "False", 20)
    scaled_job(space, rollout={"strategy": strategy}, target={"backoffLimit": 1})
    if strategy == "immediate":
        until("the former Jobs gone", lambda: not names(space) & before, 20)
    else:
        time.sleep(5)
        assert names(space) == before


def test_scaled_job_paused(space):
    space.load(2)
    scaled_job(space, annotations={"autoscaling.keda.sh/paused": "true"})
    until("paused", lambda: condition(space, "Paused").get("status") == "True", 15)
    time.sleep(4)
    assert not names(space)
    space.kubectl("annotate", "scaledjob", "work", "autoscaling.keda.sh/paused-")
    until("Jobs", lambda: len(names(space)) == 2, 15)


def test_scaled_job_source_down(space, proxy):
    """What cannot be read is no empty queue and no full one: Jobs are neither started nor taken away."""
    space.load(2)
    triggers = [space.prometheus_trigger(server=proxy.url, threshold="1")]
    scaled_job(space, triggers=triggers)
    until("two Jobs", lambda: len(names(space)) == 2, 20)
    before = names(space)
    proxy.refuse()
    until("the condition says so", lambda: condition(space, "Ready").get("status") == "False", 20)
    time.sleep(3)
    assert names(space) == before
    proxy.pass_on()
    until("ready again", lambda: condition(space, "Ready").get("status") == "True", 40)


def test_scaled_job_of_a_tight_quota(space):
    """The API server takes one Job: the object says so, and goes on when there is room."""
    space.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "jobs"},
                 "spec": {"hard": {"count/jobs.batch": "1"}}})
    until("the quota counts", lambda: space.get("resourcequota", "jobs").get("status", {}).get("hard"), 20)
    space.load(3)
    scaled_job(space)
    until("one Job", lambda: len(names(space)) == 1, 20)
    told = until("the condition says so", lambda: (now := condition(space, "Ready")).get("status") == "False" and now, 20)
    assert told["reason"] == "KEDAJobCreateFailed"
    assert "exceeded quota" in told["message"]
    space.patch("resourcequota", "jobs", {"spec": {"hard": {"count/jobs.batch": "10"}}})
    until("the rest", lambda: len(names(space)) == 3, 60)
    until("ready", lambda: condition(space, "Ready").get("status") == "True", 20)
