"""The chart on a real API server, by the real helm: everything it renders is taken, and upstream's release becomes ours."""

import copy
import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from harness import controlplane
from rendering import helm

TESTS = Path(__file__).resolve().parent
DEPLOY = TESTS.parent
VALUES = sorted((TESTS / "values").glob("*.yaml"))
# What namespaces and kinds the values refer to.
NAMESPACES = ("keda", "shop", "billing", "monitoring")
FOREIGN = {
    "github.com/cert-manager/cert-manager": ["deploy/crds/crd-certificates.yaml", "deploy/crds/crd-issuers.yaml"],
    "github.com/cilium/cilium": ["pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"],
    "github.com/prometheus-operator/prometheus-operator": [
        f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
        for kind in ("podmonitors", "prometheusrules", "servicemonitors")],
}


@pytest.fixture(scope="session")
def kubectl(cluster):
    """kubectl as the administrator."""
    return lambda *args, **options: controlplane.kubectl(cluster, *map(str, args), **options)


@pytest.fixture(scope="session")
def helm_on(cluster):
    """helm as the administrator."""
    return lambda *args, **options: helm.helm("--kubeconfig", cluster.kubeconfig, *args, **options)


@pytest.fixture(scope="session")
def namespaces(cluster, kubectl):
    for name in NAMESPACES:
        kubectl("create", "namespace", name)

    def granted() -> bool:
        return bool(kubectl("get", "serviceaccount", "default", "-n", "keda", check=False))
    cluster.wait("the namespaces", granted)


@pytest.fixture(scope="session")
def foreign_kinds(kubectl):
    """The definitions of cert-manager, Cilium and the Prometheus operator, from their modules."""
    for module, files in FOREIGN.items():
        said = subprocess.run(["go", "mod", "download", "-json", module], cwd=TESTS / "crds", check=True,
                              capture_output=True, text=True).stdout
        for file in files:
            it = yaml.load((Path(json.loads(said)["Dir"]) / file).read_text(), Loader=yaml.CSafeLoader)
            # Some are files of a chart: their labels are templates.
            it["metadata"] = {"name": it["metadata"]["name"]}
            kubectl("create", "-f", "-", stdin=json.dumps(it))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_api_server_takes_everything(path, kubectl, namespaces, foreign_kinds):
    """Unknown and mistyped fields are errors: this is the check against the server's own schemas."""
    text = helm.template("--values", path)
    said = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert len(said.splitlines()) == len(helm.objects(text))


@pytest.mark.parametrize("file", ["keda.yaml", "keda-core.yaml", "keda-crds.yaml"])
def test_the_api_server_takes_plain_manifests(file, kubectl, namespaces):
    kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", DEPLOY / "manifests" / file)
    # Client-side too: every object is small enough for the annotation it leaves.
    kubectl("apply", "--dry-run=server", "-f", DEPLOY / "manifests" / file)


# -- a release ---------------------------------------------------------------------------------------------


def upstream_chart(folder: Path) -> Path:
    """A chart that makes what upstream's release 2.20 makes, as far as an upgrade meets it: upstream-release.yaml."""
    facts = yaml.safe_load((TESTS / "upstream-release.yaml").read_text())
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v2", "name": "keda", "version": facts["version"], "appVersion": facts["version"]}))
    labels = {
        "helm.sh/chart": f"keda-{facts['version']}", "app.kubernetes.io/component": "operator",
        "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "keda-operator",
        "app.kubernetes.io/version": facts["version"], "app.kubernetes.io/instance": "keda"}
    for number, it in enumerate(facts["objects"]):
        it["metadata"]["labels"] = {**labels, "app.kubernetes.io/name": it["metadata"]["name"]}
        (folder / f"templates/{number}.yaml").write_text(yaml.safe_dump(it))
    for path in (DEPLOY / "crds").glob("*.yaml"):
        it = yaml.safe_load(path.read_text())
        it["metadata"] |= {
            "labels": labels, "annotations": {"controller-gen.kubebuilder.io/version": "v0.21.0"}}
        # Braces of the texts are no templates.
        text = yaml.safe_dump(it).replace("{{", "{{ `{{` }}")
        (folder / "templates" / path.name).write_text(text)
    return folder


def live(kubectl, *what: str) -> dict[tuple, dict]:
    items = json.loads(kubectl("get", *what, "-o", "json"))["items"]
    return {(it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]): it for it in items}


KINDS = ",".join((
    "deployments", "services", "serviceaccounts", "clusterroles", "clusterrolebindings", "roles", "rolebindings",
    "customresourcedefinitions", "validatingwebhookconfigurations", "apiservices"))

SCALED_OBJECT = {
    "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
    "metadata": {"name": "web", "namespace": "shop", "finalizers": ["finalizer.keda.sh"],
                 "labels": {"scaledobject.keda.sh/name": "web"}},
    "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [
        {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "3"}}]}}


def autoscaler(owner: dict) -> dict:
    return {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "keda-hpa-web", "namespace": "shop", "ownerReferences": [{
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": owner["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}]},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 10, "metrics": [
            {"type": "External", "external": {
                "metric": {"name": "s0-cron", "selector": {"matchLabels": {"scaledobject.keda.sh/name": "web"}}},
                "target": {"type": "AverageValue", "averageValue": "1"}}}]}}


def test_upstreams_release_becomes_ours(kubectl, helm_on, namespaces, tmp_path):
    """docs/guides/migrate-from-upstream.md: nothing is removed or made again, nothing of the users' is touched."""
    chart = upstream_chart(tmp_path / "keda")
    helm_on("install", "keda", chart, "--namespace", "keda", "--set", "operator.replicaCount=2")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "scaledobjects.keda.sh")
    kubectl("create", "-f", "-", stdin=json.dumps(SCALED_OBJECT))
    kubectl("patch", "scaledobject", "web", "-n", "shop", "--subresource=status", "--type=merge", "-p",
            json.dumps({"status": {"hpaName": "keda-hpa-web", "originalReplicaCount": 2}}))
    owner = json.loads(kubectl("get", "scaledobject", "web", "-n", "shop", "-o", "json"))
    kubectl("create", "-f", "-", stdin=json.dumps(autoscaler(owner)))
    # What upstream's operator had written there.
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Y2E="}]
    kubectl("patch", "validatingwebhookconfiguration", "keda-admission", "--type=json", "-p", json.dumps(patch))

    def users() -> list:
        return [live(kubectl, kind, "-n", "shop") for kind in ("scaledobjects", "horizontalpodautoscalers")]

    before, mine = live(kubectl, KINDS, "-A"), users()
    helm_on("upgrade", "keda", helm.CHART, "--namespace", "keda", "--reset-then-reuse-values")
    after = live(kubectl, KINDS, "-A")

    ours = {key for key, it in before.items() if it["metadata"].get("labels", {}).get("helm.sh/chart")}
    assert len(ours) == len(yaml.safe_load((TESTS / "upstream-release.yaml").read_text())["objects"]) + 6
    for key in ours:
        assert key in after, f"{key} is gone"
        assert before[key]["metadata"]["uid"] == after[key]["metadata"]["uid"], f"{key} was made again"
        assert after[key]["metadata"]["labels"]["helm.sh/chart"] == f"keda-{helm.version()}"
    # Nothing has another name than before: no object is new.
    assert {key for key, it in after.items() if it["metadata"].get("labels", {}).get("helm.sh/chart")} == ours
    for key in ours:
        if key[0] == "Deployment":
            [container] = after[key]["spec"]["template"]["spec"]["containers"]
            assert container["image"] == f"ghcr.io/keda-rs/keda:{helm.version()}"
            assert after[key]["spec"]["selector"] == before[key]["spec"]["selector"]
    # Values of the former release are kept, what its operator wrote too.
    assert after["Deployment", "keda", "keda-operator"]["spec"]["replicas"] == 2
    webhooks = after["ValidatingWebhookConfiguration", None, "keda-admission"]["webhooks"]
    assert [it["clientConfig"].get("caBundle") for it in webhooks].count("Y2E=") == 1
    assert users() == mine, "objects of users were touched"

    # And back: the way out is the same command.
    helm_on("rollback", "keda", "1", "--namespace", "keda")
    back = live(kubectl, KINDS, "-A")
    assert {key: back[key]["metadata"]["uid"] for key in ours} == {key: before[key]["metadata"]["uid"] for key in ours}
    assert users() == mine
    helm_on("rollback", "keda", "2", "--namespace", "keda")


def test_upstreams_plain_manifests_become_ours(kubectl, namespaces):
    """The names of upstream's config/ are those of its manifests, not of its chart."""
    names = {"keda-operator": "keda-operator", "keda-metrics-apiserver": "keda-metrics-apiserver",
             "keda-admission": "keda-admission-webhooks"}
    theirs = []
    for name, app in names.items():
        container = {"name": app, "image": f"ghcr.io/kedacore/{app}:2.20.2", "args": ["--zap-log-level=info"],
                     "ports": [{"name": "http", "containerPort": 8080}]}
        pod = {"metadata": {"labels": {"app": app}}, "spec": {"serviceAccountName": "keda-operator", "containers": [container]}}
        theirs.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "plain"},
                       "spec": {"selector": {"matchLabels": {"app": app}}, "template": pod}})
        theirs.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": app, "namespace": "plain"},
                       "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": 8080, "targetPort": 8080}]}})
    kubectl("create", "namespace", "plain")
    kubectl("apply", "-f", "-", stdin=helm.dump(theirs))
    before = live(kubectl, "deployments,services", "-n", "plain")
    # What is in the namespace, in one beside the release's.
    ours = [it for it in helm.objects((DEPLOY / "manifests/keda.yaml").read_text()) if it["kind"] in ("Deployment", "Service")]
    for it in ours:
        it["metadata"]["namespace"] = "plain"
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=helm.dump(ours))
    after = live(kubectl, "deployments,services", "-n", "plain")
    assert before.keys() == after.keys()
    for key, it in after.items():
        assert it["metadata"]["uid"] == before[key]["metadata"]["uid"]
        if key[0] == "Deployment":
            [container] = it["spec"]["template"]["spec"]["containers"]
            assert container["image"] == f"ghcr.io/keda-rs/keda:{helm.version()}"
            assert "--zap-log-level=info" in container["args"] and len(container["args"]) > 5
            assert it["spec"]["template"]["spec"]["serviceAccountName"] != "keda-operator" or key[2] == "keda-operator"
    kubectl("delete", "namespace", "plain", "--wait=false")


def test_an_account_that_upstreams_chart_made_can_be_kept(kubectl, helm_on):
    """`serviceAccount.create=false` does nothing in upstream's chart, which owns the account then. After the upgrade it would go."""
    before = live(kubectl, "serviceaccounts", "-n", "keda")["ServiceAccount", "keda", "keda-operator"]
    kubectl("annotate", "serviceaccount", "keda-operator", "-n", "keda", "helm.sh/resource-policy=keep")
    helm_on("upgrade", "keda", helm.CHART, "--namespace", "keda", "--reset-then-reuse-values",
            "--set", "serviceAccount.create=false", "--set", "serviceAccount.name=keda-operator")
    after = live(kubectl, "serviceaccounts", "-n", "keda")["ServiceAccount", "keda", "keda-operator"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_release_goes_without_a_trace(kubectl, helm_on, cluster):
    # With objects left the definitions would wait for their finalizers, which nobody takes off any more.
    kubectl("patch", "scaledobject", "web", "-n", "shop", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("delete", "scaledobject", "web", "-n", "shop")
    helm_on("uninstall", "keda", "--namespace", "keda", "--wait", "--timeout", "60s")
    kubectl("delete", "serviceaccount", "keda-operator", "-n", "keda")

    def left() -> set:
        return {key for key, it in live(kubectl, KINDS, "-A").items()
                if it["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == "keda-operator"}
    deadline = time.monotonic() + 30
    while left() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left() == set()


def test_definitions_that_are_to_stay_do(kubectl, helm_on):
    keep = ["--set", "crds.additionalAnnotations.helm\\.sh/resource-policy=keep"]
    helm_on("install", "keda", helm.CHART, "--namespace", "keda", *keep)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "scaledobjects.keda.sh")
    kubectl("create", "-f", "-", stdin=json.dumps(SCALED_OBJECT))
    before = live(kubectl, "scaledobjects", "-n", "shop")
    helm_on("uninstall", "keda", "--namespace", "keda")
    assert live(kubectl, "scaledobjects", "-n", "shop") == before
    # The next installation takes them over.
    helm_on("install", "keda", helm.CHART, "--namespace", "keda", *keep)
    assert live(kubectl, "scaledobjects", "-n", "shop") == before
    helm_on("uninstall", "keda", "--namespace", "keda")
    kubectl("patch", "scaledobject", "web", "-n", "shop", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=keda-operator")


def test_the_article_installs_beside_its_own_account(kubectl, helm_on):
    """The ServiceAccount exists before the release, which must neither make nor own it."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "keda-operator", "namespace": "keda",
        "annotations": {"azure.workload.identity/client-id": "11111111-2222-3333-4444-555555555555"}}}
    kubectl("create", "-f", "-", stdin=json.dumps(account))
    before = live(kubectl, "serviceaccounts", "-n", "keda")["ServiceAccount", "keda", "keda-operator"]
    azure = "podIdentity.azureWorkload"
    said = helm_on(
        "install", "keda", helm.CHART, "--namespace", "keda",
        "--set", "serviceAccount.create=false", "--set", "serviceAccount.name=keda-operator",
        "--set", f"{azure}.enabled=true", "--set", f"{azure}.clientId=11111111-2222-3333-4444-555555555555",
        "--set", f"{azure}.tenantId=66666666-7777-8888-9999-000000000000").stdout
    assert "system:serviceaccount:keda:keda-operator" in said
    assert live(kubectl, "deployments", "-n", "keda").keys() == {
        ("Deployment", "keda", name)
        for name in ("keda-operator", "keda-operator-metrics-apiserver", "keda-admission-webhooks")}
    # The pods' ReplicaSets are let in: account, labels and security settings are fit for a restricted namespace.
    kubectl("label", "namespace", "keda", "pod-security.kubernetes.io/enforce=restricted")

    def pods() -> set:
        return {name for _, _, name in live(kubectl, "pods", "-n", "keda")}
    kubectl("rollout", "restart", "deployment", "-n", "keda")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not all(
            any(pod.startswith(f"{name}-") for pod in pods()) for name in ("keda-operator", "keda-admission-webhooks")):
        time.sleep(0.5)
    restricted = kubectl("get", "events", "-n", "keda", "-o", "jsonpath={.items[?(@.reason=='FailedCreate')].message}")
    assert restricted == "" and len(pods()) >= 3
    helm_on("uninstall", "keda", "--namespace", "keda")
    after = live(kubectl, "serviceaccounts", "-n", "keda")["ServiceAccount", "keda", "keda-operator"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    kubectl("delete", "serviceaccount", "keda-operator", "-n", "keda")


def test_the_notes_say_what_the_values_mean(helm_on):
    def notes(*values: str) -> str:
        given = [part for value in values for part in ("--set", value)]
        return helm_on("install", "notes", helm.CHART, "--namespace", "keda", "--dry-run=client", *given).stdout.split("NOTES:")[1]

    assert "─▶" in notes() and "─▶" not in notes("asciiArt=false")
    assert "--reset-then-reuse-values" in notes("image.keda.repository=kedacore/keda")
    assert "caBundle" in notes("certificates.autoGenerated=false")
    assert "rbac.scaledRefKinds" in notes("permissions.operator.restrict.secret=true")
    assert "rbac.scaledRefKinds" not in notes()


def test_upstreams_names_are_the_charts():
    """The same without a cluster, and the other way round: nothing is ours alone."""
    facts = yaml.safe_load((TESTS / "upstream-release.yaml").read_text())["objects"]

    def key(it: dict) -> tuple:
        return it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]

    theirs = {key(it): it for it in copy.deepcopy(facts)}
    ours = {key(it): it for it in helm.render() if it["kind"] != "CustomResourceDefinition"}
    assert theirs.keys() == ours.keys()
    for it, made in ours.items():
        if it[0] == "Deployment":
            assert made["spec"]["selector"] == theirs[it]["spec"]["selector"]
        if it[0] == "Service":
            assert made["spec"]["selector"] == theirs[it]["spec"]["selector"]
            assert {p["port"]: p["targetPort"] for p in made["spec"]["ports"]} == {
                p["port"]: p["targetPort"] for p in theirs[it]["spec"]["ports"]}
        if "Binding" in it[0]:
            # A binding's role cannot be changed.
            assert made["roleRef"] == theirs[it]["roleRef"]
