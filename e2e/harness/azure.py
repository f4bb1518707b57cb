"""Stand-ins for the two parts of Azure that a scaled workload needs: Entra's token endpoint, and an Azure Monitor
workspace's query endpoint.

Both are one HTTPS server on the node's address, port 443, under Azure's own names, which cluster DNS points there; its
certificate comes from a CA of its own. Nothing is taken on trust: a client assertion is verified against the keys that
the cluster's own issuer publishes, a query's token against what was issued here, and the query itself is answered by the
real Prometheus.

What there is at Azure (federated credentials, role assignments) and what is wrong with it (throttled, slow) is `Azure`, in
a file, read at every request; every request is a line in another file, without the tokens.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import pki
from .controlplane import kubectl
from .state import E2E, State

LOGIN = "login.microsoftonline.com"
WORKSPACE = "keda-e2e.westeurope.prometheus.monitor.azure.com"
# What cluster DNS answers with the node's own address.
ZONES = (LOGIN, "prometheus.monitor.azure.com")
RESOURCE = "https://prometheus.monitor.azure.com"
EXCHANGE = "api://AzureADTokenExchange"
ACTION = "microsoft.monitor/accounts/data/metrics/read"
SCOPE = ("/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/e2e/providers/microsoft.monitor/accounts"
         "/keda-e2e")

# The identity of the article, and the five values that its user gives to helm.
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
CLIENT = "6b3ad1ee-2a19-4d4c-9d0b-0c1a5e0f7a11"
SUBJECT = "system:serviceaccount:keda:keda-operator"
VALUES = ("serviceAccount.create=false", "serviceAccount.name=keda-operator", "podIdentity.azureWorkload.enabled=true",
          f"podIdentity.azureWorkload.clientId={CLIENT}", f"podIdentity.azureWorkload.tenantId={TENANT}")


def account(state: State) -> None:
    """The ServiceAccount that the article has its user make before they install."""
    kubectl(state, "create", "namespace", "keda")
    kubectl(state, "-n", "keda", "create", "serviceaccount", "keda-operator")
    kubectl(state, "-n", "keda", "annotate", "serviceaccount", "keda-operator", f"azure.workload.identity/client-id={CLIENT}")


def authority(state: State) -> Path:
    """The CA that both are signed by."""
    folder = state / "pki"
    if not (folder / "azure-ca.crt").exists():
        pki.authority(folder, "azure-ca", "/CN=the CA of the stand-in for Azure")
        pki.issue(folder, "azure", f"/CN={LOGIN}", "azure-ca", f"DNS:{LOGIN},DNS:{WORKSPACE}")
    return folder / "azure-ca.crt"


def up(state: State) -> None:
    authority(state)
    # Whoever verifies a token of this cluster reads its keys; they are public.
    kubectl(state, "create", "clusterrolebinding", "oidc-reviewer", "--clusterrole=system:service-account-issuer-discovery",
            "--group=system:unauthenticated")
    Azure(state).clear()
    state.start("azure", [sys.executable, "-m", "harness.azure", state.dir, state.host],
                env={"PYTHONPATH": str(E2E)})
    trust = ssl.create_default_context(cafile=str(authority(state)))

    def answers() -> bool:
        import socket
        with socket.create_connection((state.host, 443), timeout=2) as plain:
            with trust.wrap_socket(plain, server_hostname=LOGIN):
                return True
    state.wait("the stand-in for Azure", answers, process="azure")


class Azure:
    """What a scenario sets, and reads."""

    def __init__(self, state: State):
        self._world, self._log = state / "azure.json", state / "azure-requests.jsonl"
        self._issuer = "https://kubernetes.default.svc"

    def read(self) -> dict:
        return json.loads(self._world.read_text())

    def _change(self, change) -> None:
        with open(self._world.with_name("azure.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # scenarios run side by side
            world = self.read()
            change(world)
            part = self._world.with_name("azure.json.part")
            part.write_text(json.dumps(world, indent=1))
            os.replace(part, self._world)

    def clear(self) -> None:
        self._world.write_text(json.dumps({
            "tenants": {}, "readers": [], "throttle": 0, "delay": 0, "broken": 0, "token_seconds": 3600}))
        self._log.write_text("")

    def identity(self, tenant: str, client: str, principal: str) -> None:
        """`az identity create`."""
        self._change(lambda world: world["tenants"].setdefault(tenant, {}).__setitem__(
            client, {"principal": principal, "federated": []}))

    def federate(self, tenant: str, client: str, subject: str, audience: str = EXCHANGE, issuer: str | None = None) -> None:
        """`az identity federated-credential create`, and the one it replaces."""
        self._change(lambda world: world["tenants"][tenant][client].__setitem__(
            "federated", [{"issuer": issuer or self._issuer, "subject": subject, "audience": audience}]))

    def unfederate(self, tenant: str, client: str) -> None:
        self._change(lambda world: world["tenants"][tenant][client].__setitem__("federated", []))

    def grant(self, principal: str) -> None:
        """`az role assignment create --role "Monitoring Data Reader"` on the workspace."""
        self._change(lambda world: world["readers"].append(principal))

    def revoke(self, principal: str) -> None:
        self._change(lambda world: world["readers"].remove(principal))

    def set(self, **faults) -> None:
        """`throttle`: seconds of Retry-After with every 429; `delay`: seconds before every token; `broken`: a 5xx status."""
        self._change(lambda world: world.update(faults))

    def requests(self, kind: str, **about: str) -> list[dict]:
        """What was asked: `token`s of a `client`, or `query`s of a `principal`."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["kind"] == kind and about.items() <= line.items()]


# -- the server --------------------------------------------------------------------------------------------


class Refused(Exception):
    """An error of Entra's, by its AADSTS number."""

    def __init__(self, number: int, text: str, error: str = "invalid_client", status: int = 401, retry: int | None = None):
        super().__init__(text)
        self.number, self.text, self.error, self.status, self.retry = number, text, error, status, retry


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# DER of "this is a SHA-256 digest", which PKCS #1 v1.5 puts in front of one (RFC 8017, 9.2).
SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def signed_by(key: dict, message: bytes, signature: bytes) -> bool:
    """RS256 (RFC 7518, 3.3) with a key of a JSON Web Key Set."""
    modulus, exponent = (int.from_bytes(_decode(key[part]), "big") for part in ("n", "e"))
    size = (modulus.bit_length() + 7) // 8
    digest = SHA256 + hashlib.sha256(message).digest()
    expected = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
    return len(signature) == size and pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big") == expected


HINT = ("Check your federated identity credential Subject, Audience and Issuer against the presented assertion. "
        "https://learn.microsoft.com/entra/workload-id/workload-identity-federation")


@dataclass
class Server:
    state: State
    key: bytes

    def world(self) -> dict:
        return json.loads((self.state / "azure.json").read_text())

    def log(self, **what) -> None:
        with open(self.state / "azure-requests.jsonl", "a") as file:
            file.write(json.dumps({"t": time.time(), **what}) + "\n")

    def issuer(self, path: str) -> dict:
        """A document of the cluster's own issuer: who it is, and its keys."""
        trust = ssl.create_default_context(cafile=str(self.state / "pki/ca.crt"))
        with urllib.request.urlopen(f"https://{self.state.address('apiserver')}{path}", context=trust, timeout=5) as answer:
            return json.load(answer)

    def claims(self, assertion: str) -> dict:
        """What a client assertion says, once its signature and its times are good."""
        try:
            head, body, signature = assertion.split(".")
            header, claims = json.loads(_decode(head)), json.loads(_decode(body))
        except ValueError:
            raise Refused(50027, "JWT token is invalid or malformed.", "invalid_request", 400) from None
        keys = {key["kid"]: key for key in self.issuer("/openid/v1/jwks")["keys"]}
        key = keys.get(header.get("kid"))
        ours = claims.get("iss") == self.issuer("/.well-known/openid-configuration")["issuer"]
        if ours and not (header.get("alg") == "RS256" and key
                         and signed_by(key, f"{head}.{body}".encode(), _decode(signature))):
            raise Refused(700027, "Client assertion failed signature validation.")
        if not claims.get("nbf", 0) - 300 <= time.time() <= claims.get("exp", 0) + 300:
            raise Refused(700024, "Client assertion is not within its valid time range.")
        return claims

    def token(self, tenant: str, form: dict) -> dict:
        """The client credentials grant with a federated assertion; the checks in the order of the answers one gets."""
        world = self.world()
        time.sleep(world["delay"])
        if world["broken"]:
            raise Refused(90033, "A transient error has occurred. Please try again.", "temporarily_unavailable", world["broken"])
        if world["throttle"]:
            raise Refused(90055, "The server is terminating the request because of the excessive request rate.",
                          "temporarily_unavailable", 429, world["throttle"])
        if tenant not in world["tenants"]:
            raise Refused(90002, f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
                          "signing into the correct cloud.", "invalid_request", 400)
        client = form.get("client_id", "")
        identity = world["tenants"][tenant].get(client)
        if identity is None:
            raise Refused(700016, f"Application with identifier '{client}' was not found in the directory '{tenant}'. This "
                          "can happen if the application has not been installed by the administrator of the tenant.",
                          "unauthorized_client", 400)
        if (form.get("grant_type") != "client_credentials" or form.get("client_assertion_type")
                != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"):
            raise Refused(70003, "The app requested an unsupported grant type.", "unsupported_grant_type", 400)
        if "/.default" not in form.get("scope", ""):
            raise Refused(1002012, f"The provided value for scope {form.get('scope')} is not valid.", "invalid_scope", 400)
        claims = self.claims(form.get("client_assertion", ""))
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        known = identity["federated"]
        shown = f"Assertion Issuer: '{claims['iss']}'. Assertion Subject: '{claims['sub']}'. Assertion Audience: '{audiences[0]}'."
        missing = "No matching federated identity record found for presented assertion"
        if not known:
            raise Refused(70021, f"{missing}. {shown} {HINT}", "invalid_request", 400)
        if not (known := [f for f in known if f["issuer"] == claims["iss"]]):
            raise Refused(700211, f"{missing} issuer '{claims['iss']}'. {HINT}")
        if not (known := [f for f in known if f["subject"] == claims["sub"]]):
            raise Refused(700213, f"{missing} subject '{claims['sub']}'. {HINT}")
        if not any(f["audience"] in audiences for f in known):
            raise Refused(700212, f"{missing} audience '{audiences[0]}'. {HINT}")
        lasts = world["token_seconds"]
        resource = form["scope"].split("/.default")[0]
        body = {"aud": resource, "iss": f"https://sts.windows.net/{tenant}/", "appid": client, "oid": identity["principal"],
                "tid": tenant, "exp": int(time.time() + lasts)}
        unsigned = ".".join(_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, body))
        return {"token_type": "Bearer", "expires_in": lasts, "ext_expires_in": lasts,
                "access_token": f"{unsigned}.{self.sign(unsigned)}"}

    def sign(self, unsigned: str) -> str:
        return _encode(hmac.digest(self.key, unsigned.encode(), "sha256"))

    def reader(self, authorization: str) -> tuple[int, str, dict]:
        """Whether the bearer of a token may query the workspace: a status, why, and who it is."""
        scheme, _, token = authorization.partition(" ")
        unsigned, _, signature = token.rpartition(".")
        if scheme != "Bearer" or not hmac.compare_digest(signature, self.sign(unsigned)):
            return 401, "the token was not issued here", {}
        claims = json.loads(_decode(unsigned.split(".")[1]))
        if claims["aud"] != RESOURCE or claims["exp"] < time.time():
            return 401, f"the token is for {claims['aud']}, or has expired", claims
        if claims["oid"] not in self.world()["readers"]:
            return 403, (
                f"The client '{claims['appid']}' with object id '{claims['oid']}' does not have authorization to perform "
                f"action '{ACTION}' over scope '{SCOPE}' or the scope is invalid. If access was recently granted, please "
                "refresh your credentials."), claims
        return 200, "", claims

    def prometheus(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        request = urllib.request.Request(f"http://{self.state.address('prometheus')}{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()


def _handler(server: Server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 120

        def do_GET(self):
            self.answer(None)

        def do_POST(self):
            self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def answer(self, body: bytes | None):
            host = self.headers.get("Host", "").partition(":")[0]
            if host == LOGIN:
                self.login(body)
            elif host == WORKSPACE:
                self.query(body)
            else:
                self.send(404, {"error": f"nobody called {host} is here"})

        def login(self, body: bytes | None):
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[1:] == ["v2.0", ".well-known", "openid-configuration"]:
                base = f"https://{LOGIN}/{parts[0]}"
                self.send(200, {"issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token",
                                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                                "jwks_uri": f"{base}/discovery/v2.0/keys"})
            elif parts[1:] == ["oauth2", "v2.0", "token"] and body is not None:
                form = dict(urllib.parse.parse_qsl(body.decode()))
                about = {"kind": "token", "tenant": parts[0], "client": form.get("client_id"), "scope": form.get("scope")}
                try:
                    answer = server.token(parts[0], form)
                except Refused as e:
                    server.log(**about, status=e.status, error=e.number)
                    self.refuse(e)
                else:
                    server.log(**about, status=200)
                    self.send(200, answer)
            else:
                self.send(404, {"error": "invalid_request"})

        def refuse(self, e: Refused):
            trace, correlation, now = uuid.uuid4(), uuid.uuid4(), time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
            self.send(e.status, {
                "error": e.error,
                "error_description": f"AADSTS{e.number}: {e.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
                "error_codes": [e.number], "timestamp": now, "trace_id": str(trace), "correlation_id": str(correlation),
                "error_uri": f"https://{LOGIN}/error?code={e.number}",
            }, {"Retry-After": str(e.retry)} if e.retry else {})

        def query(self, body: bytes | None):
            status, why, claims = server.reader(self.headers.get("Authorization", ""))
            server.log(kind="query", status=status, principal=claims.get("oid"))
            if status == 401:
                self.send(401, {"error": {"code": "Unauthorized", "message": why}},
                          {"WWW-Authenticate": f'Bearer authorization_uri="https://{LOGIN}/", error="invalid_token"'})
            elif status == 403:
                self.send(403, {"error": {"code": "AuthorizationFailed", "message": why}})
            else:
                self.send(*server.prometheus(self.path, body))

        def send(self, status: int, body, headers: dict | None = None):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


class TlsServer(ThreadingHTTPServer):
    """Hands the handshake to the connection's own thread: a client that does not speak must not keep the others waiting."""

    daemon_threads = True

    def __init__(self, address, handler, context: ssl.SSLContext):
        super().__init__(address, handler)
        self.context = context

    def finish_request(self, request, client_address):
        request.settimeout(10)
        try:
            secure = self.context.wrap_socket(request, server_side=True)
        except OSError as e:
            print(f"{client_address[0]}: {e}", flush=True)
            return
        super().finish_request(secure, client_address)


def main(folder: str, host: str) -> None:
    state = State(folder)
    state.host = host
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state / "pki/azure.crt", state / "pki/azure.key")
    server = TlsServer((host, 443), _handler(Server(state, os.urandom(32))), context)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
