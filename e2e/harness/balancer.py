"""What a Service of type ClusterIP does for the operator's metrics service: every connection goes to one of the backends.

The backends are read from a file at each connection (addresses, one a line). A backend that refuses is answered as
kube-proxy would: the connection is closed, and the client has to try again.
"""

import random
import socket
import sys
import threading
from pathlib import Path


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client: socket.socket, backends: Path) -> None:
    try:
        host, _, port = random.choice(backends.read_text().split()).rpartition(":")
        server = socket.create_connection((host, int(port)), timeout=5)
        server.settimeout(None)
    except (OSError, IndexError):
        client.close()
        return
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=pump, args=(server, client), daemon=True)
    back.start()
    pump(client, server)
    back.join()
    client.close()
    server.close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], Path(sys.argv[2])), daemon=True).start()
