"""Secrets of scenarios are canaries: whatever KEDA and the control plane show, they are not in it.

`secret()` makes a value that can be told from all other text. `e2e/run` ends with `leaks()`, which looks for every such value, and for the
tokens of KEDA's own accounts, in all logs, in every version of every object that was recorded (events and conditions among them; Secrets
are not recorded) and in the metrics.
"""

import re
import secrets
from pathlib import Path

MARK = b"canary-"
# As it is, and as the base64 of a Secret's data, which begins with the value.
FORMS = re.compile(rb"canary-[a-z0-9-]+-[0-9a-f]{16}|Y2FuYXJ5L[A-Za-z0-9+/]{20,}")
TOKEN = re.compile(r"token:\s*(\S+)|\"token\":\s*\"([^\"]+)\"")


def secret(about: str) -> str:
    """A value for a Secret; `about` says in a finding which one it was."""
    return f"{MARK.decode()}{about}-{secrets.token_hex(8)}"


def _tokens(folder: Path) -> list[bytes]:
    """The tokens of KEDA's accounts."""
    found = []
    for file in folder.glob("keda-*.kubeconfig"):
        found += [(first or second).encode() for first, second in TOKEN.findall(file.read_text())]
    return found


def leaks(folder: Path, pages: dict[str, str]) -> list[str]:
    """Where a secret is shown: in the logs and records of a run, or in `pages` (by name). No finding shows the whole of it."""
    tokens = _tokens(folder)
    found = set()

    def look(place: str, text: bytes) -> None:
        found.update(f"{place}: {value[:14].decode()}…" for value in FORMS.findall(text))
        found.update(f"{place}: the token of an account" for token in tokens if token in text)

    for file in sorted([*folder.glob("log/*"), *folder.glob("record/*")]):
        with open(file, "rb") as lines:
            for line in lines:
                look(f"{file.parent.name}/{file.name}", line)
    for name, text in pages.items():
        look(name, text.encode())
    return sorted(found)
