"""Keys and certificates, made by openssl: the cluster's, the front proxy's, and KEDA's own."""

import subprocess

from .state import State

DAYS = "3650"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def authority(folder, name: str, subject: str) -> None:
    _openssl("req", "-x509", *EC, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt",
             "-days", DAYS, "-subj", subject)


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
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{pki}/sa.key")
    _openssl("ec", "-in", f"{pki}/sa.key", "-pubout", "-out", f"{pki}/sa.pub")
    issue(pki, "apiserver", "/CN=kube-apiserver", "ca",
          "DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1")
    issue(pki, "controller-manager", "/CN=system:kube-controller-manager", "ca")
    issue(pki, "front-proxy-client", "/CN=front-proxy-client", "front-proxy-ca")
    issue(pki, "admin", "/O=system:masters/CN=admin", "ca")


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
