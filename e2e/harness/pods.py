"""A scenario's namespace on a cluster that has a node: its workloads have real pods."""

import json

from . import images
from .cluster import Space


class PodSpace(Space):
    """Adds workloads that burn CPU or hold memory, and pods to look at."""

    def container(self, name: str, what: str, load: str | None = None, requests: dict | None = None) -> dict:
        """A worker that shares a load (`app.py`): thousandths of a CPU (`cpu`), or MiB (`memory`)."""
        return {"name": name, "image": images.WORKER, "imagePullPolicy": "Never",
                "args": [self.state.host, str(self.state.port("app")), what, load or self.name],
                "resources": {"requests": requests} if requests else {}}

    def workers(self, *containers: dict, name: str = "app", replicas: int = 1) -> None:
        """A Deployment of workers; waits for its pods."""
        template = {"metadata": {"labels": {"app": name}}, "spec": {
            "containers": list(containers), "terminationGracePeriodSeconds": 5, "automountServiceAccountToken": False}}
        self.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}})
        self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")

    def workload(self, kind: str = "Deployment", name: str = "app", replicas: int = 0) -> None:
        """Pods that run and do nothing."""
        pod = {"metadata": {"labels": {"app": name}}, "spec": {
            "containers": [{"name": "main", "image": images.PAUSE, "imagePullPolicy": "Never"}],
            "terminationGracePeriodSeconds": 5}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod}
        self.apply({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})

    def running(self, name: str = "app") -> int:
        """How many pods of a workload are Ready."""
        pods = json.loads(self.kubectl("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]
        return sum("deletionTimestamp" not in pod["metadata"] and any(
            c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) for pod in pods)
