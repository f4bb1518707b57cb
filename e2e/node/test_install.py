"""KEDA as its users get it: the chart, by helm, real pods under the permissions that the chart gives them."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import azure, helm, images
from harness.cluster import until
from harness.controlplane import kubectl
from harness.state import ROOT


PROGRAMS = ("/keda", "/keda-adapter")


def operator(state):
    return next(pod for pod in helm.pods(state) if helm.owner(pod) == "keda-operator")


def process_of(pod) -> dict:
    """What the kernel says of a pod's executable of ours, which is a process of this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"pod{pod['metadata']['uid']}" in (folder / "cgroup").read_text() and os.readlink(folder / "exe") in PROGRAMS:
                return dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        except OSError:
            pass
    raise AssertionError(f"no process of {pod['metadata']['name']}")


def test_pods(state):
    """What `kubectl get pods -n keda` shows, and how little the pods may do."""
    assert helm.all_ready(state)
    for pod in helm.pods(state):
        assert helm.restarts(pod) == 0
        container = pod["spec"]["containers"][0]
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        process = process_of(pod)
        assert process["Uid"].split() == ["65532"] * 4
        assert int(process["CapEff"], 16) == 0 and process["NoNewPrivs"] == "1"
    shell = kubectl(state, "-n", "keda", "exec", "deployment/keda-operator", "--", "/bin/sh", "-c", "true", check=False)
    assert shell == ""
    assert "Running" in kubectl(state, "-n", "keda", "get", "pods")
    assert kubectl(state, "-n", "keda", "exec", "deployment/keda-operator", "--", "/keda", "--version").startswith("keda ")


def test_image(state):
    """Nothing in it that could be run but our executables and their libraries; the same bytes whenever it is built."""
    archive = state / "images/keda.tar"
    first = archive.read_bytes()
    images.keda(state, state.program, helm.IMAGE, trust=[azure.authority(state)])
    assert archive.read_bytes() == first
    with tarfile.open(archive) as outer:
        layer = tarfile.open(fileobj=io.BytesIO(outer.extractfile("layer.tar").read()))
        config = json.load(outer.extractfile(next(n for n in outer.getnames() if n.endswith(".json") and n != "manifest.json")))
    names = {f"/{member.name}": member for member in layer.getmembers()}
    assert config["config"]["User"] == "65532:65532" and config["config"]["Entrypoint"] == ["/keda"]
    assert all(member.uid == member.gid == 0 and member.mtime == 0 for member in names.values())
    # The metrics API server has its own where it was built (ADR 0016).
    own = Path(state.program).with_name("keda-adapter").exists()
    for link in ("/keda-admission-webhooks", *(() if own else ("/keda-adapter",))):
        assert names[link].issym() and names[link].linkname == "/keda"
    runnable = [name for name, member in names.items() if member.isfile() and member.mode & 0o111]
    assert sorted(name for name in runnable if not name.startswith("/lib")) == sorted(PROGRAMS if own else PROGRAMS[:1])
    assert "/etc/ssl/certs/ca-certificates.crt" in names


def test_bill_of_materials(state):
    """What the executable is made of, each with its licence and checksum, and whose libraries lie beside it."""
    bill = json.loads(subprocess.run([ROOT / "deploy/image/sbom", "--program", state.program], check=True,
                                     capture_output=True, text=True).stdout)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "keda")
    parts = {part["name"]: part for part in bill["components"]}
    assert {"kube", "tokio", "rustls", "keda-operator", "libc6", "ca-certificates"} <= parts.keys()
    assert "proptest" not in parts, "only tests use it"
    for part in parts.values():
        if part["purl"].startswith("pkg:cargo/") and not part["name"].startswith("keda"):
            assert part["licenses"] and part["hashes"], part
    references = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert all({edge["ref"], *edge["dependsOn"]} <= references for edge in bill["dependencies"])


def test_scales_real_pods(state, space):
    """0, 1, 3, 0: as many pods run as the query asks for."""
    space.workload()
    space.load(0)
    space.scaled_object()
    space.wait_ready()
    space.load(5)
    space.wait_replicas(1, seconds=15)
    until("one pod", lambda: space.running() == 1, 20)
    space.load(25)
    space.wait_replicas(3, seconds=30)
    until("three pods", lambda: space.running() == 3, 20)
    space.load(0)
    space.wait_replicas(0, seconds=40)
    until("no pods", lambda: space.running() == 0, 20)


def test_permissions(state):
    """The operator may read a Secret that it is told of, and list none of them."""
    def may(verb, what, *where):
        account = "system:serviceaccount:keda:keda-operator"
        return kubectl(state, "auth", "can-i", verb, what, f"--as={account}", *where, check=False).strip() == "yes"

    assert may("get", "secrets", "-n", "default")
    assert not may("list", "secrets", "-A") and not may("watch", "secrets", "-A")
    assert not may("create", "pods", "-n", "default") and not may("delete", "deployments.apps", "-n", "default")
    assert not may("create", "clusterrolebindings")


@pytest.mark.alone
def test_upgrade_uninstall_install(state, space):
    """A workload that is scaled lives through all three; only while KEDA is away nobody scales it."""
    helm.ensure(state)
    space.workload()
    space.load(25)
    definition = space.scaled_object()
    space.wait_replicas(3, seconds=30)
    autoscaler = space.hpa()["metadata"]["uid"]
    before = operator(state)["metadata"]["name"]

    helm.install(state, *helm.BASE, "logging.operator.level=debug", verb="upgrade")
    until("the new operator", lambda: helm.all_ready(state) and operator(state)["metadata"]["name"] != before, 60)
    space.steady(8)
    assert space.hpa()["metadata"]["uid"] == autoscaler
    space.load(45)
    space.wait_replicas(5, seconds=30)

    # Upstream's order: the objects first, then the release with its definitions.
    space.kubectl("delete", "scaledobject", "app", "--timeout=30s")
    helm.uninstall(state)
    left = kubectl(state, "get", "crd,apiservice,clusterrole,clusterrolebinding,validatingwebhookconfiguration",
                   "-l", "app.kubernetes.io/part-of=keda-operator", "-o", "name")
    assert left == ""
    assert "keda.sh" not in kubectl(state, "get", "crd", "-o", "name")
    assert space.replicas() == 5 and space.running() == 5

    helm.ensure(state)
    space.apply(definition)
    space.load(15)
    space.wait_replicas(2, seconds=60)
    assert all(helm.restarts(pod) == 0 for pod in helm.pods(state))
