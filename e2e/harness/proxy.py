"""A broken way to a healthy Prometheus: stands in front of it and does what a scenario asks.

Runs in the scenario's own process, on a port of its own, so that nobody else's source breaks.
"""

import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _vector(*values: str) -> str:
    samples = ",".join(f'{{"metric":{{}},"value":[0,"{value}"]}}' for value in values)
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}'


class FaultProxy:
    """Modes: pass_on, refuse (nobody listens), status, empty, nan, slow, raw."""

    def __init__(self, upstream: str):
        self.upstream = upstream
        self.requests = 0
        self._wanted: str | None = None
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.pass_on()
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # -- what to do ---------------------------------------------------------------------------------------

    def pass_on(self) -> None:
        self._become(None)

    def status(self, code: int, body: str = "") -> None:
        self._become(lambda: (code, body))

    def raw(self, body: str) -> None:
        self._become(lambda: (200, body))

    def empty(self) -> None:
        self.raw(_vector())

    def nan(self) -> None:
        self.raw(_vector("NaN"))

    def slow(self, seconds: float) -> None:
        def answer():
            time.sleep(seconds)
            return 200, _vector("0")
        self._become(answer)

    def want(self, authorization: str) -> None:
        """Whoever does not send this Authorization header is sent away."""
        self._wanted = authorization

    def refuse(self) -> None:
        """Nobody listens any more."""
        self.close()

    def _become(self, answer) -> None:
        self._answer = answer
        if self._port and self._server is None:
            self._listen()

    # -- doing it -----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                proxy.requests += 1
                if proxy._wanted not in (None, self.headers.get("Authorization")):
                    status, body = 401, "who are you?"
                elif proxy._answer:
                    status, body = proxy._answer()
                else:
                    status, body = proxy._ask(self.path)
                data = body if isinstance(body, bytes) else body.encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # the client's deadline came first

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _ask(self, path: str):
        try:
            with urllib.request.urlopen(self.upstream + path, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()
        except OSError as e:
            return 502, str(e)

    def close(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
