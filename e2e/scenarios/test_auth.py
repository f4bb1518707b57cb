"""TriggerAuthentication: the source wants a token, and the token comes from the cluster."""

import base64
import time

import pytest

from harness import canary


def _secret(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def _authentication(kind: str = "TriggerAuthentication", name: str = "auth", **spec) -> dict:
    return {"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


SOURCES = {
    "secret": {"secretTargetRef": [{"parameter": "bearerToken", "name": "credentials", "key": "token"}]},
    "config map": {"configMapTargetRef": [{"parameter": "bearerToken", "name": "settings", "key": "token"}]},
    "environment": {"env": [{"parameter": "bearerToken", "name": "TOKEN"}]},
}


@pytest.mark.parametrize("where", SOURCES)
def test_token(space, proxy, where):
    token = canary.secret("token")
    proxy.want(f"Bearer {token}")
    space.workload()
    space.patch("deployment", "app", {"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "none", "env": [{"name": "TOKEN", "valueFrom": {
            "secretKeyRef": {"name": "credentials", "key": "token"}}}]}]}}}})
    space.apply(_secret("credentials", token=token),
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"token": token}},
                _authentication(**SOURCES[where]))
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url, auth="auth", authModes="bearer")])
    space.wait_replicas(1, seconds=15)
    space.wait_condition("Ready", "True", "ScaledObjectReady")
    assert space.status()["authenticationsTypes"] == "auth"


def test_rotated_secret(space, proxy):
    """The token changes at the source and then in the Secret: the next poll has it, nothing else is touched."""
    first, second = canary.secret("first"), canary.secret("second")
    proxy.want(f"Bearer {first}")
    space.workload()
    space.apply(_secret("credentials", token=first), _authentication(**SOURCES["secret"]))
    space.load(25)
    space.scaled_object(triggers=[space.prometheus_trigger(
        server=proxy.url, auth="auth", authModes="bearer", ignoreNullValues="false")])
    space.wait_replicas(3, seconds=40)
    proxy.want(f"Bearer {second}")
    failed = space.wait_condition("Ready", "False", "TriggerError")
    assert "401" in failed["message"]
    space.steady(6)
    rotated = time.time()
    space.apply(_secret("credentials", token=second))
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=10)
    space.note_time("Secret rotated until Ready", time.time() - rotated)
    story = space.record.story()
    for text in (first, second, base64.b64encode(second.encode()).decode()):
        assert text not in story, "a secret was shown"


def test_cluster_trigger_authentication(space, proxy, state):
    """Its Secret is looked up in KEDA's own namespace."""
    from harness.cluster import kubectl

    token = canary.secret("shared")
    proxy.want(f"Bearer {token}")
    name = space.name
    kubectl(state, "-n", "keda", "create", "secret", "generic", name, f"--from-literal=token={token}")
    space.apply(_authentication("ClusterTriggerAuthentication", name, secretTargetRef=[
        {"parameter": "bearerToken", "name": name, "key": "token"}]))
    try:
        space.workload()
        space.load(5)
        trigger = space.prometheus_trigger(server=proxy.url, authModes="bearer")
        trigger["authenticationRef"] = {"name": name, "kind": "ClusterTriggerAuthentication"}
        space.scaled_object(triggers=[trigger])
        space.wait_replicas(1, seconds=15)
    finally:
        kubectl(state, "-n", "keda", "delete", "secret", name)
        kubectl(state, "delete", "clustertriggerauthentication", name, "--wait=false")


def test_late_authentication(space, proxy):
    """The TriggerAuthentication, then its Secret, come after the ScaledObject: each gap is named, and closes by itself."""
    token = canary.secret("late")
    proxy.want(f"Bearer {token}")
    space.workload()
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(server=proxy.url, auth="auth", authModes="bearer")])
    failed = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed")
    assert "auth" in failed["message"] and "not found" in failed["message"]
    assert proxy.requests == 0, "the source was asked without the token"
    space.apply(_authentication(**SOURCES["secret"]))

    def names_the_secret():
        message = space.condition("Ready").get("message", "")
        return "credentials" in message and "token" in message
    from harness.cluster import until
    until("a condition that names the Secret and its key", names_the_secret, 20)
    space.apply(_secret("credentials", token=token))
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=20)
    space.wait_replicas(1, seconds=15)
