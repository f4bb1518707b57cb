"""Records what Kubernetes' own HPA controller does, sync by sync, as a trace that the tests of `keda_core::autoscale` replay.

usage: python3 -m harness.hpa_recorder DIR TRACE      (in e2e/, after e2e/build)

A control plane of its own comes up in DIR, without keda: external.metrics.k8s.io is served by this process, from the
series of `hpa_cases`. The API server's audit log holds every request of the controller with its answer, so a sync is
known from the scale it read to the status it wrote. One line of TRACE is the settings; then, in order of time, a line is
the spec of an autoscaler, as it was applied, or one sync of it:

  {"hpa": NAME, "at": ms, "spec": {...}, "labels": ...}
  {"hpa": NAME, "at": ms, "by": ms, "asked": spec.replicas, "reported": status.replicas, "ready": pods that are ready,
   "values": [["35"], "why there is none"], "scaled": {"to": n, "at": ms, "cause": "..."}, "status": {...}}

It was decided between `at`, when the last answer had come, and `by`, when the first write came, if one did. `ready` is there where a target value asks for it: a list where pods changed about that time, and null for no pods at
all. `values` is missing where no metric was read, `scaled` where nothing was changed, `status` where it stayed; `lost`
is a status that was not written, because somebody changed the autoscaler meanwhile.
"""

import calendar
import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from . import controlplane, pki
from .hpa_cases import CASES, SECONDS, Broken, Case
from .state import Failure, State, executable

NAMESPACE = "hpa"
CONTROLLER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
DOWNSCALE_STABILIZATION = 8
CONTROLLERS = ",".join(f"{name}-controller" for name in (
    "horizontal-pod-autoscaler", "deployment", "replicaset", "serviceaccount", "namespace"))
FLAGS = [
    "--horizontal-pod-autoscaler-sync-period=1s",
    f"--horizontal-pod-autoscaler-downscale-stabilization={DOWNSCALE_STABILIZATION}s",
    # Its clients must not queue: a sync is one moment.
    "--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-horizontal-pod-autoscaler-syncs=10",
]
AUDIT_POLICY = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
  - level: RequestResponse
    users: ["{CONTROLLER}"]
    verbs: [get, create, update, patch]
  - level: Metadata
    users: ["{CONTROLLER}"]
    resources: [{{group: external.metrics.k8s.io}}]
  - level: None
"""
# Pods are seen by the controller and by this process through a watch each: within this time they may differ.
DOUBT = 0.25


class Api:
    """The API server, as its administrator; a connection a thread."""

    def __init__(self, state: State):
        self._address = state.address("apiserver")
        self._tls = ssl.create_default_context(cafile=str(state / "pki/ca.crt"))
        self._tls.load_cert_chain(state / "pki/admin.crt", state / "pki/admin.key")

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._address, context=self._tls)

    def request(self, method: str, path: str, body: dict | None = None) -> dict:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        connection = self.connection()
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Failure(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text)


class Metrics:
    """external.metrics.k8s.io from the series; remembers every answer with its time."""

    def __init__(self, state: State):
        self.began = time.time()
        self.answers: list[tuple[float, str, object]] = []
        self._series = {f"{case.name}-{n}": metric for case in CASES for n, metric in enumerate(case.metrics)}
        metrics = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                code, body = metrics.answer(urlsplit(self.path).path)
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(state / "certs/tls.crt", state / "certs/tls.key")
        server = ThreadingHTTPServer(("127.0.0.1", state.port("adapter")), Handler)
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.close = server.shutdown

    def answer(self, path: str) -> tuple[int, dict]:
        version = "external.metrics.k8s.io/v1beta1"
        parts = path.strip("/").split("/")
        if path.rstrip("/") == f"/apis/{version}":
            resources = [{"name": name, "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
                         for name in self._series]
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        metric = self._series.get(parts[-1])
        if len(parts) != 6 or metric is None:
            return 404, _status(Broken(404, "NotFound", f"{path} is not served"))
        now = time.time()
        answer = metric.at(now - self.began)
        self.answers.append((now, parts[-1], answer))
        if isinstance(answer, Broken):
            return answer.code, _status(answer)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        items = [{"metricName": parts[-1], "metricLabels": {}, "timestamp": stamp, "value": value} for value in answer]
        return 200, {"kind": "ExternalMetricValueList", "apiVersion": version, "metadata": {}, "items": items}


def _status(broken: Broken) -> dict:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": broken.code,
            "reason": broken.reason, "message": broken.message}


class Pods:
    """Makes pods ready, as their cases say, and remembers how many there were of each kind at what time."""

    def __init__(self, api: Api):
        self._api = api
        self._ready = {case.name: case.ready for case in CASES if case.ready}
        self._count: dict[str, int] = {}
        self.history: list[tuple[float, str, str, bool | None]] = []
        """(when, case, pod, ready; None: gone)"""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        connection = self._api.connection()
        connection.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?watch=1&timeoutSeconds=3600")
        for line in connection.getresponse():
            event = json.loads(line)
            pod = event["object"]
            name, case = pod["metadata"]["name"], pod["metadata"]["labels"]["app"]
            if case not in self._ready:
                continue
            conditions = pod.get("status", {}).get("conditions", [])
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            self.history.append((time.time(), case, name, None if event["type"] == "DELETED" else ready))
            if event["type"] == "ADDED":
                number = self._count[case] = self._count.get(case, 0) + 1
                if number % self._ready[case] == 0:
                    threading.Thread(target=self._make_ready, args=(name,), daemon=True).start()

    def _make_ready(self, name: str) -> None:
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        try:
            self._api.request("PATCH", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/status", {"status": status})
        except (Failure, OSError):
            pass  # It may be gone already, or the control plane may be.

    def counts(self, case: str, start: float, end: float) -> list[int | None]:
        """Every count of ready pods that held at some time between; None is no pod at all."""
        pods: dict[str, bool] = {}
        counts: list[int | None] = []

        def note():
            count = sum(pods.values()) if pods else None
            if count not in counts:
                counts.append(count)

        for when, of, pod, ready in self.history:
            if of != case:
                continue
            if when > end:
                break
            if when >= start:
                note()
            if ready is None:
                pods.pop(pod, None)
            else:
                pods[pod] = ready
        note()
        return counts


def target(case: Case) -> dict:
    labels = {"app": case.name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
    spec = {"replicas": case.replicas, "selector": {"matchLabels": labels}, "template": template}
    if case.kind == "StatefulSet":
        spec["serviceName"] = case.name
    return {"apiVersion": "apps/v1", "kind": case.kind, "metadata": {"name": case.name, "namespace": NAMESPACE},
            "spec": spec}


def autoscaler(case: Case) -> dict:
    def metric(n: int, metric) -> dict:
        kind = "AverageValue" if "averageValue" in metric.target else "Value"
        identity = {"name": f"{case.name}-{n}"}
        if metric.labels:
            identity["selector"] = {"matchLabels": metric.labels}
        return {"type": "External", "external": {"metric": identity, "target": {"type": kind, **metric.target}}}

    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": case.kind, "name": case.name},
            "minReplicas": case.min, "maxReplicas": case.max, "behavior": case.behavior,
            "metrics": [metric(n, m) for n, m in enumerate(case.metrics)]}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": case.name, "namespace": NAMESPACE},
            "spec": {key: value for key, value in spec.items() if value is not None}}


def merged(old: dict, patch: dict) -> dict:
    new = dict(old)
    for key, value in patch.items():
        new[key] = merged(new.get(key, {}), value) if isinstance(value, dict) else value
    return new


class Audit:
    """What the controller asked for and got, from the API server's audit log."""

    def __init__(self, path: Path):
        self._path, self._offset, self._rest = path, 0, b""
        self.entries: list[dict] = []

    def read(self) -> list[dict]:
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            text = self._rest + file.read()
            self._offset = file.tell()
        *lines, self._rest = text.split(b"\n")
        new = [json.loads(line) for line in lines if line]
        self.entries += new
        return new


def seconds(entry: dict, key: str) -> float:
    """An audit time, which has six decimals, as seconds since the epoch."""
    whole, _, fraction = entry[key].rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def is_scale(entry: dict, verb: str) -> bool:
    ref = entry.get("objectRef", {})
    return ref.get("subresource") == "scale" and entry["verb"] == verb and ref.get("namespace") == NAMESPACE


class Recorder:
    def __init__(self, state: State):
        self.state = state
        self.specs: list[tuple[float, str, dict]] = []

    def run(self) -> None:
        state = self.state
        controlplane.prepare(state)
        pki.keda(state)
        controlplane.start_apiserver(state, audit_policy=AUDIT_POLICY)
        self.api = Api(state)
        controlplane.install_metrics_api(state)
        self.metrics = Metrics(state)
        group = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io"
        state.wait("the external metrics API", lambda: any(
            c["type"] == "Available" and c["status"] == "True"
            for c in self.api.request("GET", group).get("status", {}).get("conditions", [])))
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        controlplane.start_controller_manager(state, *FLAGS, controllers=CONTROLLERS)
        state.wait("the default account", lambda: self.api.request(
            "GET", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"), process="controller-manager")
        self.pods = Pods(self.api)
        for case in CASES:
            plural = f"{case.kind.lower()}s"
            self.api.request("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/{plural}", target(case))
        made = sum(case.replicas for case in CASES if case.ready)
        wanted = sum(case.replicas // case.ready for case in CASES if case.ready)
        state.wait("the first pods ready", lambda: len({h[2] for h in self.pods.history}) >= made and sum(
            1 for h in self.pods.history if h[3]) >= wanted, seconds=90)
        time.sleep(1)
        self.metrics.began = time.time()
        for case in CASES:
            made = autoscaler(case)
            self.specs.append((time.time(), case.name, made["spec"]))
            self.api.request("POST", self.path(), made)
        self.act()

    def path(self, name: str = "") -> str:
        return f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers" + (name and f"/{name}")

    def act(self) -> None:
        """Lets it run, and does what befalls the cases, each between two syncs of its autoscaler."""
        audit = self.audit = Audit(self.state / "log/audit.log")
        pending = sorted(((when, case, do, what) for case in CASES for when, do, what in case.actions),
                         key=lambda action: action[0])
        last: dict[str, float] = {}
        while (elapsed := time.time() - self.metrics.began) < SECONDS:
            for entry in audit.read():
                if is_scale(entry, "get"):
                    last[entry["objectRef"]["name"]] = seconds(entry, "stageTimestamp")
            for action in [a for a in pending if a[0] <= elapsed]:
                _, case, do, what = action
                if not 0.3 < time.time() - last.get(case.name, 0) < 0.6:
                    continue
                pending.remove(action)
                if do == "scale":
                    self.api.request("PATCH", f"/apis/apps/v1/namespaces/{NAMESPACE}/{case.kind.lower()}s/{case.name}"
                                     "/scale", {"spec": {"replicas": what}})
                else:
                    spec = [s for _, name, s in self.specs if name == case.name][-1]
                    self.specs.append((time.time(), case.name, merged({"spec": spec}, what)["spec"]))
                    self.api.request("PATCH", self.path(case.name), what)
            time.sleep(0.05)
        if pending:
            raise Failure(f"no time was found between two syncs for {[(a[1].name, a[0]) for a in pending]}")
        self.state.stop("controller-manager", patience=5)
        audit.read()

    def trace(self) -> list[dict]:
        """The settings, then specs and syncs in order of time."""
        version = subprocess.run([executable("kube-controller-manager"), "--version"], capture_output=True, text=True)
        lines = [(when, {"hpa": name, "at": self.at(when), "spec": {k: v for k, v in spec.items()
                                                                    if k != "scaleTargetRef"}})
                 for when, name, spec in self.specs]
        for case in CASES:
            lines += self.syncs(case)
        lines.sort(key=lambda line: line[0])
        settings = {"controller": version.stdout.strip(), "namespace": NAMESPACE, "tolerance": 0.1,
                    "downscaleStabilizationSeconds": DOWNSCALE_STABILIZATION}
        return [settings, *[line for _, line in lines]]

    def at(self, when: float) -> int:
        return round((when - self.metrics.began) * 1000)

    def syncs(self, case: Case) -> list[tuple[float, dict]]:
        entries = [e for e in self.audit.entries if e["user"]["username"] == CONTROLLER and self.about(e, case)]
        entries.sort(key=lambda e: seconds(e, "requestReceivedTimestamp"))
        groups: list[list[dict]] = []
        for entry in entries:
            # After a conflict the scale is read again, within the same sync.
            refused = groups and is_scale(groups[-1][-1], "update") and groups[-1][-1]["responseStatus"]["code"] == 409
            if is_scale(entry, "get") and not refused:
                groups.append([entry])
            elif groups and entry["objectRef"]["resource"] != "events":
                groups[-1].append(entry)
        starts = [seconds(group[0], "requestReceivedTimestamp") for group in groups]
        # The last sync may have been cut off.
        lines = [(start, self.sync(case, group, start, end)) for group, start, end in zip(groups, starts, starts[1:])]
        causes = iter(self.causes(entries))
        for change in [line["scaled"] for _, line in lines if "scaled" in line]:
            # Events come later, in order; when there are too many the last ones are left out.
            cause = next((c for when, size, c in causes if size == change["to"] and self.at(when) >= change["at"]), None)
            if cause is not None:
                change["cause"] = cause
        return lines

    @staticmethod
    def about(entry: dict, case: Case) -> bool:
        ref = entry.get("objectRef", {})
        if ref.get("resource") == "events":
            return entry.get("requestObject", {}).get("involvedObject", {}).get("name", "") == case.name or (
                ref.get("name", "").rpartition(".")[0] == case.name)
        if ref.get("apiGroup") == "external.metrics.k8s.io":
            return ref["resource"].rpartition("-")[0] == case.name
        return ref.get("name") == case.name and ref.get("subresource") in ("scale", "status")

    @staticmethod
    def causes(entries: list[dict]) -> list[tuple[float, int, str]]:
        """When the events said what size and why; the recorder of events leaves out some that come too fast."""
        words: dict[str, str] = {}
        out = []
        for entry in entries:
            if entry["objectRef"]["resource"] != "events":
                continue
            event = {**entry.get("requestObject", {})}
            name = entry["objectRef"].get("name") or entry.get("responseObject", {}).get("metadata", {}).get("name")
            text = words[name] = event.get("message") or words.get(name, "")
            text = text.removeprefix("(combined from similar events): ")
            if text.startswith("New size: "):
                size, _, cause = text.removeprefix("New size: ").partition("; reason: ")
                out.append((seconds(entry, "requestReceivedTimestamp"), int(size), cause))
        return out

    def sync(self, case: Case, group: list[dict], start: float, end: float) -> dict:
        scale = group[0]["responseObject"]
        read = [(when, name, answer) for when, name, answer in self.metrics.answers
                if start <= when < end and name.rpartition("-")[0] == case.name]
        names = [name for _, name, _ in read]
        if names not in ([], [f"{case.name}-{n}" for n in range(len(case.metrics))]):
            raise Failure(f"{case.name}: one sync read {names}")
        asked = [entry for entry in group[1:] if entry["verb"] == "list"]
        now = seconds([group[0], *asked][-1], "stageTimestamp")
        line = {"hpa": case.name, "at": self.at(now), "asked": scale["spec"].get("replicas", 0),
                "reported": scale["status"].get("replicas", 0)}
        if read:
            line["values"] = [answer.message if isinstance(answer, Broken) else answer for _, _, answer in read]
        if any("value" in metric.target for metric in case.metrics) and read:
            counts = self.pods.counts(case.name, start - DOUBT, now + DOUBT)
            line["ready"] = counts if len(counts) > 1 else counts[0]
        writes = [entry for entry in group[1:] if entry["verb"] == "update"]
        if writes:
            line["by"] = self.at(seconds(writes[0], "requestReceivedTimestamp"))
        for entry in writes:
            code = entry["responseStatus"]["code"]
            if is_scale(entry, "update") and code == 200:
                when, to = seconds(entry, "stageTimestamp"), entry["requestObject"]["spec"].get("replicas", 0)
                line["scaled"] = {"to": to, "at": self.at(when)}
            elif entry["objectRef"]["subresource"] == "status":
                if code == 200:
                    line["status"] = self.status(entry["requestObject"]["status"])
                elif code == 409:
                    line["lost"] = True
                else:
                    raise Failure(f"{case.name}: a status was refused: {entry['responseStatus']}")
        return line

    @staticmethod
    def status(status: dict) -> dict:
        conditions = {c["type"]: [c["status"], c["reason"], c["message"]] for c in status.get("conditions", [])}
        metrics = [m["external"]["current"] if m["type"] else None for m in status.get("currentMetrics") or []]
        return {"desired": status["desiredReplicas"], "metrics": metrics, "conditions": conditions}


def compact(trace: list[dict]) -> list[dict]:
    """Conditions only where they differ from the last ones of their autoscaler."""
    last: dict[str, dict] = {}
    out = []
    for line in trace:
        if "status" in line:
            conditions = line["status"]["conditions"]
            before = last.get(line["hpa"], {})
            changed = {kind: words for kind, words in conditions.items() if before.get(kind) != words}
            last[line["hpa"]] = conditions
            status = {**line["status"], "conditions": changed}
            line = {**line, "status": {key: value for key, value in status.items() if value not in ({}, [])}}
        out.append(line)
    return out


def record(folder: Path, trace: Path) -> None:
    state = State(folder)
    recorder = Recorder(state)
    try:
        recorder.run()
        lines = compact(recorder.trace())
    finally:
        controlplane.down(state)
    trace.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]))
