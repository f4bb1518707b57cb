"""The application whose load the scenarios set.

`GET /metrics` shows every load as `e2e_load{name="..."}`; `PUT /load/NAME` with a number (or `NaN`) as the body sets
one, `DELETE /load/NAME` takes the series away. Prometheus scrapes it every second.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

loads: dict[str, str] = {}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
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

    def answer(self, status: int, body: str):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
