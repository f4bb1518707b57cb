"""A whole Kubernetes with one node: scheduler, containerd, kubelet, kube-proxy and cluster DNS around the control plane.

Everything that a pod has to reach listens on a bridge of its own (`HOST`), for EndpointSlices refuse loopback; the pods
are on the same bridge. There is one such cluster on a machine at a time. It needs root, Linux, and what e2e/build gets.
"""

import json
import shutil
import subprocess
import time
from pathlib import Path

from . import controlplane, images, pki
from .controlplane import certificate, kubeconfig, kubectl
from .state import Failure, State, executable, is_free

BRIDGE = "keda-e2e0"
NETWORK = "keda-e2e"
HOST = "10.188.0.1"
PODS = "10.188.0.0/16"
NAME = "node1"
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")

# What containerd calls the images of everything in Kubernetes.
IMAGES = "k8s.io"

CNI = """\
{"cniVersion": "0.4.0", "name": "%(network)s", "plugins": [
  {"type": "bridge", "bridge": "%(bridge)s", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "%(dir)s/cni-addresses", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "%(pods)s", "rangeStart": "10.188.1.0"}]]}}]}
"""

CONTAINERD = """\
version = 2
root = "%(dir)s/containerd/root"
state = "%(dir)s/containerd/state"
[grpc]
  address = "%(dir)s/containerd/socket"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%(pause)s"
  # A process without CAP_SYS_RESOURCE (in a container, in a small virtual machine) may not lower its OOM score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%(dir)s/cni"
"""

KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %(host)s
authentication: {x509: {clientCAFile: %(dir)s/pki/ca.crt}, anonymous: {enabled: false}, webhook: {enabled: true}}
authorization: {mode: Webhook}
tlsCertFile: %(dir)s/pki/kubelet.crt
tlsPrivateKeyFile: %(dir)s/pki/kubelet.key
healthzPort: %(health)d
clusterDNS: [%(host)s]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://%(dir)s/containerd/socket
podLogsDir: %(dir)s/pod-logs
# Whatever this machine has: the first or the second kind of cgroups, no swap control, a small or a full disk.
cgroupDriver: cgroupfs
cgroupRoot: /
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
resolvConf: ""
imageGCHighThresholdPercent: 100
# How soon a pod sees that a Secret it mounts has changed; the default is a minute.
syncFrequency: 10s
evictionHard: {memory.available: 100Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
"""

PROXY = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: %(pods)s
clientConnection: {kubeconfig: %(dir)s/proxy.kubeconfig}
metricsBindAddress: 127.0.0.1:%(metrics)d
healthzBindAddress: 127.0.0.1:%(health)d
hostnameOverride: %(name)s
# Both ends of a connection may be on the bridge: the answer has to come back this way too.
nftables: {masqueradeAll: true}
conntrack: {maxPerCore: 0, min: 0}
"""

DNS = """\
.:53 {
  bind %(host)s
  errors
  health 127.0.0.1:%(health)d
  kubernetes cluster.local {
    kubeconfig %(dir)s/dns.kubeconfig
  }
}
"""

# Hosts of the outer world that pods find on this machine.
DNS_ELSEWHERE = """\
%(zones)s {
  bind %(host)s
  errors
  template IN A {
    answer "{{ .Name }} 5 IN A %(host)s"
  }
  template IN AAAA {
    rcode NOERROR
  }
}
"""

DNS_ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
  - {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:coredns"}]
"""


class Node(State):
    """The folder of a cluster that has a node."""

    host = HOST


def _run(*argv: str, check: bool = True) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True)
    if check and done.returncode:
        raise Failure(f"{' '.join(map(str, argv))}: {done.stderr.strip()}")
    return done.stdout


def _ctr(state: Node, *argv: str, check: bool = True) -> str:
    return _run(executable("ctr"), "-a", state / "containerd/socket", "-n", IMAGES, *argv, check=check)


# -- the network -------------------------------------------------------------------------------------------


def start_network(state: Node) -> None:
    if _run("ip", "-o", "link", "show", BRIDGE, check=False):
        raise Failure(f"the bridge {BRIDGE} is there already: end the other cluster first (e2e/down DIR)")
    if " kube-proxy\n" in _run("nft", "list", "tables"):
        raise Failure("this machine has rules of a kube-proxy already: end the other cluster first (e2e/down DIR)")
    # It is remembered before it is changed: a pod's way to a Service leads through this machine.
    (state / "ip_forward").write_text(FORWARD.read_text())
    FORWARD.write_text("1\n")
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "addr", "add", f"{HOST}/16", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")


def stop_network(state: Node) -> None:
    if not (state / "ip_forward").exists():
        return
    for family in ("ip", "ip6"):
        _run("nft", "delete", "table", family, "kube-proxy", check=False)
    _run("ip", "link", "del", BRIDGE, check=False)
    FORWARD.write_text((state / "ip_forward").read_text())
    (state / "ip_forward").unlink()


# -- the processes -----------------------------------------------------------------------------------------


def start_controlplane(state: Node) -> None:
    controlplane.start_etcd(state)
    controlplane.start_apiserver(
        state, "--advertise-address", HOST, "--authorization-mode", "Node,RBAC", "--allow-privileged=true",
        # Aggregated APIs and webhooks are called at their pods' own addresses.
        "--enable-aggregator-routing=true",
        "--kubelet-client-certificate", state / "pki/admin.crt", "--kubelet-client-key", state / "pki/admin.key",
        "--kubelet-preferred-address-types", "InternalIP")
    controlplane.start_controller_manager(
        state, "--cluster-signing-cert-file", state / "pki/ca.crt", "--cluster-signing-key-file", state / "pki/ca.key",
        # A pod of these tests is what it will be within seconds, not within five minutes.
        "--horizontal-pod-autoscaler-cpu-initialization-period", "5s",
        "--horizontal-pod-autoscaler-initial-readiness-delay", "1s")
    config = kubeconfig(state, "scheduler", certificate(state, "scheduler"))
    state.start("scheduler", [
        executable("kube-scheduler"), "--kubeconfig", config, "--authentication-kubeconfig", config,
        "--authorization-kubeconfig", config, "--leader-elect=false",
        "--bind-address", "127.0.0.1", "--secure-port", state.port("scheduler")])


def start_containerd(state: Node) -> None:
    for part in ("cni", "containerd"):
        (state / part).mkdir(exist_ok=True)
    socket = str(state / "containerd/socket")
    if len(socket) > 100:
        raise Failure(f"{socket} is too long for a socket: choose a shorter DIR")
    values = {"dir": state.dir, "bridge": BRIDGE, "network": NETWORK, "pods": PODS, "pause": images.PAUSE}
    (state / "cni/10-bridge.conflist").write_text(CNI % values)
    (state / "containerd.toml").write_text(CONTAINERD % values)
    state.start("containerd", [executable("containerd"), "-c", state / "containerd.toml"])
    state.wait("containerd", lambda: _ctr(state, "version"), process="containerd")


def load(state: Node, archive: Path) -> None:
    """Makes an image known to the node."""
    _ctr(state, "images", "import", str(archive))


def start_dns(state: Node, elsewhere: tuple[str, ...]) -> None:
    """Cluster DNS; `elsewhere` are zones of the outer world that are this machine."""
    kubectl(state, "apply", "-f", "-", stdin=DNS_ROLE)
    kubeconfig(state, "dns", certificate(state, "dns"))
    text = DNS % {"dir": state.dir, "host": HOST, "health": state.port("dns-health")}
    if elsewhere:
        text += DNS_ELSEWHERE % {"zones": " ".join(elsewhere), "host": HOST}
    (state / "Corefile").write_text(text)
    state.start("dns", [executable("cluster-dns"), "-conf", state / "Corefile"])


def start_kubelet(state: Node) -> None:
    config = kubeconfig(state, "kubelet", certificate(state, "kubelet"))
    (state / "kubelet.yaml").write_text(KUBELET % {
        "dir": state.dir, "host": HOST, "health": state.port("kubelet-health")})
    state.start("kubelet", [
        executable("kubelet"), "--config", state / "kubelet.yaml", "--kubeconfig", config,
        "--hostname-override", NAME, "--node-ip", HOST, "--root-dir", state / "kubelet",
        # How old a pod's CPU and memory are when they are asked for; the default is 10 s.
        "--housekeeping-interval", "3s"])


def start_proxy(state: Node) -> None:
    kubeconfig(state, "proxy", certificate(state, "proxy"))
    (state / "proxy.yaml").write_text(PROXY % {
        "dir": state.dir, "pods": PODS, "name": NAME,
        "metrics": state.port("proxy-metrics"), "health": state.port("proxy-health")})
    state.start("proxy", [executable("kube-proxy"), "--config", state / "proxy.yaml"])


def _ready(state: Node) -> bool:
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    return kubectl(state, "get", "node", NAME, "-o", f"jsonpath={path}", check=False) == "True"


def up(state: Node, elsewhere: tuple[str, ...] = ()) -> None:
    """Everything but KEDA, from nothing; returns when the node is Ready."""
    state.create()
    for part in ("etcd", "containerd", "kubelet", "pod-logs", "cni", "cni-addresses", "record", "helm"):
        shutil.rmtree(state / part, ignore_errors=True)
    for part in ("installed.json", "uninstalled.jsonl", "log/audit.log"):
        (state / part).unlink(missing_ok=True)
    start_network(state)
    # The kubelet has a port of its own for itself; the others were found free.
    state.wait("the kubelet's port free", lambda: is_free(10250), 30)
    pki.cluster(state)
    pki.node(state, NAME)
    kubeconfig(state, "admin", certificate(state, "admin"))
    start_controlplane(state)
    start_containerd(state)
    for archive in images.of_the_tests(state):
        load(state, archive)
    start_dns(state, elsewhere)
    start_kubelet(state)
    start_proxy(state)
    state.wait(f"{NAME} Ready", lambda: _ready(state), process="kubelet")


# -- the end -----------------------------------------------------------------------------------------------


def _end_pods(state: Node) -> None:
    """Pods outlive kubelet and containerd: their tasks are ended while containerd is there to do it."""
    if not state.running("containerd"):
        return
    tasks = lambda: _ctr(state, "task", "ls", "-q", check=False).split()
    deadline = time.monotonic() + 20
    while (left := tasks()) and time.monotonic() < deadline:
        for task in left:
            _ctr(state, "task", "kill", "-s", "SIGKILL", task, check=False)
            _ctr(state, "task", "rm", "-f", task, check=False)
        time.sleep(0.2)
    for container in _ctr(state, "container", "ls", "-q", check=False).split():
        _ctr(state, "container", "rm", container, check=False)


def _unmount(state: Node) -> None:
    """What pods had mounted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{state.dir}/")), reverse=True):
        _run("umount", "-l", mount, check=False)


def _end_networks() -> None:
    """The network namespaces of pods whose end CNI was not told of: they are in its notes of our network."""
    for note in Path("/var/lib/cni/results").glob(f"{NETWORK}-*"):
        written = json.loads(note.read_text())
        for interface in written["result"]["interfaces"]:
            if "sandbox" in interface:
                _run("ip", "netns", "del", Path(interface["sandbox"]).name, check=False)
        for other in note.parent.glob(f"*-{written['containerId']}-*"):
            other.unlink()


def down(state: Node) -> None:
    """Ends all of it: kubelet first, so that nothing comes back, then the pods, then the rest."""
    for name in ("proxy", "kubelet"):
        state.stop(name, patience=5)
    _end_pods(state)
    state.stop("containerd", patience=10)
    controlplane.down(state)
    _unmount(state)
    _end_networks()
    stop_network(state)
