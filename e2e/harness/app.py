"""The application whose load the scenarios set.

`GET /metrics` shows every load as `e2e_load{name="..."}`; `PUT /load/NAME` with a number (or `NaN`) as the body sets
one, `DELETE /load/NAME` takes the series away. Prometheus scrapes it every second.

`GET /share/NAME` answers a worker's part of that load: all of it, divided by the workers that asked within the last
three seconds. So pods that burn CPU or hold memory do it as a queue's workers would: the more of them, the less each.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

loads: dict[str, str] = {}
asked: dict[str, dict[str, float]] = {}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/share/"):
            self.answer(200, f"{self.share(self.path.rsplit('/', 1)[1]):.3f}\n")
            return
        with lock:
            lines = [f'e2e_load{{name="{name}"}} {value}\n' for name, value in sorted(loads.items())]
        self.answer(200, "# TYPE e2e_load gauge\n" + "".join(lines))

    def do_PUT(self):
        value = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        float(value)
        with lock:
            loads[self.path.rsplit("/", 1)[1]] = value
        self.answer(200, "")

    def do_DELETE(self):
        with lock:
            loads.pop(self.path.rsplit("/", 1)[1], None)
        self.answer(200, "")

    def share(self, name: str) -> float:
        now = time.monotonic()
        with lock:
            workers = {who: when for who, when in asked.get(name, {}).items() if now - when < 3}
            asked[name] = workers | {self.client_address[0]: now}
            return float(loads.get(name, 0)) / len(asked[name])

    def answer(self, status: int, body: str):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
