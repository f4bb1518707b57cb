"""helm, and what it renders."""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent.parent
CHART = DEPLOY / "chart/keda"
# A real one: without a cluster helm assumes an old one.
KUBE_VERSION = "1.35.0"


class Failure(Exception):
    """Something that the person who runs this can mend."""


def program() -> str:
    """helm: $HELM, what deploy/test built, or the PATH's."""
    built = Path(os.environ.get("KEDA_E2E_BIN", Path.home() / ".cache/keda-rs-e2e/bin")) / "helm"
    found = os.environ.get("HELM") or (str(built) if built.exists() else shutil.which("helm"))
    if not found:
        raise Failure("helm is not here: `deploy/test` builds it, or set HELM")
    return found


def helm(*args: str | Path, check: bool = True, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([program(), *map(str, args)], capture_output=True, text=True, **options)
    if check and done.returncode:
        raise Failure(f"helm {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done


def template(*args: str | Path, values: dict | None = None) -> str:
    """`helm template`, as text: a release `keda` in a namespace of that name."""
    given = [] if values is None else ["--values", "-"]
    return helm("template", "keda", CHART, "--namespace", "keda", "--kube-version", KUBE_VERSION, *args, *given,
                input=None if values is None else yaml.safe_dump(values)).stdout


def objects(text: str) -> list[dict]:
    """The objects in rendered text."""
    return [it for it in yaml.load_all(text, Loader=yaml.CSafeLoader) if it]


def render(values: dict | None = None) -> list[dict]:
    """The chart's objects under these values."""
    return objects(template(values=values))


def version() -> str:
    """The chart's appVersion: the version of everything here."""
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])


class _Dumper(yaml.SafeDumper):
    """Lists are indented, text of several lines is a block, nothing is an alias."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def _text(dumper: yaml.Dumper, data: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _text)


def dump(objects: list[dict], head: str = "") -> str:
    """Objects as one file."""
    documents = [yaml.dump(it, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True) for it in objects]
    return head + "---\n".join(documents)
