"""hashiCorpVault against a real OpenBao in development mode: the one that e2e/build installs beside pytest, or KEDA_E2E_BAO."""

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from harness import canary
from harness.cluster import kubectl, until
from harness.state import free_ports

BAO = os.environ.get("KEDA_E2E_BAO") or Path(sys.executable).with_name("bao")


class Bao:
    """A server with a root token."""

    def __init__(self, folder):
        [port] = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        self.token = canary.secret("root")
        self._log = open(folder / "bao.log", "w")
        self._process = subprocess.Popen(
            [BAO, "server", "-dev", f"-dev-root-token-id={self.token}", f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=self._log, stderr=self._log, env={"HOME": str(folder), "PATH": os.environ["PATH"]})
        until("OpenBao answers", self._answers)

    def _answers(self):
        try:
            return urllib.request.urlopen(f"{self.address}/v1/sys/health", timeout=2).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def write(self, path: str, **body) -> dict:
        request = urllib.request.Request(
            f"{self.address}/v1/{path}", method="POST", data=json.dumps(body).encode(),
            headers={"X-Vault-Token": self.token, "Content-Type": "application/json"})
        text = urllib.request.urlopen(request, timeout=10).read()
        return json.loads(text) if text else {}

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._log.close()


@pytest.fixture
def bao(tmp_path):
    bao = Bao(tmp_path)
    yield bao
    bao.close()


def _authentication(bao: Bao, path: str, key: str = "token", **login) -> dict:
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "auth"}, "spec": {
        "hashiCorpVault": {"address": bao.address, "secrets": [{"parameter": "bearerToken", "path": path, "key": key}], **login}}}


def _by_token(bao: Bao, path: str, key: str = "token", token: str | None = None) -> dict:
    return _authentication(bao, path, key, authentication="token", credential={"token": token or bao.token})


def _trigger(space, proxy) -> dict:
    return space.prometheus_trigger(server=proxy.url, auth="auth", authModes="bearer")


@pytest.mark.parametrize("path", ["secret/data/app", "kv1/app"])
def test_vault_token(space, proxy, bao, path):
    token = canary.secret("token")
    proxy.want(f"Bearer {token}")
    bao.write("sys/mounts/kv1", type="kv")
    bao.write(path, **({"data": {"token": token}} if "data" in path else {"token": token}))
    space.workload()
    space.load(5)
    space.apply(_by_token(bao, path))
    space.scaled_object(triggers=[_trigger(space, proxy)])
    space.wait_replicas(1, seconds=15)


def test_vault_refusals(space, proxy, bao):
    """A key that is not there, a path that is not, a token that is not known: each with its code, and mended without a restart."""
    token = canary.secret("token")
    proxy.want(f"Bearer {token}")
    bao.write("secret/data/app", data={"other": token})
    space.workload()
    space.load(5)
    space.apply(_by_token(bao, "secret/data/app"))
    space.scaled_object(triggers=[_trigger(space, proxy)])

    def says(*words):
        def seen():
            message = space.condition("Ready").get("message", "")
            return all(word in message for word in words)
        until(f"a condition that says {words}", seen, 20, lambda: space.condition("Ready"))

    says('key "token" of secret/data/app', "does not exist, there are: other", "vault-secret-missing")
    space.apply(_by_token(bao, "secret/app"))
    says("Invalid path for a versioned K/V secrets engine", "vault-secret-missing")
    space.apply(_by_token(bao, "secret/data/app", token=canary.secret("unknown")))
    says("the token is not valid", "permission denied", "vault-token-refused")
    assert proxy.requests == 0, "the source was asked without the token"
    space.apply(_by_token(bao, "secret/data/app", "other"))
    space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=20)
    space.wait_replicas(1, seconds=15)


def test_vault_kubernetes(space, proxy, bao, state):
    """The account of the workload's namespace logs in; OpenBao has the API server review its token."""
    token = canary.secret("token")
    proxy.want(f"Bearer {token}")
    bao.write("secret/data/app", data={"token": token})
    bao.write("sys/auth/kubernetes", type="kubernetes")
    cluster = yaml.safe_load(state.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority-data")
    if authority:
        authority = base64.b64decode(authority).decode()
    else:
        authority = open(cluster["certificate-authority"]).read()
    bao.write("auth/kubernetes/config", kubernetes_host=cluster["server"], kubernetes_ca_cert=authority,
              disable_local_ca_jwt=True)
    bao.write("sys/policies/acl/app", policy='path "secret/data/app" { capabilities = ["read"] }')
    bao.write("auth/kubernetes/role/app", bound_service_account_names="web",
              bound_service_account_namespaces=space.name, token_policies="app", token_ttl="1h")
    review = f"review-{space.name}"
    kubectl(state, "create", "clusterrolebinding", review, "--clusterrole=system:auth-delegator",
            f"--serviceaccount={space.name}:web")
    try:
        space.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}})
        space.workload()
        space.load(5)
        space.apply(_authentication(bao, "secret/data/app", authentication="kubernetes", mount="kubernetes", role="app",
                                    credential={"serviceAccountName": "web"}))
        space.scaled_object(triggers=[_trigger(space, proxy)])

        def refused():
            return "vault-service-account" in space.condition("Ready").get("message", "")
        until("the operator may make no token of the account", refused, 20, lambda: space.condition("Ready"))
        space.apply(
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "keda-token-creator"}, "rules": [
                {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["web"], "verbs": ["create"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "keda-token-creator"},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "keda-token-creator"},
             "subjects": [{"kind": "ServiceAccount", "name": "keda-operator", "namespace": "keda"}]})
        space.wait_condition("Ready", "True", "ScaledObjectReady", seconds=60)
        space.wait_replicas(1, seconds=15)
    finally:
        kubectl(state, "delete", "clusterrolebinding", review, "--wait=false")
