"""metrics-server: what the pods of the node use of CPU and memory, for the HPA controller (metrics.k8s.io)."""

import base64

from . import pki
from .controlplane import certificate, kubeconfig, kubectl
from .node import Node
from .state import E2E, executable


def up(state: Node) -> None:
    keys = state / "pki"
    if not (keys / "metrics-server.crt").exists():
        pki.issue(keys, "metrics-server", "/CN=system:metrics-server", "ca", "DNS:metrics-server.kube-system.svc")
    authority = base64.b64encode((keys / "ca.crt").read_bytes()).decode()
    manifest = (E2E / "manifests/metrics-server.yaml").read_text()
    for name, value in (("PORT", state.port("metrics-server")), ("HOST", state.host), ("CA_BUNDLE", authority)):
        manifest = manifest.replace("${%s}" % name, str(value))
    kubectl(state, "apply", "-f", "-", stdin=manifest)
    config = kubeconfig(state, "metrics-server", certificate(state, "metrics-server"))
    state.start("metrics-server", [
        executable("metrics-server"), "--kubeconfig", config, "--authentication-kubeconfig", config,
        "--authorization-kubeconfig", config, "--bind-address", state.host, "--secure-port", state.port("metrics-server"),
        "--tls-cert-file", keys / "metrics-server.crt", "--tls-private-key-file", keys / "metrics-server.key",
        "--kubelet-certificate-authority", keys / "ca.crt", "--kubelet-preferred-address-types", "InternalIP",
        # The shortest that it accepts; the default is 60 s.
        "--metric-resolution", "10s", "--kubelet-request-timeout", "5s"])


def serves(state: Node) -> bool:
    """Whether the node's own figures are there: the API is available, and has been scraped once."""
    return '"cpu"' in kubectl(state, "get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes", check=False)
