"""Keys and certificates, made by openssl: the cluster's, the front proxy's, and KEDA's own."""

import subprocess
import time
from pathlib import Path

from .state import State

DAYS = "3650"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def authority(folder, name: str, subject: str) -> None:
    _openssl("req", "-x509", *EC, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt",
             "-days", DAYS, "-subj", subject)


def backdated_authority(folder, name: str, subject: str, hours: int) -> None:
    """An authority that began some hours ago, as `openssl ca` makes one and `openssl req` cannot."""
    base = f"{folder}/{name}"
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", subject)
    Path(f"{base}.index").write_text("")
    Path(f"{base}.cnf").write_text(
        f"[ca]\ndefault_ca=here\n[here]\ndatabase={base}.index\nnew_certs_dir={folder}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\n[any]\norganizationName=optional\ncommonName=supplied\n"
        "[authority]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\n")
    instant = "%Y%m%d%H%M%SZ"
    now = time.time()
    _openssl("ca", "-batch", "-selfsign", "-config", f"{base}.cnf", "-extensions", "authority", "-notext",
             "-keyfile", f"{base}.key", "-in", f"{base}.csr", "-out", f"{base}.crt",
             "-startdate", time.strftime(instant, time.gmtime(now - hours * 3600)),
             "-enddate", time.strftime(instant, time.gmtime(now + 3650 * 86400)))


def issue(folder, name: str, subject: str, authority: str, names: str = "") -> None:
    """A certificate for both ends of a connection, signed by `authority` of the same folder."""
    base = f"{folder}/{name}"
    _openssl("req", *EC, "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", subject)
    extensions = f"{base}.ext"
    with open(extensions, "w") as f:
        f.write("keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n")
        f.write(f"subjectAltName={names}\n" if names else "")
    _openssl("x509", "-req", "-in", f"{base}.csr", "-CA", f"{folder}/{authority}.crt",
             "-CAkey", f"{folder}/{authority}.key", "-CAcreateserial", "-days", DAYS,
             "-out", f"{base}.crt", "-extfile", extensions)


def cluster(state: State) -> None:
    pki = state / "pki"
    if (pki / "admin.crt").exists():
        return
    authority(pki, "ca", "/CN=cluster-ca")
    authority(pki, "front-proxy-ca", "/CN=front-proxy-ca")
    # RSA, as AKS has it: whoever verifies such a token needs no more than a power.
    _openssl("genrsa", "-out", f"{pki}/sa.key", "2048")
    _openssl("rsa", "-in", f"{pki}/sa.key", "-pubout", "-out", f"{pki}/sa.pub")
    issue(pki, "apiserver", "/CN=kube-apiserver", "ca",
          f"DNS:kubernetes,DNS:kubernetes.default.svc,DNS:localhost,IP:{state.host},IP:10.96.0.1")
    issue(pki, "controller-manager", "/CN=system:kube-controller-manager", "ca")
    issue(pki, "front-proxy-client", "/CN=front-proxy-client", "front-proxy-ca")
    issue(pki, "admin", "/O=system:masters/CN=admin", "ca")


def node(state: State, name: str) -> None:
    """What the parts of a node show each other, and cluster DNS the API server."""
    pki = state / "pki"
    if (pki / "dns.crt").exists():
        return
    issue(pki, "scheduler", "/CN=system:kube-scheduler", "ca")
    issue(pki, "proxy", "/CN=system:kube-proxy", "ca")
    issue(pki, "kubelet", f"/O=system:nodes/CN=system:node:{name}", "ca", f"DNS:{name},IP:{state.host}")
    issue(pki, "dns", "/CN=system:coredns", "ca")


def keda(state: State) -> None:
    """ca.crt, tls.crt and tls.key as upstream's certificate secret holds them: one pair for every end."""
    certs = state / "certs"
    if (certs / "tls.crt").exists():
        return
    names = ["DNS:localhost", "IP:127.0.0.1"]
    for service in ("keda-operator", "keda-metrics-apiserver"):
        names += [f"DNS:{service}{tail}" for tail in ("", ".keda", ".keda.svc", ".keda.svc.cluster.local")]
    authority(certs, "ca", "/O=KEDAORG/CN=KEDA")
    issue(certs, "tls", "/CN=keda-operator", "ca", ",".join(names))
