"""What a user can read off the objects: the HPA, the status, `kubectl get`, events, the metrics API."""

import re

from harness.cluster import kubectl, until


def test_hpa(space):
    space.workload()
    space.load(0)
    created = space.scaled_object(
        minReplicaCount=0, maxReplicaCount=7,
        triggers=[space.prometheus_trigger(threshold="2.5"), space.prometheus_trigger()])
    space.wait_ready()
    so, hpa = space.get("scaledobject", "app"), space.get("hpa", "keda-hpa-app")

    owner = hpa["metadata"]["ownerReferences"]
    assert owner == [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "app", "controller": True,
                      "blockOwnerDeletion": True, "uid": so["metadata"]["uid"]}]
    labels = hpa["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "keda-hpa-app"
    assert labels["app.kubernetes.io/part-of"] == "app"
    assert labels["app.kubernetes.io/managed-by"] == "keda-operator"
    assert labels["scaledobject.keda.sh/name"] == "app"
    assert labels["app.kubernetes.io/version"]

    spec = hpa["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 7)
    behavior = created["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert spec["behavior"]["scaleDown"]["policies"] == behavior["scaleDown"]["policies"]
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    metrics = {m["external"]["metric"]["name"]: m["external"] for m in spec["metrics"]}
    assert set(metrics) == {"s0-prometheus", "s1-prometheus"}
    assert metrics["s0-prometheus"]["target"] == {"type": "AverageValue", "averageValue": "2.500"}
    assert metrics["s1-prometheus"]["target"] == {"type": "AverageValue", "averageValue": "10"}
    assert metrics["s0-prometheus"]["metric"]["selector"] == {"matchLabels": {"scaledobject.keda.sh/name": "app"}}

    # The object itself: finalizer and label are added, the spec stays as written.
    assert so["metadata"]["finalizers"] == ["finalizer.keda.sh"]
    assert so["metadata"]["labels"]["scaledobject.keda.sh/name"] == "app"
    assert so["metadata"]["generation"] == 1, "the operator wrote into the spec"


def test_hpa_name_and_foreign_changes(space):
    space.workload()
    space.load(0)
    space.scaled_object(advanced={"horizontalPodAutoscalerConfig": {"name": "mine"}})
    space.wait_ready()
    assert space.status()["hpaName"] == "mine"
    # Somebody else's hands are taken off again, and a deleted HPA comes back.
    space.patch("hpa", "mine", {"spec": {"maxReplicas": 99}})
    until("the HPA's maximum restored", lambda: space.hpa("mine")["spec"]["maxReplicas"] == 5)
    uid = space.hpa("mine")["metadata"]["uid"]
    space.kubectl("delete", "hpa", "mine")
    until("the HPA back", lambda: (space.hpa("mine") or {}).get("metadata", {}).get("uid") not in (None, uid))


def test_status(space):
    space.workload(replicas=1)
    space.load(5)
    space.scaled_object(triggers=[space.prometheus_trigger(),
                                  {"type": "cron", "metadata": {"timezone": "Etc/UTC", "start": "0 0 1 1 *",
                                                                "end": "0 1 1 1 *", "desiredReplicas": "1"}}])
    space.wait_ready()
    space.wait_condition("Active", "True")
    status = until("all of the status", lambda: space.status() if "lastActiveTime" in space.status() else None)
    assert status["scaleTargetKind"] == "apps/v1.Deployment"
    assert status["scaleTargetGVKR"] == {
        "group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"}
    assert status["originalReplicaCount"] == 1
    names = status["externalMetricNames"]
    assert names[0] == "s0-prometheus" and names[1].startswith("s1-cron-Etc-UTC-")
    assert status["hpaName"] == "keda-hpa-app"
    assert status["triggersTypes"] == "prometheus,cron"
    assert status["triggersActivity"]["s0-prometheus"] == {"isActive": True}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["lastActiveTime"])

    conditions = {c["type"]: c for c in status["conditions"]}
    assert list(conditions)[:4] == ["Ready", "Active", "Fallback", "Paused"]
    ready = conditions["Ready"]
    assert ready["message"] == "ScaledObject is defined correctly and is ready for scaling"
    fallback = conditions["Fallback"]
    assert (fallback["status"], fallback["reason"]) == ("False", "NoFallbackFound")
    assert conditions["Paused"]["status"] == "False"


def test_columns(space):
    space.workload()
    space.load(0)
    space.scaled_object(minReplicaCount=0)
    space.wait_ready()
    space.wait_condition("Active", "False")
    header, row = space.kubectl("get", "so").splitlines()
    assert header.split() == ["NAME", "SCALETARGETKIND", "SCALETARGETNAME", "MIN", "MAX", "READY", "ACTIVE",
                              "FALLBACK", "PAUSED", "TRIGGERS", "AUTHENTICATIONS", "AGE"]
    assert row.split()[:10] == ["app", "apps/v1.Deployment", "app", "0", "5", "True", "False", "False", "False",
                                "prometheus"]


def test_events(space):
    space.workload()
    space.load(5)
    space.scaled_object()
    space.wait_event("KEDAScaleTargetActivated")
    so = space.get("scaledobject", "app")
    for reason, type in (("ScaledObjectReady", "Normal"), ("KEDAScalersStarted", "Normal"),
                         ("KEDAScaleTargetActivated", "Normal")):
        event = space.wait_event(reason)
        assert event["type"] == type
        about = event["regarding"]
        assert (about["apiVersion"], about["kind"], about["namespace"], about["name"], about["uid"]) == (
            "keda.sh/v1alpha1", "ScaledObject", space.name, "app", so["metadata"]["uid"])
        assert event["reportingController"] == "keda-operator"
        assert event["reportingInstance"]
        assert event["eventTime"]
        assert 0 < len(event["action"]) <= 128
        assert 0 < len(event["note"]) <= 1024
    assert space.wait_event("ScaledObjectReady")["note"] == "ScaledObject is ready for scaling"
    # The plain view of it.
    assert "KEDAScaleTargetActivated" in space.kubectl("get", "events")


def test_metrics_api(space, state):
    space.workload()
    space.load(12.3456)
    space.scaled_object()
    space.wait_ready()
    # Prometheus has scraped the load once the object is active; before that the answer is an honest 0.
    space.wait_condition("Active", "True")
    answer = space.raw_metric("s0-prometheus", "app")
    assert answer["kind"] == "ExternalMetricValueList"
    assert answer["apiVersion"] == "external.metrics.k8s.io/v1beta1"
    (item,) = answer["items"]
    assert item["metricName"] == "s0-prometheus"
    assert item["value"] in ("12345m", "12346m")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["timestamp"])

    discovery = kubectl(state, "get", "--raw", "/apis/external.metrics.k8s.io/v1beta1")
    assert '"externalmetrics"' in discovery
    listed = kubectl(state, "api-resources", "--api-group", "external.metrics.k8s.io")
    assert "ExternalMetricValueList" in listed
    explained = kubectl(state, "explain", "externalmetrics.items", "--api-version", "external.metrics.k8s.io/v1beta1")
    assert "metricName" in explained and "When the value was taken" in explained, explained


def test_metrics_api_refusals(space):
    import pytest
    from harness.cluster import Refused

    space.workload()
    space.load(1)
    space.scaled_object()
    space.wait_ready()
    for metric, so in (("s7-prometheus", "app"), ("s0-prometheus", "nobody")):
        with pytest.raises(Refused, match="NotFound|not found"):
            space.raw_metric(metric, so)


def test_metrics_api_is_guarded(space, state):
    """Who may not list external metrics is refused: the adapter asks the API server for authorization."""
    import pytest
    from harness.cluster import Refused

    space.workload()
    space.load(1)
    space.scaled_object()
    space.wait_ready()
    path = (f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{space.name}/s0-prometheus"
            "?labelSelector=scaledobject.keda.sh%2Fname%3Dapp")
    space.kubectl("create", "serviceaccount", "stranger")
    stranger = f"system:serviceaccount:{space.name}:stranger"
    with pytest.raises(Refused, match="Forbidden|forbidden"):
        kubectl(state, "--as", stranger, "get", "--raw", path)
    # A grant on the metric's own name is enough.
    space.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [
        {"apiGroups": ["external.metrics.k8s.io"], "resources": ["s0-prometheus"], "verbs": ["list"]}]})
    space.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={space.name}:stranger")

    def allowed():
        try:
            return kubectl(state, "--as", stranger, "get", "--raw", path)
        except Refused:
            return None
    until("the grant to be seen (denials are cached for ten seconds)", allowed, 20)
