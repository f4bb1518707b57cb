"""A receiver of CloudEvents over HTTP: keeps what it takes, and goes away and comes back when a scenario says so.

Runs in the scenario's own process, on a port that it keeps.
"""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class CloudEvent:
    """An event in binary mode: attributes from the headers `ce-…`, the data from the body."""

    attributes: dict
    content_type: str
    data: dict

    @property
    def type(self) -> str:
        return self.attributes["type"]

    @property
    def subject(self) -> str:
        return self.attributes["subject"]


class Sink:
    def __init__(self):
        self.events: list[CloudEvent] = []
        self.requests = 0
        self._status = 202
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/in"

    def listen(self) -> None:
        """There again, where it was."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.requests += 1
                status = sink._status
                if status < 300:
                    attributes = {name[3:].lower(): value for name, value in self.headers.items()
                                  if name.lower().startswith("ce-")}
                    sink.events.append(CloudEvent(attributes, self.headers["Content-Type"], json.loads(body)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def leave(self) -> None:
        """Nobody listens any more."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, status: int) -> None:
        """What it answers from now on; a 2xx takes the event."""
        self._status = status

    def of(self, type: str, subject: str | None = None) -> list[CloudEvent]:
        """The events of a type, about an object if one is named."""
        return [event for event in list(self.events)
                if event.type == type and subject in (None, event.subject)]
