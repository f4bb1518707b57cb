"""`keda doctor` against the real API server: its CRDs as it stores them, its APIService, its answers about permissions."""

import json
import subprocess

CONTAINERS = {
    "keda-operator": ("/keda", ["--leader-elect"], "keda-operator"),
    "keda-metrics-apiserver": ("/keda-adapter", [], "keda-metrics-server"),
}


def _deployment(name: str) -> dict:
    command, arguments, account = CONTAINERS[name]
    labels = {"app": name}
    container = {"name": name, "image": "keda", "command": [command], "args": arguments}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "serviceAccountName": account, "containers": [container]}}}}


def _examine(state, namespace: str) -> tuple[int, list[dict]]:
    done = subprocess.run([state.program, "doctor", "--namespace", namespace, "--output", "json"], text=True,
                          capture_output=True, env={"KUBECONFIG": str(state.kubeconfig)})
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


def test_doctor(space, state):
    """An installation without a node to run on: what is there is found, what is not is said with what to do."""
    space.apply(*(_deployment(name) for name in CONTAINERS))
    code, findings = _examine(state, space.name)
    assert code == 1

    def of(step: str, about: str) -> dict:
        found, = (finding for finding in findings if finding["step"] == step and finding["about"] == about)
        return found

    definitions = [finding for finding in findings if finding["about"] == "definitions"]
    assert len(definitions) == 6 and {finding["mark"] for finding in definitions} == {"good"}, definitions
    operator = of("operator", "processes")
    assert operator["mark"] == "wrong" and "0 of 1 ready" in operator["text"] and operator["fix"]
    assert of("webhooks", "processes")["mark"] == "unknown"
    assert of("lease", "leader")["text"] == "Lease operator.keda.sh does not exist: no operator has ever led"
    # The one of the processes that these scenarios run is not this installation's.
    taken = of("APIService", "metrics API")
    assert taken["mark"] == "wrong" and "not by KEDA: a cluster has one provider" in taken["text"], taken
    # Accounts of this namespace may do nothing: the API server says so of each single right.
    rights = of("operator", "permissions")
    assert rights["mark"] == "wrong" and "list scaledobjects.keda.sh" in rights["text"], rights

    code, findings = _examine(state, "keda")
    text = "there is no Deployment of KEDA in namespace keda"
    assert code == 1 and text in [finding["text"] for finding in findings]
