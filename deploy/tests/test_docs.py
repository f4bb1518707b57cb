"""The guides: the values they name exist, the files they link do."""

import re
from pathlib import Path

import pytest
import yaml
from rendering import helm

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDES = [ROOT / "docs/guides" / name for name in ("install.md", "aks-managed-prometheus.md", "migrate-from-upstream.md")]
SECTIONS = yaml.safe_load((helm.CHART / "values.yaml").read_text())
# Former values, which values.yaml describes in words.
FORMER = {"serviceAccount.create", "serviceAccount.name"}


def there(path: str) -> bool:
    place = SECTIONS
    for key in path.split("."):
        if not isinstance(place, dict) or key not in place:
            # Below a free object anything may stand.
            return place == {} or path in FORMER
        place = place[key]
    return True


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_values_exist(guide):
    text = guide.read_text()
    words = re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:: [^`]*|=[^`]*)?`", text) + re.findall(r"--set ([\w.]+)=", text)
    named = {word for word in words if word.split(".")[0] in SECTIONS and not word.endswith((".yaml", ".keda.sh"))}
    assert named
    assert {word for word in named if not there(word)} == set()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_links_and_files_exist(guide):
    text = guide.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if link and not (guide.parent / link).exists()] == []
    files = set(re.findall(r"deploy/[\w./-]+[\w]", text))
    assert files and {file for file in files if not (ROOT / file).exists()} == set()


def test_the_dockerfile_is_what_the_manifests_expect():
    """Not built here; what the pods rely on is read: the last stage, its user, its entry."""
    stages = (ROOT / "deploy/Dockerfile").read_text().split("\nFROM ")
    last = stages[-1].splitlines()
    assert last[0] == "scratch"
    assert "USER 65532:65532" in last and 'ENTRYPOINT ["/keda"]' in last
    assert not [line for line in last if line.startswith("RUN")]
    minimum = re.search(r'rust-version = "([^"]+)"', (ROOT / "Cargo.toml").read_text())[1]
    assert stages[1].startswith(f"rust:{minimum}-") or stages[0].startswith(f"FROM rust:{minimum}-")
