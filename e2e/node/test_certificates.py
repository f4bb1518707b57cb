"""Certificates while metrics are asked for: the operator makes them anew, and no request fails."""

import base64
import http.client
import json
import socket
import ssl
import threading
import time

import pytest

from harness import helm, pki
from harness.cluster import until
from harness.controlplane import kubectl

METRICS = "/apis/external.metrics.k8s.io/v1beta1"


class Traffic:
    """Asks for one metric through the API server, as an HPA does, five times a second."""

    def __init__(self, space):
        state = space.state
        self._path = f"{METRICS}/namespaces/{space.name}/s0-prometheus?labelSelector=scaledobject.keda.sh%2Fname%3Dapp"
        self._address, self._trust = state.address("apiserver"), ssl.create_default_context(cafile=str(state / "pki/ca.crt"))
        self._trust.load_cert_chain(state / "pki/admin.crt", state / "pki/admin.key")
        self.answered, self.failures = 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(0.2):
            try:
                connection = http.client.HTTPSConnection(self._address, context=self._trust, timeout=10)
                connection.request("GET", self._path)
                answer = connection.getresponse()
                body = answer.read().decode()
                connection.close()
                value = json.loads(body)["items"][0]["value"] if answer.status == 200 else None
            except (OSError, http.client.HTTPException) as e:
                value, body = None, repr(e)
            if value == "25":
                self.answered += 1
            else:
                self.failures.append(f"{time.strftime('%X')} {body[:300]}")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def serial(state, deployment: str, port: int) -> str:
    """The serial number of the certificate that a pod serves now."""
    pod = next(p for p in helm.pods(state) if helm.owner(p) == deployment)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((pod["status"]["podIP"], port), timeout=5) as plain:
        with context.wrap_socket(plain) as secure:
            shown = secure.getpeercert(binary_form=True)
    return base64.b64encode(shown).decode()


def certificates(state) -> dict[str, bytes]:
    secret = json.loads(kubectl(state, "-n", "keda", "get", "secret", "kedaorg-certs", "-o", "json", check=False) or "{}")
    return {name: base64.b64decode(value) for name, value in secret.get("data", {}).items()}


def change(state, **data: bytes) -> None:
    """Puts something into the Secret, as `ca_crt` for ca.crt."""
    encoded = {name.replace("_", "."): base64.b64encode(value).decode() for name, value in data.items()}
    kubectl(state, "-n", "keda", "patch", "secret", "kedaorg-certs", "--type", "merge", "-p", json.dumps({"data": encoded}))


def announced(state) -> int:
    """How many CAs the API server accepts the metrics API's certificate from."""
    bundle = kubectl(state, "get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", "jsonpath={.spec.caBundle}")
    return base64.b64decode(bundle).count(b"BEGIN CERTIFICATE")


@pytest.fixture
def traffic(state, space):
    """A scaled workload under way, and somebody who asks for its metric all the time; afterwards nothing has failed,
    scaling goes on, and no pod was restarted for it."""
    helm.wait_ready(state)
    space.workload()
    space.load(25)
    space.scaled_object()
    space.wait_replicas(3, seconds=30)
    pods = {pod["metadata"]["uid"] for pod in helm.pods(state)}
    with Traffic(space) as traffic:
        until("answers", lambda: traffic.answered > 5, 10, instead=lambda: traffic.failures[-3:])
        yield traffic
        # Long enough for every client to have connected anew.
        time.sleep(10)
        assert traffic.failures == [] and traffic.answered > 50
    space.load(45)
    space.wait_replicas(5, seconds=30)
    assert {pod["metadata"]["uid"] for pod in helm.pods(state)} == pods
    assert all(helm.restarts(pod) == 0 for pod in helm.pods(state))


def at_the_adapter(state) -> str:
    return serial(state, "keda-operator-metrics-apiserver", 6443)


@pytest.mark.alone
def test_lost_secret(state, traffic):
    """Somebody deletes the Secret. It comes back with a new CA beside the old one, which stays in service meanwhile."""
    before = announced(state)
    kubectl(state, "-n", "keda", "delete", "secret", "kedaorg-certs")
    until("the Secret anew", lambda: certificates(state).get("ca.crt", b"").count(b"BEGIN CERTIFICATE") == before + 1, 20)
    until("both CAs at the API server", lambda: announced(state) == before + 1, 20, instead=lambda: announced(state))


@pytest.mark.alone
def test_lost_key(state, space, traffic):
    """The certificate's key is damaged: a new certificate is made at once, and reaches the adapter."""
    before = at_the_adapter(state)
    began = time.time()
    change(state, tls_key=b"not a key")
    until("another certificate at the adapter", lambda: at_the_adapter(state) != before, 120)
    space.note_time("key of the certificate damaged until the adapter serves a new one", time.time() - began)


@pytest.mark.alone
def test_another_ca(state, space, traffic):
    """A change of the CA, without its ten minutes of announcement: the new one, made two hours ago, is announced beside the
    old one first, and then gets to sign."""
    pki.backdated_authority(state / "pki", "next-ca", "/O=KEDAORG/CN=KEDA", hours=2)
    new = (state / "pki/next-ca.crt").read_bytes()
    before, old = at_the_adapter(state), announced(state)
    change(state, ca_crt=new + certificates(state)["ca.crt"])
    until("both CAs at the API server", lambda: announced(state) == old + 1, 30, instead=lambda: announced(state))
    # Until the kubelet has shown it to the pods.
    time.sleep(20)
    began = time.time()
    change(state, ca_key=(state / "pki/next-ca.key").read_bytes())
    until("another certificate at the adapter", lambda: at_the_adapter(state) != before, 120)
    space.note_time("another CA signs until the adapter serves its certificate", time.time() - began)
    served = ssl.get_server_certificate((adapter_address(state), 6443), ca_certs=str(state / "pki/next-ca.crt"))
    assert served


def adapter_address(state) -> str:
    return next(p for p in helm.pods(state) if helm.owner(p) == "keda-operator-metrics-apiserver")["status"]["podIP"]
