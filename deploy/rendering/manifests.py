"""Plain manifests, and the accounts of the end-to-end tests: the chart's objects without Helm's labels."""

from pathlib import Path

from . import helm

# The names of upstream's manifests (config/ of kedacore/keda), where the chart's are others.
VALUES = {"metricsServer": {"name": "keda-metrics-apiserver"}, "webhooks": {"deploymentName": "keda-admission"}}
NAMESPACE = "keda"
ACCOUNTS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/instance")
_HEAD = "# Rendered from deploy/chart/keda by `deploy/render`. Do not edit.\n"


def plain(it: dict) -> dict:
    """Without what only a release has."""
    places = [it["metadata"]]
    if it["kind"] == "Deployment":
        places.append(it["spec"]["template"]["metadata"])
    for place in places:
        for label in _OF_HELM:
            place.get("labels", {}).pop(label, None)
    return it


def namespace() -> dict:
    labels = {"app.kubernetes.io/name": "keda", "app.kubernetes.io/part-of": "keda-operator"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def _rendered(**more) -> list[dict]:
    values = {key: dict(section) for key, section in VALUES.items()}
    for key, section in more.items():
        values.setdefault(key, {}).update(section)
    return [plain(it) for it in helm.render(values)]


def files() -> dict[Path, str]:
    """Every file, by its path in deploy/."""
    whole = _rendered()
    core = _rendered(webhooks={"enabled": False})
    definitions = [it for it in whole if it["kind"] == "CustomResourceDefinition"]
    # Accounts and permissions only; namespace.yaml stands beside them.
    accounts = [it for it in whole if it["kind"] in ACCOUNTS]
    return {
        Path("namespace.yaml"): helm.dump([namespace()], _HEAD),
        Path("rbac.yaml"): helm.dump(accounts, _HEAD + "# The end-to-end tests run every process under exactly these.\n"),
        Path("manifests/keda.yaml"): helm.dump([namespace(), *whole], _HEAD),
        Path("manifests/keda-core.yaml"): helm.dump([namespace(), *core], _HEAD),
        Path("manifests/keda-crds.yaml"): helm.dump(definitions, _HEAD),
    }
