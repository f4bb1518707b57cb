"""Writes down everything that happens to the kinds of interest: one `kubectl` watch a kind, one file a kind.

A line is `{"t": seconds since the epoch, "type": ADDED|MODIFIED|DELETED, "object": ...}`. Scenarios read the files, so
they see every state that ever was, not only what a poll happened to meet; and a failing scenario's story is there to
be printed. A watch that ends (the API server was restarted) begins again, and lists once more.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

WATCHES = {
    "scaledobjects": "/apis/keda.sh/v1alpha1/scaledobjects",
    "deployments": "/apis/apps/v1/deployments",
    "statefulsets": "/apis/apps/v1/statefulsets",
    "horizontalpodautoscalers": "/apis/autoscaling/v2/horizontalpodautoscalers",
    "events": "/apis/events.k8s.io/v1/events",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/keda/leases",
    "widgets": "/apis/e2e.keda.sh/v1/widgets",
}


def watch(kubectl: list[str], path: str, file: Path) -> None:
    with open(file, "a") as out:
        while True:
            process = subprocess.Popen(
                [*kubectl, "get", "--raw", f"{path}?watch=1&timeoutSeconds=86400"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for line in process.stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event.get("type") not in ("ADDED", "MODIFIED", "DELETED"):
                    continue
                event["object"]["metadata"].pop("managedFields", None)
                out.write(json.dumps({"t": time.time(), **event}) + "\n")
                out.flush()
            process.wait()
            time.sleep(1)


if __name__ == "__main__":
    folder, kubectl = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(exist_ok=True)
    threads = [threading.Thread(target=watch, args=(kubectl, path, folder / f"{kind}.jsonl"))
               for kind, path in WATCHES.items()]
    for thread in threads:
        thread.start()
