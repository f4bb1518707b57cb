"""The processes under the accounts and permissions that the chart gives them, on the real API server.

The end-to-end scenarios run under the default permissions; here are the narrowed ones. Needs KEDA_BIN.
"""

import json
import os
import re
import ssl
import urllib.request
from pathlib import Path

import pytest
from harness import controlplane, pki
from harness.state import free_ports
from rendering import helm

TESTS = Path(__file__).resolve().parent
PROGRAM = os.environ.get("KEDA_BIN")

pytestmark = pytest.mark.skipif(not PROGRAM, reason="KEDA_BIN is not set")

# Which Secrets of namespace shop the operator reads under these values: in none of them are they listed.
CASES = {
    "default": {"queue": True, "other": True},
    "namespaced": {"queue": True, "other": False},
    "restricted": {"queue": False, "other": False},
}
ACCOUNTS = {"keda-operator": "keda-operator", "keda-admission-webhooks": "keda-webhook"}


def manifest(*, apiVersion: str, kind: str, name: str, **more) -> dict:
    labels = {"tier": "gold"}
    return {"apiVersion": apiVersion, "kind": kind, "metadata": {"name": name, "namespace": "shop", "labels": labels}, **more}


def workload(name: str) -> dict:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]}}
    return manifest(apiVersion="apps/v1", kind="Deployment", name=name,
                    spec={"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pod})


def scaled(name: str, trigger: dict) -> dict:
    return manifest(apiVersion="keda.sh/v1alpha1", kind="ScaledObject", name=name,
                    spec={"scaleTargetRef": {"name": name}, "pollingInterval": 1, "minReplicaCount": 1, "triggers": [trigger]})


def objects() -> list[dict]:
    """One object that reads pods, and two whose credentials are in a Secret each."""
    made = [workload("pods"), scaled("pods", {"type": "kubernetes-workload", "metadata": {"podSelector": "app=pods", "value": "1"}})]
    for name in ("queue", "other"):
        made += [
            workload(name),
            manifest(apiVersion="v1", kind="Secret", name=name, stringData={"password": "hidden"}),
            manifest(apiVersion="keda.sh/v1alpha1", kind="TriggerAuthentication", name=name,
                     spec={"secretTargetRef": [{"parameter": param, "name": name, "key": "password"}
                                               for param in ("username", "password")]}),
            # Nobody answers there: what is asked is whether it comes that far.
            scaled(name, {"type": "prometheus", "authenticationRef": {"name": name}, "metadata": {
                "serverAddress": "http://127.0.0.1:1", "query": "up", "threshold": "1", "authModes": "basic"}}),
        ]
    return made


@pytest.fixture(params=CASES)
def installed(request, cluster):
    """The chart under a case's values, with the objects; what runs is ended and removed afterwards."""
    def kubectl(*args, **options):
        return controlplane.kubectl(cluster, *map(str, args), **options)

    values = TESTS / f"values/{request.param}.yaml"
    for name in ("keda", "shop", "billing"):
        kubectl("create", "namespace", name, check=False)
    helm.helm("--kubeconfig", cluster.kubeconfig, "install", "keda", helm.CHART, "--namespace", "keda", "--values", values)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "-l", "app.kubernetes.io/part-of=keda-operator")
    kubectl("create", "-f", "-", stdin=helm.dump(objects()))
    started = []
    yield request.param, kubectl, started
    kubectl("delete", "scaledobjects", "--all", "-n", "shop", "--timeout=20s")
    for name in started:
        cluster.stop(name)
    kubectl("delete", "triggerauthentications,deployments,secrets", "--all", "-n", "shop")
    kubectl("delete", "secret", "kedaorg-certs", "-n", "keda", check=False)
    helm.helm("--kubeconfig", cluster.kubeconfig, "uninstall", "keda", "--namespace", "keda", "--wait")


def start(cluster, kubectl, deployment: str, changes: dict[str, str], folder: Path) -> str:
    """Runs a Deployment's command line and variables here, as its ServiceAccount; returns the log's path."""
    it = json.loads(kubectl("get", "deployment", deployment, "-n", "keda", "-o", "json"))
    [container] = it["spec"]["template"]["spec"]["containers"]
    account = it["spec"]["template"]["spec"]["serviceAccountName"]
    assert account == ACCOUNTS[deployment]
    token = kubectl("create", "token", account, "-n", "keda").strip()
    config = controlplane.kubeconfig(cluster, f"as-{account}", {"token": token})
    flags = {**dict(argument.lstrip("-").partition("=")[::2] for argument in container["args"]), **changes}
    link = folder / Path(container["command"][0]).name
    link.symlink_to(Path(PROGRAM).resolve())
    # The API server leaves empty values out.
    env = {it["name"]: it.get("value", "") for it in container["env"] if "valueFrom" not in it}
    env |= {"KUBECONFIG": str(config), "POD_NAMESPACE": "keda", "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda"}
    # One log a start.
    (cluster / f"log/{deployment}.log").unlink(missing_ok=True)
    cluster.start(deployment, [link, *(f"--{name}={value}" if value else f"--{name}" for name, value in flags.items())], env=env)
    return deployment


def ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
        return answer.status == 200


def condition(kubectl, name: str) -> dict:
    status = json.loads(kubectl("get", "scaledobject", name, "-n", "shop", "-o", "json")).get("status", {})
    return next((it for it in status.get("conditions", []) if it["type"] == "Ready"), {})


def judged(port: int, authority: Path, it: dict) -> dict:
    """The webhooks' verdict on a new object, asked as the API server does."""
    resource = {"group": "keda.sh", "version": "v1alpha1", "resource": "scaledobjects"}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "kind": {"group": "keda.sh", "version": "v1alpha1", "kind": "ScaledObject"},
        "resource": resource, "name": it["metadata"]["name"], "namespace": "shop", "object": it,
        "userInfo": {"username": "test"}, "dryRun": False}}
    request = urllib.request.Request(
        f"https://localhost:{port}/validate-keda-sh-v1alpha1-scaledobject", json.dumps(review).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=str(authority))) as answer:
        return json.load(answer)["response"]


def test_the_operator_runs_under_what_it_was_granted(installed, cluster, tmp_path):
    case, kubectl, started = installed
    grpc, probe, metrics = free_ports(3)
    started.append(start(cluster, kubectl, "keda-operator", {
        "metrics-service-bind-address": f"127.0.0.1:{grpc}", "health-probe-bind-address": f"127.0.0.1:{probe}",
        "metrics-bind-address": f"127.0.0.1:{metrics}", "cert-dir": str(tmp_path / "certs")}, tmp_path))
    cluster.wait("the operator", lambda: ready(probe), process="keda-operator")
    cluster.wait("an object that reads pods", lambda: condition(kubectl, "pods").get("status") == "True")
    for name, readable in CASES[case].items():
        cluster.wait(f"the condition of {name}", lambda: condition(kubectl, name).get("status") == "False")
        said = condition(kubectl, name)["message"]
        refused = "forbidden" in said or "KEDA_RESTRICT_SECRET_ACCESS" in said
        assert refused != readable, said
        assert "hidden" not in said
    # The certificates and their announcement, by name.
    def announced() -> bool:
        bundle = kubectl("get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", "jsonpath={.spec.caBundle}")
        hooks = kubectl("get", "validatingwebhookconfiguration", "keda-admission", "-o", "jsonpath={.webhooks[*].clientConfig.caBundle}")
        return bool(bundle) and set(hooks.split()) == {bundle}
    cluster.wait("the CA", announced)
    # What it may not read it said of those Secrets only; restricted, it does not ask for them at all.
    log = (cluster / "log/keda-operator.log").read_text()
    refused = re.findall(r'(\w+) \\*"[\w-]+\\*" is forbidden', log)
    assert set(refused) == ({"secrets"} if case == "namespaced" else set())
    assert log.count("forbidden") == len(refused)
    assert "hidden" not in log


def test_the_webhooks_run_under_what_they_were_granted(installed, cluster, tmp_path):
    case, kubectl, started = installed
    port, probe, metrics = free_ports(3)
    certs = cluster / "certs"
    if not (certs / "tls.crt").exists():
        pki.keda(cluster)
    started.append(start(cluster, kubectl, "keda-admission-webhooks", {
        "port": str(port), "health-probe-bind-address": f"127.0.0.1:{probe}", "metrics-bind-address": f"127.0.0.1:{metrics}",
        "cert-dir": str(certs)}, tmp_path))
    cluster.wait("the webhooks", lambda: ready(probe), process="keda-admission-webhooks")
    # Replicas, HPAs, other objects, requests of containers, limit ranges: every look-up there is.
    trigger = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}
    verdict = judged(port, certs / "ca.crt", scaled("pods", trigger))
    assert not verdict["allowed"] and "cpu" in verdict["status"]["message"], verdict
    assert judged(port, certs / "ca.crt", scaled("queue", {"type": "cron", "metadata": {
        "timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "3"}}))["allowed"]
    log = (cluster / "log/keda-admission-webhooks.log").read_text()
    assert "forbidden" not in log


def test_what_is_not_granted_is_refused(installed):
    case, kubectl, _ = installed

    def may(verb: str, what: str, *more: str) -> bool:
        return kubectl("auth", "can-i", verb, what, "--as=system:serviceaccount:keda:keda-operator", *more, check=False).strip() == "yes"

    assert not may("list", "secrets", "-A") and not may("watch", "secrets", "-A")
    assert not may("list", "secrets", "-n", "keda")
    assert not may("update", "secrets/other", "-n", "keda")
    assert may("update", "secrets/kedaorg-certs", "-n", "keda")
    assert not may("create", "pods", "-n", "shop") and not may("create", "deployments", "-n", "shop")
    assert may("create", "jobs.batch", "-n", "shop"), "ScaledJobs' Jobs"
    assert may("create", "jobs.batch", "-n", "default") == (case != "namespaced")
    assert not may("patch", "validatingwebhookconfigurations/other")
    assert not may("create", "serviceaccounts/keda-operator", "--subresource=token", "-n", "keda")
    assert may("get", "secrets/queue", "-n", "shop") == CASES[case]["queue"]
    assert may("get", "secrets/other", "-n", "shop") == CASES[case]["other"]
    assert may("update", "deployments/web", "--subresource=scale", "-n", "shop")
    assert may("update", "deployments/web", "--subresource=scale", "-n", "default") == (case != "namespaced")
