"""What a user can get wrong: condition and event name the field, what was given and what is allowed."""

import pytest

from harness import canary
from harness.cluster import Refused, until

# What is wrong, and the words that the condition and an event must both say.
TRIGGERS = {
    "an unknown trigger": (
        {"type": "promethues", "metadata": {"serverAddress": "http://localhost"}},
        ["no scaler found for type: promethues", "prometheus", "cron"]),
    "a missing parameter": (
        {"type": "prometheus", "metadata": {"query": "up", "threshold": "1"}},
        ['missing required parameter "serverAddress"']),
    "two missing parameters": (
        {"type": "prometheus", "metadata": {"serverAddress": "http://localhost:1"}},
        ['missing required parameter "query"', 'missing required parameter "threshold"']),
    "an unparsable number": (
        {"type": "prometheus", "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "ten"}},
        ['unable to set param "threshold" value "ten"']),
    "an unparsable word": (
        {"type": "prometheus", "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1",
                                            "ignoreNullValues": "sometimes"}},
        ['unable to set param "ignoreNullValues" value "sometimes"']),
    "a word that is not on the list": (
        {"type": "prometheus", "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1",
                                            "authModes": "magic"}},
        ['authModes', 'value "magic" must be one of', "bearer", "basic"]),
    "a mode without its credential": (
        {"type": "prometheus", "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1",
                                            "authModes": "basic"}},
        ["username"]),
    "a threshold of zero": (
        {"type": "prometheus", "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "0"}},
        ["threshold", "0"]),
    "a cron without a time zone": (
        {"type": "cron", "metadata": {"start": "0 1 * * *", "end": "0 2 * * *", "desiredReplicas": "1"}},
        ['missing required parameter "timezone"']),
    "a cron that starts and ends at once": (
        {"type": "cron", "metadata": {"timezone": "Etc/UTC", "start": "0 1 * * *", "end": "0 1 * * *",
                                      "desiredReplicas": "1"}},
        ["start and end can not have exactly same time input"]),
    "a cron expression that is none": (
        {"type": "cron", "metadata": {"timezone": "Etc/UTC", "start": "61 1 * * *", "end": "0 2 * * *",
                                      "desiredReplicas": "1"}},
        ["start", "61"]),
    "a metric type that external metrics do not have": (
        {"type": "prometheus", "metricType": "Utilization",
         "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1"}},
        ["'Utilization' metric type is unsupported for external metrics", "AverageValue"]),
    "a TriggerAuthentication that does not exist": (
        {"type": "prometheus", "authenticationRef": {"name": "nobody"},
         "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1"}},
        ["TriggerAuthentication", "nobody", "not found"]),
    "a source of secrets that is not complete": (
        {"type": "prometheus", "authenticationRef": {"name": "vault"},
         "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1"}},
        ["hashiCorpVault", "could not get Vault token", "vault-incomplete"]),
    "a key that the secret does not have": (
        {"type": "prometheus", "authenticationRef": {"name": "keyless"},
         "metadata": {"serverAddress": "http://localhost:1", "query": "up", "threshold": "1", "authModes": "bearer"}},
        ["bearerToken", "credentials", "token"]),
}

SUPPORTING = [
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credentials"}, "stringData": {"other": canary.secret("other")}},
    {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "keyless"}, "spec": {
        "secretTargetRef": [{"parameter": "bearerToken", "name": "credentials", "key": "token"}]}},
    {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "vault"}, "spec": {
        "hashiCorpVault": {"address": "http://localhost:1", "authentication": "token", "secrets": [
            {"parameter": "bearerToken", "path": "a", "key": "b"}]}}},
]


def _assert_refused(space, *words, name="app", condition_only=()):
    failed = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed", name=name)
    for word in (*words, *condition_only):
        assert word in failed["message"], f"the condition does not say {word!r}: {failed['message']}"
    active = space.condition("Active", name)
    assert (active["status"], active["reason"]) == ("Unknown", "UnknownState")

    def said():
        notes = [e["note"] for e in space.events(name=name) if e["type"] == "Warning"]
        return next((note for note in notes if all(word in note for word in words)), None)
    until(f"a warning event that says {words}", said, 10,
          instead=lambda: [e["note"] for e in space.events(name=name)])
    assert space.hpa(f"keda-hpa-{name}") is None


@pytest.mark.parametrize("case", TRIGGERS)
def test_bad_trigger(space, case):
    trigger, words = TRIGGERS[case]
    space.workload(replicas=2)
    space.workload(name="neighbour")
    space.load(5)
    space.apply(*SUPPORTING)
    space.scaled_object(triggers=[trigger])
    space.scaled_object(name="neighbour", target="neighbour")
    _assert_refused(space, *words)
    # The object next to it does not notice, the workload is left alone.
    space.wait_replicas(1, seconds=15, name="neighbour")
    space.wait_condition("Ready", "True", name="neighbour")
    assert space.replica_history() == [2]
    # Mended, it works.
    space.patch("scaledobject", "app", {"spec": {"triggers": [space.prometheus_trigger()]}})
    space.wait_ready()
    space.wait_replicas(1, seconds=30)


@pytest.mark.parametrize("kind,words", [
    (None, ["Target resource doesn't exist"]),
    ("Nothing", ['no matches for kind "Nothing" in version "apps/v1"']),
], ids=["missing", "of an unknown kind"])
def test_bad_target(space, kind, words):
    space.load(5)
    space.scaled_object(target="nobody", kind=kind)
    _assert_refused(space, *words, condition_only=["ScaledObject doesn't have correct scaleTargetRef specification"])
    if kind is None:  # it comes later
        space.workload(name="nobody")
        space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=30)
        space.wait_replicas(1, seconds=15, name="nobody")


def test_target_without_scale(space):
    space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}})
    space.scaled_object(kind="ConfigMap", api_version="v1")
    _assert_refused(space, "Target resource doesn't expose /scale subresource")


def test_minimum_above_maximum(space):
    """Refused by the API server itself, at once."""
    space.workload()
    with pytest.raises(Refused, match="minReplicaCount must be less than or equal to maxReplicaCount"):
        space.scaled_object(minReplicaCount=6, maxReplicaCount=5)
    with pytest.raises(Refused, match="minReplicaCount must be less than or equal to maxReplicaCount"):
        space.scaled_object(minReplicaCount=101, maxReplicaCount=None)
    with pytest.raises(Refused, match="pollingInterval"):
        space.scaled_object(pollingInterval=0)


def test_idle_not_below_minimum(space):
    space.workload(replicas=1)
    space.load(0)
    space.scaled_object(idleReplicaCount=2, minReplicaCount=2)
    _assert_refused(space, "IdleReplicaCount=2 must be less than MinReplicaCount=2",
                    condition_only=["ScaledObject doesn't have correct Idle/Min/Max Replica Counts specification"])


def test_paused_at_no_number(space):
    space.workload(replicas=1)
    space.scaled_object(annotations={"autoscaling.keda.sh/paused-replicas": "many"})
    failed = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed")
    assert "failed to parse paused replica count" in failed["message"] and "many" in failed["message"]
    space.steady(4)


def test_unused_parameter_is_announced(space):
    """Old manifests carry metricName: it works, and a person is told that nobody reads it."""
    space.workload()
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(metricName="requests")])
    space.wait_replicas(1, seconds=15)
    space.wait_event("KEDAScalerInfo", "metricName")


def test_running_object_turns_bad(space):
    """A change that makes no sense stops nothing: the target keeps its replicas, and the way back is another change."""
    space.workload()
    space.load(25)
    space.scaled_object()
    space.wait_replicas(3, seconds=40)
    space.patch("scaledobject", "app", {"spec": {"triggers": [space.prometheus_trigger(threshold="ten")]}})
    failed = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed")
    assert 'unable to set param "threshold" value "ten"' in failed["message"]
    space.steady(10)
    assert space.replicas() == 3
    space.patch("scaledobject", "app", {"spec": {"triggers": [space.prometheus_trigger()]}})
    space.wait_condition("Ready", "True", "ScaledObjectReady")
    space.load(45)
    space.wait_replicas(5, seconds=40)
