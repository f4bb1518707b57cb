"""The bundle for the Operator Lifecycle Manager, from the chart's objects.

OLM makes the Services, certificates and registrations of what a ClusterServiceVersion declares as webhook and as aggregated
API, and mounts them into the pods. What runs between the operator and the metrics server stays ours: the operator makes those
certificates, in the same Secret as everywhere.
"""

import json
from pathlib import Path

import yaml

from . import helm, manifests

BUNDLE = Path("olm/bundle")
# The first version has none before it. `replaces` names what is upgraded from; it is the only line to change by hand.
PREVIOUS: str | None = None
CHANNEL = "stable"
_ROLES = {"ClusterRole": "ClusterRoleBinding", "Role": "RoleBinding"}
# Where OLM mounts what it makes.
_API_CERTIFICATES = "/apiserver.local.config/certificates"
_WEBHOOK_CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"

# What the cluster's own role of that name holds.
_DELEGATION = [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]

_VALUES = {
    # OLM announces its own CA.
    "certificates": {"operator": {"apiServicePatching": {"enabled": False}}},
    "metricsServer": {"name": "keda-metrics-apiserver"},
    "webhooks": {"deploymentName": "keda-admission"},
}

_DESCRIPTION = """\
KEDA scales workloads on what happens outside of them: the length of a queue, the result of a query, the time of day. A
ScaledObject names a workload and its triggers; the operator wakes the workload from zero and puts it back, and keeps an HPA for
everything between one and N.

keda-rs is an independent implementation in Rust that takes KEDA's manifests, flags, names and texts as they are.
"""

_KINDS = {
    "ScaledObject": "Scales a Deployment, a StatefulSet, or anything with /scale.",
    "ScaledJob": "Creates Jobs for waiting work.",
    "TriggerAuthentication": "What triggers of a namespace authenticate with.",
    "ClusterTriggerAuthentication": "What triggers of every namespace authenticate with.",
    "CloudEventSource": "Sends the operator's events of a namespace as CloudEvents.",
    "ClusterCloudEventSource": "Sends the operator's events as CloudEvents.",
}


def _examples() -> list[dict]:
    """One object a kind, as it would be created."""
    query = {"serverAddress": "http://prometheus.monitoring:9090", "query": "sum(rate(http_requests_total[2m]))", "threshold": "100"}
    secret = {"secretTargetRef": [{"parameter": "password", "name": "queue", "key": "password"}]}
    sink = {"destination": {"http": {"uri": "http://sink.default"}}}
    job = {"template": {"spec": {"containers": [{"name": "work", "image": "registry.example/work:1"}], "restartPolicy": "Never"}}}
    specs = {
        "ScaledObject": {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "prometheus", "metadata": query}]},
        "ScaledJob": {"jobTargetRef": job, "triggers": [{"type": "prometheus", "metadata": query}]},
        "TriggerAuthentication": secret,
        "ClusterTriggerAuthentication": secret,
        "CloudEventSource": sink,
        "ClusterCloudEventSource": sink,
    }
    examples = [
        {"apiVersion": f"{'eventing.' if 'CloudEvent' in kind else ''}keda.sh/v1alpha1", "kind": kind,
         "metadata": {"name": "example"}, "spec": spec}
        for kind, spec in specs.items()]
    # Served, never created; every provided API is expected here.
    value = {"metricName": "s0-prometheus", "metricLabels": None, "timestamp": "2026-01-01T00:00:00Z", "value": "42"}
    served = {"apiVersion": "external.metrics.k8s.io/v1beta1", "kind": "ExternalMetricValueList", "metadata": {}}
    return [*examples, {**served, "items": [value]}]


def _deployments(objects: list[dict]) -> list[dict]:
    changed = {
        # It injects no CA: OLM does.
        "keda-operator": {"--enable-webhook-patching": "false"},
        "keda-metrics-apiserver": {
            "--tls-cert-file": f"{_API_CERTIFICATES}/apiserver.crt",
            "--tls-private-key-file": f"{_API_CERTIFICATES}/apiserver.key"},
        "keda-admission": {"--cert-dir": _WEBHOOK_CERTIFICATES},
    }
    deployments = []
    for it in (it for it in objects if it["kind"] == "Deployment"):
        spec = it["spec"]
        [container] = spec["template"]["spec"]["containers"]
        flags = changed[it["metadata"]["name"]]
        container["args"] = [
            f"{flag}={flags[flag]}" if (flag := argument.partition("=")[0]) in flags else argument
            for argument in container["args"]]
        for variable in container["env"]:
            if variable["name"] == "WATCH_NAMESPACE":
                # What the OperatorGroup says.
                variable.pop("value")
                variable["valueFrom"] = {"fieldRef": {"fieldPath": "metadata.annotations['olm.targetNamespaces']"}}
        if it["metadata"]["name"] == "keda-admission":
            # Its certificates are OLM's, which mounts them itself.
            container.pop("volumeMounts")
            spec["template"]["spec"].pop("volumes")
        deployments.append({"name": it["metadata"]["name"], "label": it["metadata"]["labels"], "spec": spec})
    return deployments


def _permissions(objects: list[dict], kind: str, namespace: str | None) -> list[dict]:
    """Rules of the chart's own roles by account. An account without any would not be made."""
    roles = {it["metadata"]["name"]: it["rules"] for it in objects if it["kind"] == kind}
    if kind == "ClusterRole":
        roles["system:auth-delegator"] = _DELEGATION
    rules: dict[str, list] = {}
    for it in objects:
        if it["kind"] != _ROLES[kind] or it["metadata"].get("namespace") != namespace or it["roleRef"]["kind"] != kind:
            continue
        for subject in it["subjects"]:
            if subject["name"].startswith("keda-"):
                rules.setdefault(subject["name"], []).extend(roles.get(it["roleRef"]["name"], []))
    return [{"serviceAccountName": account, "rules": of} for account, of in rules.items() if of]


def _webhooks(objects: list[dict]) -> list[dict]:
    [configuration] = [it for it in objects if it["kind"] == "ValidatingWebhookConfiguration"]
    definitions = []
    for it in configuration["webhooks"]:
        definitions.append({
            "type": "ValidatingAdmissionWebhook",
            "generateName": it["name"],
            "deploymentName": "keda-admission",
            "containerPort": 443,
            "targetPort": 9443,
            "webhookPath": it["clientConfig"]["service"]["path"],
            **{key: it[key] for key in (
                "admissionReviewVersions", "failurePolicy", "matchPolicy", "rules", "sideEffects", "timeoutSeconds")},
        })
    return definitions


def version_of(version: str, previous: str | None) -> dict:
    """The ClusterServiceVersion of a version that upgrades from another."""
    objects = [manifests.plain(it) for it in helm.render(_VALUES)]
    definitions = [it for it in objects if it["kind"] == "CustomResourceDefinition"]
    owned = [
        {"name": it["metadata"]["name"], "version": it["spec"]["versions"][0]["name"], "kind": it["spec"]["names"]["kind"],
         "displayName": it["spec"]["names"]["kind"], "description": _KINDS[it["spec"]["names"]["kind"]]}
        for it in definitions]
    image = objects[[it["kind"] for it in objects].index("Deployment")]["spec"]["template"]["spec"]["containers"][0]["image"]
    spec = {
        "displayName": "keda-rs",
        "description": _DESCRIPTION,
        "version": version,
        "maturity": "alpha",
        "minKubeVersion": "1.23.0",
        "keywords": ["autoscaling", "hpa", "events", "keda"],
        "maintainers": [{"name": "keda-rs", "email": "keda-rs@users.noreply.github.com"}],
        "provider": {"name": "keda-rs"},
        "links": [{"name": "KEDA's documentation", "url": "https://keda.sh/docs/"}],
        "icon": [{"base64data": _ICON, "mediatype": "image/svg+xml"}],
        "relatedImages": [{"name": "keda", "image": image}],
        "installModes": [
            {"type": mode, "supported": mode != "SingleNamespace"}
            for mode in ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")],
        "customresourcedefinitions": {"owned": owned},
        "apiservicedefinitions": {"owned": [{
            "group": "external.metrics.k8s.io", "version": "v1beta1", "kind": "ExternalMetricValueList",
            "name": "externalmetrics", "displayName": "External metrics", "description": "What HPAs ask for.",
            "deploymentName": "keda-metrics-apiserver", "containerPort": 6443}]},
        "webhookdefinitions": _webhooks(objects),
        "install": {
            "strategy": "deployment",
            "spec": {
                "deployments": _deployments(objects),
                "clusterPermissions": _permissions(objects, "ClusterRole", None),
                "permissions": _permissions(objects, "Role", manifests.NAMESPACE),
            },
        },
    }
    if previous:
        spec["replaces"] = f"keda-rs.v{previous}"
    annotations = {
        "alm-examples": json.dumps(_examples(), indent=2),
        "capabilities": "Seamless Upgrades",
        "categories": "Cloud Provider",
        "containerImage": image,
        "description": "Kubernetes event-driven autoscaling",
        "operators.operatorframework.io/suggested-namespace": manifests.NAMESPACE,
        "support": "keda-rs",
    }
    platforms = {f"operatorframework.io/{it}": "supported" for it in ("os.linux", "arch.amd64", "arch.arm64")}
    return {
        "apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion",
        "metadata": {
            "name": f"keda-rs.v{version}", "namespace": "placeholder", "labels": platforms, "annotations": annotations},
        "spec": spec,
    }


def files(version: str | None = None, previous: str | None = PREVIOUS) -> dict[Path, str]:
    """The bundle, by path in deploy/."""
    version = version or helm.version()
    objects = [manifests.plain(it) for it in helm.render(_VALUES)]
    head = "# Rendered from deploy/chart/keda by `deploy/render`. Do not edit.\n"
    # A bundle's objects have no namespace, and accounts that the version names are OLM's to make.
    beside = [it for it in objects if it["kind"] == "Service" and it["metadata"]["name"] == "keda-operator"]
    for it in beside:
        it["metadata"].pop("namespace")
    texts = {Path("manifests/keda-rs.clusterserviceversion.yaml"): helm.dump([version_of(version, previous)], head)}
    for it in objects:
        if it["kind"] == "CustomResourceDefinition":
            plural, _, group = it["metadata"]["name"].partition(".")
            texts[Path(f"manifests/{group}_{plural}.crd.yaml")] = helm.dump([it], head)
    for it in beside:
        texts[Path(f"manifests/{it['metadata']['name']}.service.yaml")] = helm.dump([it], head)
    annotations = {
        "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
        "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
        "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
        "operators.operatorframework.io.bundle.package.v1": "keda-rs",
        "operators.operatorframework.io.bundle.channels.v1": CHANNEL,
        "operators.operatorframework.io.bundle.channel.default.v1": CHANNEL,
    }
    texts[Path("metadata/annotations.yaml")] = head + yaml.safe_dump({"annotations": annotations}, sort_keys=False)
    labels = "".join(f"LABEL {key}={value}\n" for key, value in annotations.items())
    texts[Path("Dockerfile")] = f"{head}FROM scratch\n{labels}COPY manifests /manifests/\nCOPY metadata /metadata/\n"
    return {BUNDLE / path: text for path, text in texts.items()}


_ICON = (
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAxMCAxMCI+PHBhdGggZD0iTTEgOWg4TTIgOFY3bTIgMVY1bTIg"
    "M1YzbTIgNVYxIiBmaWxsPSJub25lIiBzdHJva2U9IiMzMzYiLz48L3N2Zz4=")
