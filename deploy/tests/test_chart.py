"""The chart without a cluster: what it renders, and that every value reaches its place."""

import difflib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from rendering import helm

TESTS = Path(__file__).resolve().parent
VALUES = sorted((TESTS / "values").glob("*.yaml"))
SNAPSHOTS = TESTS / "snapshots"
# Upstream's values.yaml, where it lies beside the repository.
UPSTREAM_VALUES = TESTS.parent.parent.parent / "shared/upstream/chart-values.yaml"


def rendered(path: Path) -> str:
    # The definitions are compared as objects, see below: here they would drown the rest.
    return helm.template("--values", path, "--set", "crds.install=false")


def find(objects: list[dict], kind: str, name: str) -> dict:
    [it] = [it for it in objects if it["kind"] == kind and it["metadata"]["name"] == name]
    return it


# -- what it renders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_snapshot(path, request):
    """The default in full; every other case as the difference to it, which is what a reader wants to know."""
    default = rendered(TESTS / "values/default.yaml")
    if path.stem == "default":
        snapshot, text = SNAPSHOTS / "default.yaml", default
    else:
        lines = difflib.unified_diff(
            default.splitlines(), rendered(path).splitlines(), "default.yaml", path.name, lineterm="")
        # Without line numbers, which every change above would move.
        lines = ("@@" if line.startswith("@@ ") else line for line in lines)
        snapshot, text = SNAPSHOTS / f"{path.stem}.diff", "\n".join(lines) + "\n"
    if request.config.getoption("--update"):
        SNAPSHOTS.mkdir(exist_ok=True)
        snapshot.write_text(text)
    assert snapshot.read_text() == text, "if that is meant: deploy/test --update, and commit"


def test_no_snapshot_outlives_its_case():
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {path.stem for path in VALUES}


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_lint(path):
    helm.helm("lint", helm.CHART, "--strict", "--values", path)


def test_definitions_are_the_generated_ones_with_labels_and_annotations():
    objects = helm.render({"crds": {"additionalAnnotations": {"helm.sh/resource-policy": "keep"}}})
    definitions = {it["metadata"]["name"]: it for it in objects if it["kind"] == "CustomResourceDefinition"}
    generated = [yaml.safe_load(path.read_text()) for path in (TESTS.parent / "crds").glob("*.yaml")]
    assert len(definitions) == len(generated) == 6
    for it in generated:
        made = definitions[it["metadata"]["name"]]
        metadata = made.pop("metadata")
        assert metadata["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "keda-operator"
        it.pop("metadata")
        assert made == it


def test_the_version_is_the_workspaces():
    workspace = (TESTS.parent.parent / "Cargo.toml").read_text()
    assert f'\nversion = "{helm.version()}"' in workspace
    assert yaml.safe_load((helm.CHART / "Chart.yaml").read_text())["version"] == helm.version()


# -- values ------------------------------------------------------------------------------------------------


def leaves(values, path=()):
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, values


def put(values: dict, path: tuple, value) -> dict:
    # Through JSON: sections that two places share must not stay one.
    changed = json.loads(json.dumps(values))
    place = changed
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    return changed


def merged(one: dict, other: dict) -> dict:
    out = dict(one)
    for key, value in other.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


# Values that must be of a set.
SAMPLES = {
    "networkPolicy.flavor": "kubernetes",
    "image.pullPolicy": "Never",
    "webhooks.failurePolicy": "Fail",
    "webhooks.port": 10250,
    "service.type": "NodePort",
    "service.minTlsVersion": "TLS12",
    "http.minTlsVersion": "TLS13",
    "http.idleConnTimeout": "5m",
    "imagePullSecrets": [{"name": "sample"}],
    "permissions.operator.restrict.serviceAccountTokenCreationRoles": [{"name": "sample", "namespace": "sample"}],
    "rbac.scaledRefKinds": [{"apiGroup": "argoproj.io", "kind": "rollouts"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sample"}}],
    "certificates.mountPath": "/sample",
    "certificates.operator.caDirs": ["/sample"],
    "certificates.certManager.duration": "100h",
    "certificates.certManager.renewBefore": "10h",
    "certificates.operator.apiServicePatching.enabled": False,
    "permissions.operator.restrict.namesAllowList": ["sample"],
}
for _component in ("operator", "metricsServer", "webhooks"):
    SAMPLES[f"{_component}.hostUsers"] = False
for _place in ("operator.level", "webhooks.level", "metricServer.zapLevel"):
    SAMPLES[f"logging.{_place}"] = "debug"
for _place in ("operator.format", "webhooks.format", "metricServer.zapEncoder"):
    SAMPLES[f"logging.{_place}"] = "json"
for _place in ("operator.timeEncoding", "webhooks.timeEncoding", "metricServer.zapTimeEncoding"):
    SAMPLES[f"logging.{_place}"] = "epoch"

# Those that shape nothing: why.
WITHOUT_EFFECT = {
    "asciiArt": "the notes only, see test_cluster",
    "prometheus.metricServer.serviceMonitor.port": "the Service's port is called portName, as upstream",
}

_on = {"enabled": True}
_monitor = {"enabled": True, "serviceMonitor": _on, "podMonitor": _on, "prometheusRules": _on}
# What has to be on for the others to show.
SETTINGS = [
    {},
    {
        "prometheus": {
            "operator": _monitor, "metricServer": {"enabled": True, "serviceMonitor": _on, "podMonitor": _on},
            "webhooks": {"enabled": True, "serviceMonitor": _on, "prometheusRules": _on}},
        "networkPolicy": _on,
        "profiling": {"operator": _on, "metricsServer": _on, "webhooks": _on},
        "podIdentity": {"azureWorkload": _on, "aws": {"irsa": _on}, "gcp": _on},
    },
    {"networkPolicy": {"enabled": True, "flavor": "kubernetes"}},
    {"certificates": {"certManager": _on}},
    {"certificates": {"certManager": {"enabled": True, "issuer": {"generate": False}}}},
]


def sample(path: tuple, value):
    known = SAMPLES.get(".".join(path))
    if known is not None:
        return known
    match value:
        case bool():
            return not value
        case int():
            return value + 1 if path[-1] != "tokenExpiration" else value - 1000 if value > 4600 else value + 1
        case str() | None:
            return "sample"
        case list():
            return [{"name": "sample"}]
        case _:
            return {"sample": "sample"}


# Whose values are not strings.
_DEEP = {"budget": {"maxUnavailable": 1}}


def test_every_value_changes_what_is_rendered():
    """A value that parses and does nothing is a defect."""
    defaults = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    off = {"crds": {"install": False}}
    bases = [helm.render(merged(off, setting)) for setting in SETTINGS]

    def effective(leaf) -> bool:
        path, value = leaf
        changed = _DEEP["budget"] if path[0] == "podDisruptionBudget" else sample(path, value)
        # What a setting turned on shows by being turned off.
        return any(
            helm.render(put(merged(off, setting), path, to)) != base
            for setting, base in zip(SETTINGS, bases) for to in ([True, False] if isinstance(value, bool) else [changed]))

    every = [leaf for leaf in leaves(defaults) if ".".join(leaf[0]) != "crds.install"]
    # Annotations of the definitions show on definitions only.
    every = [leaf for leaf in every if leaf[0] != ("crds", "additionalAnnotations")]
    with ThreadPoolExecutor(max_workers=4) as pool:
        effects = dict(zip((".".join(path) for path, _ in every), pool.map(effective, every)))
    assert len(effects) > 250
    assert {name for name, effect in effects.items() if not effect} == set(WITHOUT_EFFECT)


def test_every_value_of_upstream_is_here():
    if not UPSTREAM_VALUES.exists():
        pytest.skip(f"{UPSTREAM_VALUES} is not here")
    upstream = yaml.safe_load(UPSTREAM_VALUES.read_text())
    ours = dict(leaves(yaml.safe_load((helm.CHART / "values.yaml").read_text())))
    theirs = dict(leaves(upstream))
    # A section that ours divides further is no leaf.
    missing = [path for path in theirs if path not in ours and not any(it[:len(path)] == path for it in ours)]
    assert missing == []
    different = {".".join(path) for path in theirs if path in ours and ours[path] != theirs[path]}
    assert different == {
        "image.keda.repository", "image.metricsApiServer.repository", "image.webhooks.repository",
        "operator.readinessProbe.initialDelaySeconds", "metricsServer.readinessProbe.initialDelaySeconds",
        "webhooks.readinessProbe.initialDelaySeconds"}
    # And it renders with all of upstream's at once.
    assert helm.render(upstream)


def test_every_value_is_in_the_schema_and_nothing_else():
    schema = json.loads((helm.CHART / "values.schema.json").read_text())

    def resolved(it: dict) -> dict:
        return schema["definitions"][it["$ref"].rpartition("/")[2]] if "$ref" in it else it

    def known(it: dict, path: tuple) -> bool:
        """Whether a path is declared, or lies in an object whose keys are free."""
        for key in path:
            it = resolved(it)
            if "properties" not in it:
                return "object" in it["type"]
            if key not in it["properties"]:
                return it.get("additionalProperties", True) is True and it is not schema
            it = it["properties"][key]
        return True

    def declared(it: dict, path=()):
        it = resolved(it)
        for key, section in it.get("properties", {}).items():
            yield from declared(section, (*path, key))
        if "properties" not in it:
            yield path

    values = [path for path, _ in leaves(yaml.safe_load((helm.CHART / "values.yaml").read_text()))]
    assert [path for path in values if not known(schema, path)] == []
    dead = {".".join(path) for path in declared(schema) if not any(it[:len(path)] == path for it in values)}
    # Former, undivided sections, and what may stand in a budget.
    assert dead == {
        *(f"serviceAccount.{key}" for key in ("create", "name", "automountServiceAccountToken", "annotations")),
        *(f"podDisruptionBudget.{part}{key}" for part in ("", "operator.", "metricServer.", "webhooks.")
          for key in ("minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"))}


@pytest.mark.parametrize("values, said", [
    ({"podIdentity": {"azureWorkload": {"enable": True}}}, "'enable' not allowed"),
    ({"networkPolicy": {"flavor": "calico"}}, "'cilium', 'kubernetes'"),
    ({"webhooks": {"timeoutSeconds": 31}}, "/webhooks/timeoutSeconds"),
    ({"service": {"minTlsVersion": "1.3"}}, "'TLS13'"),
    ({"http": {"idleConnTimeout": "90"}}, "/http/idleConnTimeout"),
])
def test_the_schema_refuses_mistakes_by_name(values, said):
    with pytest.raises(helm.Failure) as refused:
        helm.render(values)
    assert said in str(refused.value)


def test_unknown_sections_belong_to_somebody_else():
    assert helm.render({"x-anchors": {"a": 1}, "global": {"team": "a"}})


# -- the identity of the operator --------------------------------------------------------------------------


def test_the_five_values_of_workload_identity_reach_their_places():
    values = yaml.safe_load((TESTS / "values/aks.yaml").read_text())
    objects = helm.render(values)
    azure = values["podIdentity"]["azureWorkload"]
    # The ServiceAccount is the user's; the other two pods have theirs.
    accounts = {it["metadata"]["name"] for it in objects if it["kind"] == "ServiceAccount"}
    assert accounts == {"keda-metrics-server", "keda-webhook"}
    pod = find(objects, "Deployment", "keda-operator")["spec"]["template"]
    assert pod["spec"]["serviceAccountName"] == "keda-operator"
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    env = {it["name"]: it.get("value") for it in pod["spec"]["containers"][0]["env"]}
    assert (env["AZURE_CLIENT_ID"], env["AZURE_TENANT_ID"]) == (azure["clientId"], azure["tenantId"])
    for other in ("keda-operator-metrics-apiserver", "keda-admission-webhooks"):
        assert "azure" not in json.dumps(find(objects, "Deployment", other))


@pytest.mark.parametrize("accounts, expected", [
    ({}, (True, "keda-operator")),
    ({"create": False}, (False, "keda-operator")),
    ({"create": False, "name": "mine"}, (False, "mine")),
    ({"name": "mine"}, (True, "mine")),
    ({"operator": {"create": False, "name": "mine"}}, (False, "mine")),
    ({"create": True, "operator": {"create": False}}, (False, "keda-operator")),
    ({"name": "former", "operator": {"name": "mine"}}, (True, "mine")),
])
def test_the_operators_account(accounts, expected):
    objects = helm.render({"serviceAccount": accounts})
    create, name = expected
    assert find(objects, "Deployment", "keda-operator")["spec"]["template"]["spec"]["serviceAccountName"] == name
    assert any(it["kind"] == "ServiceAccount" and it["metadata"]["name"] == name for it in objects) == create
    for binding in ("ClusterRoleBinding", "RoleBinding"):
        subjects = [it for o in objects if o["kind"] == binding for it in o["subjects"]]
        assert name in {it["name"] for it in subjects}


# -- permissions -------------------------------------------------------------------------------------------


def rules(objects: list[dict], group: str, resource: str) -> list[dict]:
    """Every rule of the operator's roles that covers a resource."""
    return [
        rule for it in objects if it["kind"] in ("ClusterRole", "Role") and it["metadata"]["name"].startswith("keda-operator")
        and not it["metadata"]["name"].endswith(("webhook", "external-metrics-reader"))
        for rule in it["rules"]
        if {group, "*"} & set(rule["apiGroups"]) and {resource, "*"} & set(rule["resources"])]


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_secrets_are_never_listed(path):
    objects = helm.objects(rendered(path))
    for rule in rules(objects, "", "secrets"):
        verbs = set(rule["verbs"])
        # Of one name: the certificates, which are watched.
        assert verbs <= {"get"} or verbs == {"create"} or len(rule["resourceNames"]) == 1


def test_restricted_secrets_are_out_of_reach():
    """Upstream's wildcard over kinds reads every Secret whatever is restricted."""
    objects = helm.render({"permissions": {"operator": {"restrict": {"secret": True}}}})
    cluster = [it for it in objects if it["kind"] == "ClusterRole"]
    assert rules(cluster, "", "secrets") == []
    named = helm.render({"permissions": {"operator": {"restrict": {"namesAllowList": ["queue"]}}}})
    cluster = [it for it in named if it["kind"] == "ClusterRole"]
    assert [it["resourceNames"] for it in rules(cluster, "", "secrets")] == [["queue"]]


def test_tokens_are_requested_for_whom_it_was_allowed():
    def granted(**values):
        rows = []
        for it in helm.render(values):
            for rule in it.get("rules", []):
                if "serviceaccounts/token" in rule["resources"]:
                    rows.append((it["kind"], it["metadata"].get("namespace"), rule.get("resourceNames")))
        return rows

    assert granted() == []
    azure = {"podIdentity": {"azureWorkload": {"enabled": True}}}
    assert granted(**azure) == [("Role", "keda", ["keda-operator"])]
    azure["podIdentity"]["azureWorkload"]["workloadIdentityOwner"] = True
    assert ("ClusterRole", None, None) in granted(**azure)
    roles = [{"name": "worker", "namespace": "shop"}]
    values = {"permissions": {"operator": {"restrict": {"serviceAccountTokenCreationRoles": roles}}}}
    assert granted(**values) == [("Role", "shop", ["worker"])]


# -- flags -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_executable_takes_every_flag(path, tmp_path):
    program = os.environ.get("KEDA_BIN")
    if not program:
        pytest.skip("KEDA_BIN is not set")
    kubeconfig = tmp_path / "nowhere"
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}]}))
    for it in helm.objects(rendered(path)):
        if it["kind"] != "Deployment":
            continue
        container = it["spec"]["template"]["spec"]["containers"][0]
        # Called by the names that the image has for it.
        link = tmp_path / Path(container["command"][0]).name
        if not link.exists():
            link.symlink_to(Path(program).resolve())
        env = {v["name"]: v.get("value", "keda") for v in container["env"]}
        done = subprocess.run(
            [link, *container["args"]], env={**os.environ, **env, "KUBECONFIG": str(kubeconfig)},
            capture_output=True, text=True, timeout=30)
        # 2 is clap's word for a command line that it does not know; it gets no further than the API server otherwise.
        assert done.returncode == 1, f"{link.name}: {done.stderr}"
        assert "API server" in done.stderr or "127.0.0.1:1" in done.stderr, done.stderr
