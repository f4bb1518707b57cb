"""What is rendered from the chart and committed."""

import subprocess
import sys
from pathlib import Path

import yaml
from rendering import helm, olm

DEPLOY = Path(__file__).resolve().parent.parent


def test_nothing_is_stale():
    done = subprocess.run([sys.executable, DEPLOY / "render", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_release_has_the_files_that_upstreams_has(tmp_path):
    subprocess.run([sys.executable, DEPLOY / "render", "--release", tmp_path], check=True, capture_output=True)
    version = helm.version()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"keda-{version}.tgz", f"keda-{version}.yaml", f"keda-{version}-core.yaml", f"keda-{version}-crds.yaml"}


def test_plain_manifests_have_upstreams_names_and_nothing_of_helm():
    text = (DEPLOY / "manifests/keda.yaml").read_text()
    objects = helm.objects(text)
    names = {kind: {it["metadata"]["name"] for it in objects if it["kind"] == kind} for kind in ("Deployment", "Service")}
    assert names["Deployment"] == {"keda-operator", "keda-metrics-apiserver", "keda-admission"}
    assert names["Service"] == {"keda-operator", "keda-metrics-apiserver", "keda-admission-webhooks"}
    selectors = {
        it["metadata"]["name"]: it["spec"]["selector"]["matchLabels"] for it in objects if it["kind"] == "Deployment"}
    assert selectors == {
        "keda-operator": {"app": "keda-operator"},
        "keda-metrics-apiserver": {"app": "keda-metrics-apiserver"},
        "keda-admission": {"app": "keda-admission-webhooks"}}
    assert "helm" not in text.lower()
    assert objects[0]["kind"] == "Namespace"


def test_core_is_all_but_the_webhooks():
    def names(file):
        return {(it["kind"], it["metadata"]["name"]) for it in helm.objects((DEPLOY / "manifests" / file).read_text())}

    missing = names("keda.yaml") - names("keda-core.yaml")
    assert missing == {
        ("Deployment", "keda-admission"), ("Service", "keda-admission-webhooks"), ("ServiceAccount", "keda-webhook"),
        ("ClusterRole", "keda-operator-webhook"), ("ClusterRoleBinding", "keda-operator-webhook"),
        ("ValidatingWebhookConfiguration", "keda-admission")}
    assert names("keda-crds.yaml") < names("keda-core.yaml")


# -- OLM ---------------------------------------------------------------------------------------------------

# The validators know resources by their names only, whatever the group.
KNOWN = "this bundle is using APIs which were deprecated and removed in v1.25"


def validate(*bundles: Path) -> tuple[int, list[str]]:
    done = subprocess.run(["go", "run", ".", *map(str, bundles)], cwd=Path(__file__).parent / "olm",
                          capture_output=True, text=True)
    findings = done.stdout.splitlines()
    if done.returncode and not findings:
        findings = done.stderr.splitlines()
    return done.returncode, [line for line in findings if line and KNOWN not in line]


def write(folder: Path, files: dict[Path, str]) -> Path:
    for path, text in files.items():
        target = folder / path.relative_to(olm.BUNDLE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def test_the_bundle_is_valid():
    assert validate(DEPLOY / olm.BUNDLE) == (0, [])


def test_the_next_version_upgrades_from_this_one(tmp_path):
    version = helm.version()
    later = write(tmp_path / "later", olm.files("999.0.0", version))
    assert validate(DEPLOY / olm.BUNDLE, later) == (0, [])
    # The same deployments and definitions: what runs is changed in place.
    def content(folder):
        csv = yaml.safe_load((folder / "manifests/keda-rs.clusterserviceversion.yaml").read_text())["spec"]
        install = csv["install"]["spec"]["deployments"]
        return csv["customresourcedefinitions"], [(it["name"], it["spec"]["selector"]) for it in install]

    assert content(later) == content(DEPLOY / olm.BUNDLE)
    lost = write(tmp_path / "lost", olm.files("999.0.0", "998.0.0"))
    code, said = validate(DEPLOY / olm.BUNDLE, lost)
    assert code == 1 and any("replaces" in line for line in said)


def test_a_broken_bundle_is_refused(tmp_path):
    files = olm.files()
    broken = {path: text for path, text in files.items() if "scaledobjects" not in path.name}
    code, said = validate(write(tmp_path, broken))
    assert code == 1 and any("Kind=ScaledObject" in line for line in said), said


def test_every_definition_and_webhook_is_declared():
    csv = yaml.safe_load((DEPLOY / olm.BUNDLE / "manifests/keda-rs.clusterserviceversion.yaml").read_text())["spec"]
    assert len(csv["customresourcedefinitions"]["owned"]) == 6
    assert len(csv["webhookdefinitions"]) == 6
    install = csv["install"]["spec"]
    # OLM makes accounts for whom it has permissions, and no others.
    used = {it["spec"]["template"]["spec"]["serviceAccountName"] for it in install["deployments"]}
    assert {it["serviceAccountName"] for it in install["clusterPermissions"]} == used
    assert {it["serviceAccountName"] for it in install["permissions"]} == {"keda-operator"}
