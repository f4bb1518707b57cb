"""What a scenario holds in its hands: a namespace of its own, kubectl, a load to set, and a memory of all that happened."""

import json
import subprocess
import time
import urllib.request
from dataclasses import dataclass

from .state import State, executable


def until(what: str, seen, seconds: float = 30, instead=None):
    """Waits for `seen()` to return something true and returns it.

    For the reader of a failure `what` says what was waited for, and `instead()` what is there in its place.
    """
    deadline = time.monotonic() + seconds
    while not (result := seen()):
        if time.monotonic() > deadline:
            found = f"; instead: {instead()}" if instead else ""
            raise AssertionError(f"{what}: not seen within {seconds:g} s{found}")
        time.sleep(0.1)
    return result


class Refused(Exception):
    """The API server said no; the text is kubectl's."""


def kubectl(state: State, *args: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [executable("kubectl", "KUBECTL"), "--kubeconfig", str(state.kubeconfig), *args],
        input=stdin, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout


@dataclass(frozen=True)
class Seen:
    """One state of one object, as the recorder met it."""

    t: float
    type: str
    object: dict


class Record:
    """Reads what the recorder wrote about one namespace."""

    def __init__(self, state: State, namespace: str):
        self._folder = state / "record"
        self._needle = f'"namespace": "{namespace}"'
        self._namespace = namespace
        self._offsets: dict[str, int] = {}
        self._seen: dict[str, list[Seen]] = {}
        self.began = time.time()

    def history(self, kind: str, name: str | None = None, since: float = 0) -> list[Seen]:
        seen = self._seen.setdefault(kind, [])
        try:
            with open(self._folder / f"{kind}.jsonl") as file:
                file.seek(self._offsets.get(kind, 0))
                while (line := file.readline()).endswith("\n"):
                    self._offsets[kind] = file.tell()
                    if self._needle in line:
                        event = json.loads(line)
                        if event["object"]["metadata"].get("namespace") == self._namespace:
                            seen.append(Seen(event["t"], event["type"], event["object"]))
        except FileNotFoundError:
            pass
        return [s for s in seen if s.t >= since and name in (None, s.object["metadata"]["name"])]

    def latest(self, kind: str, name: str) -> dict | None:
        """The object as it is now, None when it never was or is gone."""
        history = self.history(kind, name)
        return history[-1].object if history and history[-1].type != "DELETED" else None

    def story(self) -> str:
        """Everything that happened, one line a change: what a person needs to understand a failure."""
        lines = []
        for kind in ("deployments", "statefulsets", "widgets", "horizontalpodautoscalers", "scaledobjects", "events"):
            last: dict[str, str] = {}
            for seen in self.history(kind):
                name = seen.object["metadata"]["name"]
                text = "deleted" if seen.type == "DELETED" else _line(kind, seen.object)
                if last.get(name) != text:
                    last[name] = text
                    label = "event" if kind == "events" else f"{kind}/{name}"
                    lines.append((seen.t, f"{seen.t - self.began:7.2f}  {label}  {text}"))
        return "\n".join(line for _, line in sorted(lines))


def _line(kind: str, o: dict) -> str:
    if kind == "events":
        about = o["regarding"]
        return f"{o.get('type')} {about['kind']}/{about['name']} {o['reason']}: {o.get('note')}"
    if kind == "scaledobjects":
        deleting = " deleting" if o["metadata"].get("deletionTimestamp") else ""
        return " ".join(f"{c['type']}={c['status']}({c.get('reason')}: {c.get('message')})"
                        for c in o.get("status", {}).get("conditions", [])) + deleting
    if kind == "horizontalpodautoscalers":
        s, status = o["spec"], o.get("status", {})
        active = [f"{c['type']}={c['status']}({c.get('reason')})" for c in status.get("conditions", [])]
        return (f"{s.get('minReplicas')}..{s['maxReplicas']} current={status.get('currentReplicas')} "
                f"desired={status.get('desiredReplicas')} {' '.join(active)}")
    return f"replicas={o['spec'].get('replicas')}"


PLURAL = {"Deployment": "deployments", "StatefulSet": "statefulsets", "Widget": "widgets"}
BEHAVIOR = {
    "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]},
    "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
}


class Space:
    """A namespace for one scenario. The load and the Prometheus series carry its name."""

    def __init__(self, state: State, name: str):
        self.state, self.name = state, name
        self.record = Record(state, name)
        self.prometheus = f"http://{state.address('prometheus')}"

    # -- kubectl ------------------------------------------------------------------------------------------

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return kubectl(self.state, "-n", self.name, *args, stdin=stdin)

    def get(self, kind: str, name: str) -> dict:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def apply(self, *objects: dict) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def patch(self, kind: str, name: str, patch: dict, *args: str) -> None:
        self.kubectl("patch", kind, name, "--type", "merge", "-p", json.dumps(patch), *args)

    def annotate(self, name: str, **annotations: str | None) -> None:
        """Sets annotations of KEDA's on a ScaledObject, by their last part (`_` for `-`); None takes one away."""
        keys = {f"autoscaling.keda.sh/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.patch("scaledobject", name, {"metadata": {"annotations": keys}})

    def raw_metric(self, metric: str, scaled_object: str) -> dict:
        """Asks the external metrics API as the HPA does: through the API server."""
        return json.loads(self.kubectl(
            "get", "--raw", f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{self.name}/{metric}"
            f"?labelSelector=scaledobject.keda.sh%2Fname%3D{scaled_object}"))

    # -- the load -----------------------------------------------------------------------------------------

    def load(self, value: float | str | None, name: str | None = None) -> None:
        """What the application reports from now on; None: it no longer reports anything."""
        url = f"http://{self.state.address('app')}/load/{name or self.name}"
        data = None if value is None else str(value).encode()
        request = urllib.request.Request(url, data=data, method="DELETE" if value is None else "PUT")
        urllib.request.urlopen(request, timeout=5).close()

    def query(self, name: str | None = None) -> str:
        return f'e2e_load{{name="{name or self.name}"}}'

    # -- objects ------------------------------------------------------------------------------------------

    def workload(self, kind: str = "Deployment", name: str = "app", replicas: int = 0) -> None:
        pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod}
        self.apply({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})

    def prometheus_trigger(self, name: str | None = None, server: str | None = None, load: str | None = None,
                           auth: str | None = None, **metadata: str | None) -> dict:
        """A prometheus trigger on the scenario's load; a None among the metadata leaves that parameter out."""
        values = {"serverAddress": server or self.prometheus, "query": self.query(load), "threshold": "10", **metadata}
        trigger: dict = {"type": "prometheus", "metadata": {k: v for k, v in values.items() if v is not None}}
        if name:
            trigger["name"] = name
        if auth:
            trigger["authenticationRef"] = {"name": auth}
        return trigger

    def scaled_object(self, name: str = "app", target: str = "app", triggers: list | None = None,
                      kind: str | None = None, api_version: str | None = None, annotations: dict | None = None,
                      advanced: dict | None = None, **spec) -> dict:
        """Applies a ScaledObject that polls every second, cools down in five, and whose HPA does not dawdle."""
        reference = {"name": target}
        if kind:
            reference["kind"] = kind
        if api_version:
            reference["apiVersion"] = api_version
        body = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {
                "scaleTargetRef": reference,
                "pollingInterval": 1,
                "cooldownPeriod": 5,
                "maxReplicaCount": 5,
                "advanced": {"horizontalPodAutoscalerConfig": {"behavior": BEHAVIOR}, **(advanced or {})},
                "triggers": triggers or [self.prometheus_trigger()],
                **spec,
            },
        }
        self.apply(body)
        return body

    # -- what happened ------------------------------------------------------------------------------------

    def replicas(self, kind: str = "Deployment", name: str = "app") -> int | None:
        now = self.record.latest(PLURAL[kind], name)
        return now and now["spec"].get("replicas")

    def replica_history(self, kind: str = "Deployment", name: str = "app", since: float = 0) -> list[int]:
        """The counts the target went through since then, each once; the first is the count at that time."""
        counts: list[int] = []
        before: list[int] = []
        for seen in self.record.history(PLURAL[kind], name):
            count = seen.object["spec"].get("replicas")
            if seen.t < since:
                before = [count]
            elif (counts or before)[-1:] != [count]:
                counts.append(count)
        return before + counts

    def wait_replicas(self, count: int, seconds: float = 30, kind: str = "Deployment", name: str = "app") -> float:
        """Waits for the target's spec.replicas and returns when it came to be."""
        until(f"{kind} {name} at {count} replicas", lambda: self.replicas(kind, name) == count, seconds,
              instead=lambda: self.replica_history(kind, name))
        for seen in reversed(history := self.record.history(PLURAL[kind], name)):
            if seen.object["spec"].get("replicas") != count:
                break
            history = [seen]
        return history[0].t

    def status(self, name: str = "app") -> dict:
        now = self.record.latest("scaledobjects", name)
        return (now or {}).get("status", {})

    def condition(self, type: str, name: str = "app") -> dict:
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == type:
                return condition
        return {}

    def wait_condition(self, type: str, status: str, reason: str | None = None, seconds: float = 15,
                       name: str = "app") -> dict:
        def seen():
            now = self.condition(type, name)
            return now if now.get("status") == status and reason in (None, now.get("reason")) else None
        return until(f"condition {type}={status} ({reason}) of ScaledObject {name}", seen, seconds,
                     instead=lambda: self.condition(type, name))

    def wait_ready(self, name: str = "app", seconds: float = 15) -> None:
        self.wait_condition("Ready", "True", "ScaledObjectReady", seconds, name)
        until(f"HPA of {name}", lambda: self.hpa(self.status(name).get("hpaName") or "none"), seconds)

    def hpa(self, name: str = "keda-hpa-app") -> dict | None:
        return self.record.latest("horizontalpodautoscalers", name)

    def events(self, reason: str | None = None, name: str | None = None, since: float = 0) -> list[dict]:
        """Events about a ScaledObject, oldest first, each in its latest form."""
        found: dict[str, dict] = {}
        for seen in self.record.history("events", since=since):
            event = seen.object
            if seen.type == "DELETED" or event["regarding"]["kind"] != "ScaledObject":
                continue
            if name in (None, event["regarding"]["name"]) and reason in (None, event["reason"]):
                found[event["metadata"]["name"]] = event
        return list(found.values())

    def wait_event(self, reason: str, *texts: str, name: str = "app", seconds: float = 15, since: float = 0) -> dict:
        """Waits for an event with all of these texts in its note."""
        def seen():
            for event in self.events(reason, name, since):
                if all(text in event.get("note", "") for text in texts):
                    return event
            return None
        return until(f"event {reason} about {name} that says {texts}", seen, seconds,
                     instead=lambda: [e.get("note") for e in self.events(reason, name, since)])

    # -- time ---------------------------------------------------------------------------------------------

    def steady(self, seconds: float, kind: str = "Deployment", name: str = "app") -> None:
        """Watches for a while and fails when the replica count moves."""
        since = time.time()
        deadline = since + seconds
        before = self.replicas(kind, name)
        while time.time() < deadline:
            time.sleep(0.25)
            history = self.replica_history(kind, name, since)
            assert set(history) <= {before}, f"{kind} {name} moved from {before}: {history}"

    def note_time(self, what: str, seconds: float) -> None:
        """A measured time, for the table at the end of the run."""
        with open(self.state / "times.jsonl", "a") as file:
            file.write(json.dumps({"scenario": self.name, "what": what, "seconds": round(seconds, 2)}) + "\n")

    # -- the namespace itself -----------------------------------------------------------------------------

    def create(self) -> None:
        kubectl(self.state, "create", "namespace", self.name)

    def remove(self) -> None:
        """Takes the ScaledObjects away while an operator is there to let them go, and leaves the rest to the cluster."""
        self.kubectl("delete", "scaledobjects", "--all", "--wait=true", "--timeout=20s")
        self.load(None)
        kubectl(self.state, "delete", "namespace", self.name, "--wait=false", "--ignore-not-found")
