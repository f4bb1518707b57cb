"""etcd, kube-apiserver and kube-controller-manager: a cluster without nodes. Pods stay Pending, replica counts move.

`harness/node.py` adds what a node needs.
"""

import base64
import os
import subprocess
import urllib.request
from pathlib import Path

from . import pki
from .state import E2E, ROOT, Failure, State, executable, is_free

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  # Reads of KEDA's own two accounts, and everybody's writes: enough to count who did what.
  - level: Metadata
    userGroups: ["system:serviceaccounts:keda"]
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
"""


def kubectl(state: State, *args: str, stdin: str | None = None, check: bool = True) -> str:
    """kubectl as the cluster's administrator; returns what it printed."""
    done = subprocess.run(
        [executable("kubectl", "KUBECTL"), "--kubeconfig", str(state.kubeconfig), *args],
        input=stdin, capture_output=True, text=True)
    if check and done.returncode:
        raise Failure(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def kubeconfig(state: State, name: str, user: dict) -> Path:
    lines = "\n".join(f"      {key}: {value}" for key, value in user.items())
    path = state / f"{name}.kubeconfig"
    path.write_text(f"""\
apiVersion: v1
kind: Config
clusters:
  - name: e2e
    cluster:
      server: https://{state.address("apiserver")}
      certificate-authority: {state / "pki/ca.crt"}
users:
  - name: {name}
    user:
{lines}
contexts:
  - name: e2e
    context: {{cluster: e2e, user: {name}}}
current-context: e2e
""")
    path.chmod(0o600)
    return path


def certificate(state: State, name: str) -> dict:
    return {"client-certificate": state / f"pki/{name}.crt", "client-key": state / f"pki/{name}.key"}


def start_etcd(state: State) -> None:
    client, peer = f"http://{state.local('etcd')}", f"http://{state.local('etcd-peer')}"
    state.start("etcd", [
        executable("etcd", "ETCD"), "--data-dir", state / "etcd", "--unsafe-no-fsync",
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        "--quota-backend-bytes", "4294967296"])

    def healthy() -> bool:
        with urllib.request.urlopen(f"{client}/health", timeout=1) as answer:
            return answer.status == 200
    state.wait("etcd's health", healthy, process="etcd")


# Without a node there is no other way in than loopback, which endpoints refuse: nobody is advertised.
LOOPBACK = ("--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none", "--authorization-mode", "RBAC")


def start_apiserver(state: State, *place, audit_policy: str = AUDIT_POLICY) -> None:
    """`place`: the flags that depend on where it is, when that is not loopback."""
    keys = state / "pki"
    (state / "audit-policy.yaml").write_text(audit_policy)
    state.wait("the API server's port free", lambda: is_free(state.port("apiserver")))
    state.start("apiserver", [
        executable("kube-apiserver"), "--etcd-servers", f"http://{state.local('etcd')}",
        "--bind-address", state.host, "--secure-port", state.port("apiserver"), *(place or LOOPBACK),
        "--tls-cert-file", keys / "apiserver.crt", "--tls-private-key-file", keys / "apiserver.key",
        "--client-ca-file", keys / "ca.crt",
        "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", keys / "sa.pub", "--service-account-signing-key-file", keys / "sa.key",
        "--service-cluster-ip-range", "10.96.0.0/16",
        "--requestheader-client-ca-file", keys / "front-proxy-ca.crt",
        "--requestheader-allowed-names", "front-proxy-client",
        "--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
        "--requestheader-extra-headers-prefix", "X-Remote-Extra-",
        "--proxy-client-cert-file", keys / "front-proxy-client.crt",
        "--proxy-client-key-file", keys / "front-proxy-client.key",
        "--audit-policy-file", state / "audit-policy.yaml", "--audit-log-path", state / "log/audit.log",
        "--audit-log-maxsize", "1000", "--shutdown-delay-duration", "0s", "--v", "1"])
    state.wait("the API server", lambda: kubectl(state, "get", "--raw", "/readyz") == "ok", process="apiserver")


def stop_apiserver(state: State) -> None:
    """It waits for its watches to end, which never do: after a few seconds it is not asked any more."""
    state.stop("apiserver", patience=5)


def start_controller_manager(state: State, *flags: str, controllers: str | None = None) -> None:
    """With every controller and the HPA controller's pace, unless it is said otherwise."""
    config = kubeconfig(state, "controller-manager", certificate(state, "controller-manager"))
    keys = state / "pki"
    state.start("controller-manager", [
        executable("kube-controller-manager"), "--kubeconfig", config,
        "--authentication-kubeconfig", config, "--authorization-kubeconfig", config,
        "--bind-address", "127.0.0.1", "--secure-port", state.port("controller-manager"),
        "--service-account-private-key-file", keys / "sa.key", "--root-ca-file", keys / "ca.crt",
        "--use-service-account-credentials=true", "--leader-elect=false",
        "--controllers", controllers or os.environ.get("KEDA_E2E_CONTROLLERS", "*"),
        "--concurrent-namespace-syncs", "20",
        "--horizontal-pod-autoscaler-sync-period", os.environ.get("KEDA_E2E_HPA_SYNC", "5s"), *flags])


def install_metrics_api(state: State) -> None:
    """KEDA's namespace, and external.metrics.k8s.io served by whoever listens on the adapter's port."""
    kubectl(state, "apply", "-f", str(ROOT / "deploy/namespace.yaml"))
    service = (E2E / "manifests/metrics-apiserver.yaml").read_text()
    authority = base64.b64encode((state / "certs/ca.crt").read_bytes()).decode()
    service = service.replace("${PORT}", str(state.port("adapter"))).replace("${CA_BUNDLE}", authority)
    kubectl(state, "apply", "-f", "-", stdin=service)


def install(state: State) -> None:
    """KEDA's namespace, accounts and permissions, its aggregated API, and kubeconfigs for the accounts."""
    install_metrics_api(state)
    kubectl(state, "apply", "-f", str(ROOT / "deploy/rbac.yaml"))
    for account in ("keda-operator", "keda-metrics-server", "keda-webhook"):
        token = kubectl(state, "create", "token", account, "-n", "keda", "--duration", "48h").strip()
        kubeconfig(state, account, {"token": token})


def install_crds(state: State) -> None:
    """The six kinds, as `keda crds` prints them, else as they lie in deploy/crds."""
    program = os.environ.get("KEDA_BIN")
    if program:
        crds = subprocess.run([program, "crds"], check=True, capture_output=True, text=True).stdout
        # Client-side on purpose: the annotation it leaves holds only what is small enough.
        kubectl(state, "apply", "-f", "-", stdin=crds)
    elif (ROOT / "deploy/crds").is_dir():
        kubectl(state, "apply", "-f", str(ROOT / "deploy/crds"))
    else:
        return
    # `kubectl wait` itself fails on a definition that is too new to have conditions: it is asked again.
    state.wait("the custom resources", lambda: kubectl(
        state, "wait", "--for=condition=Established", "--timeout=30s", "crd",
        "scaledobjects.keda.sh", "triggerauthentications.keda.sh"))


def prepare(state: State) -> None:
    """The folder, keys, the administrator's kubeconfig, and etcd."""
    state.create()
    pki.cluster(state)
    kubeconfig(state, "admin", certificate(state, "admin"))
    start_etcd(state)


def bare(state: State) -> None:
    """A control plane without anything of KEDA's."""
    prepare(state)
    start_apiserver(state)
    start_controller_manager(state)


def up(state: State) -> None:
    bare(state)
    pki.keda(state)
    install(state)
    install_crds(state)


def down(state: State) -> None:
    """Ends everything that was started in the folder: clients first, then what they are clients of."""
    base = ["controller-manager", "apiserver", "etcd"]
    for name in [n for n in reversed(state.names()) if n not in base] + base:
        state.stop(name, patience=5)
