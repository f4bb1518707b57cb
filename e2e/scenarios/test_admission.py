"""The admission webhooks, asked by the real API server: what kubectl prints when an object is refused, warned of, or let through."""

import base64
import json
import shutil
import subprocess
import threading
import time

import pytest

from harness import keda, pki
from harness.cluster import Refused, kubectl, until
from harness.controlplane import kubectl as admin
from harness.state import executable

pytestmark = pytest.mark.alone

KINDS = {
    "vscaledobject.kb.io": ("keda.sh", "scaledobjects", "/validate-keda-sh-v1alpha1-scaledobject"),
    "vscaledjob.kb.io": ("keda.sh", "scaledjobs", "/validate-keda-sh-v1alpha1-scaledjob"),
    "vstriggerauthentication.kb.io":
        ("keda.sh", "triggerauthentications", "/validate-keda-sh-v1alpha1-triggerauthentication"),
    "vsclustertriggerauthentication.kb.io":
        ("keda.sh", "clustertriggerauthentications", "/validate-keda-sh-v1alpha1-clustertriggerauthentication"),
    "vcloudeventsource.kb.io":
        ("eventing.keda.sh", "cloudeventsources", "/validate-eventing-keda-sh-v1alpha1-cloudeventsource"),
    "vclustercloudeventsource.kb.io":
        ("eventing.keda.sh", "clustercloudeventsources", "/validate-eventing-keda-sh-v1alpha1-clustercloudeventsource"),
}


class Webhooks:
    """The process, and the configuration that has the API server ask it about one namespace."""

    def __init__(self, state, space):
        self.state, self.space = state, space
        self.name = f"keda-admission-{space.name}"
        self.certs = state / f"webhook-certs-{space.name}"
        self.certs.mkdir()
        for file in ("ca.crt", "ca.key", "tls.crt", "tls.key"):
            shutil.copy(state / "certs" / file, self.certs / file)

    def start(self, *flags: str) -> None:
        keda.start_webhooks(self.state, self.certs, *flags)

    def stop(self) -> None:
        self.state.stop("webhooks")

    def configure(self, policy: str = "Fail", bundle: bytes | None = None) -> None:
        authority = base64.b64encode(bundle or (self.certs / "ca.crt").read_bytes()).decode()
        scope = {"matchLabels": {"kubernetes.io/metadata.name": self.space.name}}
        hooks = [{
            "name": name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": f"https://127.0.0.1:{self.state.port('webhooks')}{path}", "caBundle": authority},
            "failurePolicy": policy,
            "matchPolicy": "Equivalent",
            "namespaceSelector": scope,
            "objectSelector": {"matchLabels": {"e2e": self.space.name}} if resource.startswith("cluster") else {},
            "rules": [{"apiGroups": [group], "apiVersions": ["v1alpha1"], "operations": ["CREATE", "UPDATE"],
                       "resources": [resource]}],
            "sideEffects": "None",
            "timeoutSeconds": 10,
        } for name, (group, resource, path) in KINDS.items()]
        admin(self.state, "apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self.name}, "webhooks": hooks}))

    def is_asked(self) -> bool:
        """Whether the API server knows the configuration: it takes a moment."""
        job = {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
               "metadata": {"name": "probe", "namespace": self.space.name},
               "spec": {"podIdentity": {"provider": "aws", "externalID": "1"}}}
        try:
            kubectl(self.state, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(job))
            return False
        except Refused:
            return True

    def metric(self, series: str) -> float:
        for line in keda.metrics(self.state, "webhooks").splitlines():
            if line.startswith(series):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def remove(self) -> None:
        admin(self.state, "delete", "validatingwebhookconfiguration", self.name, "--ignore-not-found", check=False)
        if self.state.running("webhooks"):
            self.stop()
        shutil.rmtree(self.certs)


@pytest.fixture
def webhooks(state, space):
    webhooks = Webhooks(state, space)
    webhooks.start()
    webhooks.configure()
    until("the webhooks are asked", webhooks.is_asked, 30)
    yield webhooks
    webhooks.remove()


def refused(space, *objects: dict) -> str:
    with pytest.raises(Refused) as refusal:
        space.apply(*objects)
    return str(refusal.value)


def scaled_object(space, name: str = "app", **spec) -> dict:
    body = {"scaleTargetRef": {"name": "app"}, "triggers": [space.prometheus_trigger()], **spec}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": body}


def test_admission_refuses_in_upstreams_words(space, webhooks):
    """Each rule of a ScaledObject, through kubectl apply; then the object as it should be, which scales."""
    space.workload()
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}
    denied = 'admission webhook "vscaledobject.kb.io" denied the request: '
    for spec, text in [
        ({"minReplicaCount": 2, "idleReplicaCount": 2}, "IdleReplicaCount=2 must be less than MinReplicaCount=2"),
        ({"minReplicaCount": 1, "triggers": [cpu], "fallback": {"failureThreshold": 3, "replicas": 2}},
         "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the fallback to be enabled"),
        ({"advanced": {"scalingModifiers": {"target": "5"}}}, "error ScalingModifiers.Formula is mandatory"),
        ({"fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "scalingModifiers"}},
         "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined"),
        ({"scaleTargetRef": {"name": "app", "apiVersion": "nowhere.example/v1", "kind": "Gadget"}},
         'no matches for kind "Gadget" in version "nowhere.example/v1"'),
        ({"minReplicaCount": 1, "triggers": [cpu]},
         "the scaledobject has a cpu trigger but the container main doesn't have the cpu request defined"),
        ({"minReplicaCount": 1, "triggers": [cpu], "scaleTargetRef": {"name": "missing"}},
         'Deployment.apps "missing" not found'),
        ({"triggers": [{**space.prometheus_trigger(), "name": "x"}, {**space.prometheus_trigger(), "name": "x"}]},
         'triggerName "x" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique'),
    ]:
        said = refused(space, scaled_object(space, **spec))
        assert denied + text in said, said
    long = refused(space, scaled_object(space, name="x" * 60))
    assert "derived from scaledobject is 69 characters long; must be no more than 63 characters" in long
    # The API server's own rule answers before the webhook is asked.
    assert "minReplicaCount must be less than or equal to maxReplicaCount" in refused(
        space, scaled_object(space, minReplicaCount=5, maxReplicaCount=4))

    space.scaled_object()
    space.wait_ready()
    other = refused(space, scaled_object(space, name="second"))
    assert "the workload 'app' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'app'" in other
    labels = f'{{namespace="{space.name}",action="create",reason="incorrect-replicas"}}'
    assert webhooks.metric(f"keda_webhook_scaled_object_validation_errors_total{labels}") >= 1


def test_admission_sees_workload_and_scaled_object_of_one_apply(space, webhooks):
    """kubectl sends the Deployment, and a moment later the ScaledObject that measures by its requests."""
    for number in range(5):
        name = f"app-{number}"
        container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m"}}}
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}}}
        cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}
        space.apply(workload, scaled_object(space, name, scaleTargetRef={"name": name}, triggers=[cpu],
                                            minReplicaCount=1))


def test_admission_hpa_ownership(space, webhooks):
    """An HPA made by hand is in the way, until its ownership is transferred."""
    space.workload()
    space.apply({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "old"},
                 "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}}})
    wanted = scaled_object(space)
    until("the HPA is seen", lambda: "is already managed by the hpa 'old'" in refused(space, wanted), 10)
    wanted["metadata"]["annotations"] = {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    assert "must be specified by name in advanced settings to enable ownership transfer" in refused(space, wanted)
    wanted["spec"]["advanced"] = {"horizontalPodAutoscalerConfig": {"name": "old"}}
    space.apply(wanted)
    space.wait_ready()
    owner = space.get("hpa", "old")["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("ScaledObject", "app")


def test_admission_warns(space, webhooks):
    """Settings without effect, and triggers that the operator could not use, are printed by kubectl as warnings."""
    space.workload()
    wanted = scaled_object(space, minReplicaCount=1, cooldownPeriod=5, triggers=[
        {"type": "prometheus", "metadata": {"serverAddress": space.prometheus, "threshold": "5"}}])
    done = subprocess.run(
        [executable("kubectl", "KUBECTL"), "--kubeconfig", str(space.state.kubeconfig), "-n", space.name, "apply", "-f", "-"],
        input=json.dumps(wanted), capture_output=True, text=True, check=True)
    assert ("Warning: CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when minReplicaCount = 0 "
            "or idleReplicaCount is set") in done.stderr
    assert 'trigger 0 (prometheus): error parsing prometheus metadata: missing required parameter "query"' in done.stderr
    space.wait_event("KEDAScalerInfo", "CooldownPeriod is configured but is not relevant")


def test_admission_of_the_other_kinds(space, webhooks):
    def thing(kind: str, spec: dict, group: str = "keda.sh") -> dict:
        metadata = {"name": f"it-{space.name}", "labels": {"e2e": space.name}}
        return {"apiVersion": f"{group}/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}

    eventing = "eventing.keda.sh"
    blank = {"podIdentity": {"provider": "azure-workload", "identityId": ""}}
    identity = 'identityId of PodIdentity should not be empty. If it\'s set, identityId has to be different than ""'
    both = {"destination": {"http": {"uri": "http://sink"}}, "eventSubscription": {
        "includedEventTypes": ["keda.scaledobject.ready.v1"], "excludedEventTypes": ["keda.scaledjob.ready.v1"]}}
    types = "setting included types and excluded types at the same time is not supported"
    trigger = {**space.prometheus_trigger(), "name": "x"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}
    for wrong, text in [
        (thing("TriggerAuthentication", blank), identity),
        (thing("ClusterTriggerAuthentication", blank), identity),
        (thing("CloudEventSource", both, eventing), types),
        (thing("ClusterCloudEventSource", both, eventing), types),
        (thing("ScaledJob", {"jobTargetRef": {"template": pod}, "triggers": [trigger, trigger]}),
         'triggerName "x" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique'),
    ]:
        said = refused(space, wrong)
        assert f"denied the request: {text}" in said, said


def test_admission_webhook_down(space, webhooks):
    """failurePolicy Ignore: objects land while nobody answers, and the operator checks them by the same rules."""
    webhooks.configure(policy="Ignore")
    webhooks.stop()
    space.workload()
    until("an object lands", lambda: not webhooks.is_asked(), 30)
    space.apply(scaled_object(space, minReplicaCount=2, idleReplicaCount=2))
    condition = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed")
    assert "IdleReplicaCount=2 must be less than MinReplicaCount=2" in condition["message"]
    space.workload(name="other")
    space.apply(scaled_object(space, name="first", scaleTargetRef={"name": "other"}))
    space.wait_ready("first")
    space.apply(scaled_object(space, name="second", scaleTargetRef={"name": "other"}))
    condition = space.wait_condition("Ready", "False", "ScaledObjectCheckFailed", name="second")
    assert ("the workload 'other' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'first'"
            in condition["message"])
    assert space.condition("Ready", "first")["status"] == "True"

    # Back again: what is stored and wrong may still be labelled, paused and deleted.
    webhooks.start()
    until("the webhooks are asked", webhooks.is_asked, 30)
    space.kubectl("label", "scaledobject", "app", "team=a")
    space.kubectl("delete", "scaledobject", "app", "--timeout=20s")


def test_admission_certificate_rotation(space, webhooks):
    """A new CA and a new certificate while objects are applied, under failurePolicy Fail: nobody is refused."""
    stop, refusals, done = threading.Event(), [], []

    def traffic():
        number = 0
        while not stop.is_set():
            number += 1
            try:
                space.apply(scaled_object(space, pollingInterval=1 + number % 50))
                done.append(time.time())
            except Refused as refusal:
                refusals.append(str(refusal))

    space.workload()
    space.apply(scaled_object(space))
    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        old = (webhooks.certs / "ca.crt").read_bytes()
        pki.authority(webhooks.certs, "new-ca", "/O=KEDAORG/CN=KEDA")
        pki.issue(webhooks.certs, "new", "/CN=keda-operator", "new-ca", "DNS:localhost,IP:127.0.0.1")
        # As the operator does it: both CAs are announced before the new one signs.
        webhooks.configure(bundle=(webhooks.certs / "new-ca.crt").read_bytes() + old)
        time.sleep(2)
        ends = webhooks.metric("keda_webhooks_certificate_not_after_timestamp_seconds")
        for part in ("key", "crt"):
            shutil.copy(webhooks.certs / f"new.{part}", webhooks.certs / f"tls.{part}")
        until("the new certificate is served",
              lambda: webhooks.metric("keda_webhooks_certificate_not_after_timestamp_seconds") != ends, 20)
        webhooks.configure(bundle=(webhooks.certs / "new-ca.crt").read_bytes())
        since = time.time()
        until("traffic goes on", lambda: sum(t > since for t in done) > 5, 30)
    finally:
        stop.set()
        thread.join()
    assert not refusals, refusals[:3]
    space.note_time(f"{len(done)} objects applied across the rotation of CA and certificate", done[-1] - done[0])
