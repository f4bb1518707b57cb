"""The images that run on the node: KEDA's, as deploy/image builds it, and the two small programs of images/.

All are archives that containerd reads from a file; no registry is asked for anything.
"""

import subprocess
import sys
from pathlib import Path

from .state import E2E, ROOT, Failure, State

sys.path.append(str(ROOT / "deploy/image"))
import archive  # noqa: E402

PAUSE = "docker.io/keda-e2e/pause:1"
WORKER = "docker.io/keda-e2e/worker:1"


def _static(state: State, name: str, image: str) -> Path:
    """Compiles one of images/*.c, and wraps it."""
    program = state / f"images/{name}"
    out = state / f"images/{name}.tar"
    source = E2E / f"images/{name}.c"
    if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-s", "-o", program, source], check=True)
        content = archive.Content()
        content.add(f"/{name}", program, 0o755)
        archive.write(out, [image], content, {"Entrypoint": [f"/{name}"], "User": "65532:65532"},
                      archive.architecture(program))
    return out


def of_the_tests(state: State) -> list[Path]:
    (state / "images").mkdir(exist_ok=True)
    return [_static(state, "pause", PAUSE), _static(state, "worker", WORKER)]


def keda(state: State, program: str, *names: str, trust: list[Path] | None = None) -> Path:
    """KEDA's image under the given names, which trusts the given CAs too. A debug build may be as large as it is."""
    out = state / "images/keda.tar"
    arguments = [f"--name={name}" for name in names] + [f"--ca-file={file}" for file in trust or []]
    done = subprocess.run([ROOT / "deploy/image/build", out, "--program", program, "--limit", "1000", *arguments],
                          capture_output=True, text=True)
    if done.returncode:
        raise Failure(done.stderr.strip())
    return out
