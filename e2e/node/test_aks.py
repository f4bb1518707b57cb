"""The story of an AKS user, from `helm install` to a workload that follows a query to an Azure Monitor workspace.

Azure is stood in for (`harness/azure.py`); what KEDA is given are the five values of the article and nothing else, and
the names it calls are Azure's own. Each scenario has an identity of its own, named by the TriggerAuthentication.
"""

import time
import uuid

import pytest

from harness import azure, helm
from harness.azure import CLIENT, SUBJECT, TENANT
from harness.cluster import until
from harness.controlplane import kubectl


@pytest.fixture
def cloud(state):
    """KEDA as in the article, and an Azure with nothing wrong with it."""
    helm.ensure(state, *azure.VALUES, before=lambda: azure.account(state))
    pods = {pod["metadata"]["uid"] for pod in helm.pods(state)}
    revision = helm.revision(state)
    yield azure.Azure(state)
    # Whatever went wrong: nothing was restarted for it (but by an upgrade), and no token was ever shown.
    assert helm.revision(state) != revision or {pod["metadata"]["uid"] for pod in helm.pods(state)} == pods
    assert all(helm.restarts(pod) == 0 for pod in helm.pods(state))
    for deployment in helm.PODS:
        assert "eyJ" not in helm.logs(state, deployment), "a token is in the log"


class Identity:
    """A user-assigned identity, its federated credential, and its role on the workspace."""

    def __init__(self, cloud, client: str | None = None):
        self.cloud, self.client, self.principal = cloud, client or str(uuid.uuid4()), str(uuid.uuid4())
        cloud.identity(TENANT, self.client, self.principal)

    def federate(self, **other):
        self.cloud.federate(TENANT, self.client, other.pop("subject", SUBJECT), **other)
        return self

    def grant(self):
        self.cloud.grant(self.principal)
        return self


def scale(space, client: str | None = None, tenant: str | None = None):
    """The article's two manifests. They poll every second here: nobody waits for half a minute."""
    identity = {"provider": "azure-workload"}
    if client:
        identity["identityId"] = client
    if tenant:
        identity["identityTenantId"] = tenant
    space.apply({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
                 "metadata": {"name": "azure-managed-prometheus-trigger-auth"}, "spec": {"podIdentity": identity}})
    space.scaled_object(minReplicaCount=1, maxReplicaCount=20, triggers=[{
        "type": "prometheus",
        "metadata": {"serverAddress": f"https://{azure.WORKSPACE}", "metricName": "http_requests_total",
                     "query": space.query(), "threshold": "100.50", "activationThreshold": "5.5"},
        "authenticationRef": {"name": "azure-managed-prometheus-trigger-auth"}}])


def message(space) -> str:
    return space.condition("Ready").get("message", "")


def wait_says(space, *texts: str, seconds: float = 30) -> str:
    """Waits until the condition says all of this, and that nobody moved meanwhile; no token is in it."""
    until(f"a condition that says {texts}", lambda: all(text in message(space) for text in texts), seconds,
          instead=lambda: space.condition("Ready"))
    assert space.condition("Ready")["status"] != "True"
    assert space.replicas() == 1 and "eyJ" not in space.record.story()
    return message(space)


def follows(space):
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=60)
    space.load(301)
    space.wait_replicas(3, seconds=60)
    until("three pods", lambda: space.running() == 3, 20)


def test_the_story(state, space, cloud):
    """The pods Ready, the five values at their places, and a Deployment that follows the query."""
    assert tuple(sorted(helm.owner(pod) for pod in helm.pods(state))) == helm.PODS
    pod = next(pod for pod in helm.pods(state) if helm.owner(pod) == "keda-operator")
    assert pod["spec"]["serviceAccountName"] == "keda-operator"
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    identity = Identity(cloud, CLIENT).federate().grant()
    space.workload(replicas=1)
    space.load(1)
    scale(space)
    space.wait_ready(seconds=30)
    space.wait_condition("Active", "False", "ScalerNotActive")
    follows(space)
    space.load(1)
    space.wait_replicas(1, seconds=60)
    tokens = cloud.requests("token", client=CLIENT)
    assert [(t["status"], t["tenant"]) for t in tokens] == [(200, TENANT)], "one token serves all"
    queries = cloud.requests("query", principal=identity.principal)
    assert len(queries) > 5 and {query["status"] for query in queries} == {200}


def test_federation_comes_later(space, cloud):
    """The credential is not there yet: it is said to be propagating, and when it comes the workload scales."""
    identity = Identity(cloud).grant()
    space.workload(replicas=1)
    space.load(50)
    scale(space, identity.client)
    said = wait_says(space, "AADSTS70021", "propagating")
    assert SUBJECT in said and "az identity federated-credential create" in said
    space.steady(15)
    identity.federate()
    began = time.time()
    follows(space)
    space.note_time("federation there until three replicas", time.time() - began)
    # Tried again with patience, not in a tight loop.
    assert len(cloud.requests("token", client=identity.client)) < 25


def test_role_comes_later(space, cloud):
    """The token is good and the role is missing: principal, action, and the line that grants it."""
    identity = Identity(cloud).federate()
    space.workload(replicas=1)
    space.load(50)
    scale(space, identity.client)
    said = wait_says(space, "403", "Monitoring Data Reader", "az role assignment create")
    assert identity.principal in said and azure.ACTION in said and azure.SCOPE in said
    space.steady(5)
    identity.grant()
    follows(space)


WRONG = {
    "subject": (lambda i: i.federate(subject="system:serviceaccount:keda:someone"), "AADSTS700213", SUBJECT),
    "case of the subject": (lambda i: i.federate(subject=SUBJECT.replace("keda-operator", "Keda-Operator")),
                            "AADSTS700213", SUBJECT),
    "audience": (lambda i: i.federate(audience="api://azureADTokenExchange"), "AADSTS700212", azure.EXCHANGE),
    "issuer": (lambda i: i.federate(issuer="https://kubernetes.default.svc/"), "AADSTS700211",
               "https://kubernetes.default.svc"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_credential(space, cloud, what):
    """A federated credential that cannot match: what was presented is shown, to be compared byte by byte."""
    federate, number, presented = WRONG[what]
    identity = Identity(cloud).grant()
    federate(identity)
    space.workload(replicas=1)
    space.load(50)
    scale(space, identity.client)
    said = wait_says(space, number, presented)
    assert identity.client in said
    identity.federate()
    follows(space)


def test_wrong_client_and_tenant(space, cloud):
    """Neither is known at Azure: each is named."""
    known, unknown, nowhere = Identity(cloud).federate().grant(), str(uuid.uuid4()), str(uuid.uuid4())
    space.workload(replicas=1)
    space.load(50)
    scale(space, unknown)
    wait_says(space, "AADSTS700016", unknown)
    scale(space, known.client, nowhere)
    wait_says(space, "AADSTS90002", nowhere)
    scale(space, known.client)
    follows(space)


@pytest.mark.alone
@pytest.mark.parametrize("fault", [{"throttle": 3}, {"broken": 503}, {"delay": 20}], ids=["throttled", "broken", "slow"])
def test_login_is_ill(space, cloud, fault):
    """Entra says 429, or 503, or nothing for a long time: nobody moves, and it heals by itself."""
    identity = Identity(cloud).federate().grant()
    cloud.set(**fault)
    try:
        space.workload(replicas=1)
        space.load(50)
        scale(space, identity.client)
        space.wait_condition("Ready", "False", "TriggerError", seconds=30)
        space.steady(6)
    finally:
        cloud.set(**{name: 0 for name in fault})
    follows(space)


# What Azure's mutating webhook puts into a labelled pod: a projected token, and where it lies.
MOUNT = "/var/run/secrets/azure/tokens"
INJECTED = (
    "volumes.keda.extraVolumes[0].name=azure-identity-token",
    f"volumes.keda.extraVolumes[0].projected.sources[0].serviceAccountToken.audience={azure.EXCHANGE}",
    "volumes.keda.extraVolumes[0].projected.sources[0].serviceAccountToken.expirationSeconds=3600",
    "volumes.keda.extraVolumes[0].projected.sources[0].serviceAccountToken.path=azure-identity-token",
    "volumes.keda.extraVolumeMounts[0].name=azure-identity-token",
    f"volumes.keda.extraVolumeMounts[0].mountPath={MOUNT}",
    "volumes.keda.extraVolumeMounts[0].readOnly=true",
    "env[0].name=AZURE_FEDERATED_TOKEN_FILE",
    f"env[0].value={MOUNT}/azure-identity-token",
)


@pytest.mark.alone
def test_token_from_a_file(state, space, cloud):
    """Where Azure's webhook injected a token, that one is presented, and the API server is asked for none."""
    def asked() -> int:
        return (state / "log/audit.log").read_text().count("/serviceaccounts/keda-operator/token")

    helm.install(state, *helm.BASE, *azure.VALUES, *INJECTED, verb="upgrade")
    try:
        kubectl(state, "-n", "keda", "rollout", "status", "deployment/keda-operator", "--timeout=60s")
        until("the upgraded pods", lambda: helm.all_ready(state), 60)
        before = asked()
        identity = Identity(cloud).federate().grant()
        space.workload(replicas=1)
        space.load(50)
        scale(space, identity.client)
        follows(space)
        assert {token["status"] for token in cloud.requests("token", client=identity.client)} == {200}
        assert asked() == before
    finally:
        helm.install(state, *helm.BASE, *azure.VALUES, verb="upgrade")
        kubectl(state, "-n", "keda", "rollout", "status", "deployment/keda-operator", "--timeout=60s")
        until("the pods as they were", lambda: helm.all_ready(state), 60)


@pytest.mark.alone
def test_a_token_is_renewed(space, cloud):
    """Tokens that live for forty seconds: they are renewed before they end, and no query is refused."""
    identity = Identity(cloud).federate().grant()
    cloud.set(token_seconds=40)
    try:
        space.workload(replicas=1)
        space.load(301)
        scale(space, identity.client)
        space.wait_replicas(3, seconds=60)
        space.steady(45)
    finally:
        cloud.set(token_seconds=3600)
    assert {query["status"] for query in cloud.requests("query", principal=identity.principal)} == {200}
    assert 2 <= len(cloud.requests("token", client=identity.client)) <= 8
