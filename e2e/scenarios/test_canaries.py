"""The search for secrets that ends every run can find one."""

import base64

from harness import canary


def test_a_secret_that_is_shown_is_found(tmp_path):
    for folder in ("log", "record"):
        (tmp_path / folder).mkdir()
    (tmp_path / "keda-operator.kubeconfig").write_text("users:\n- user:\n    token: eyJhbGciOi.of.keda\n")
    (tmp_path / "log/operator-a.log").write_text("INFO nothing to see\n")
    assert canary.leaks(tmp_path, {"metrics": "keda_build_info 1\n"}) == []

    value = canary.secret("bearer")
    (tmp_path / "log/operator-a.log").write_text(f"ERROR the server said {value}\nDEBUG with eyJhbGciOi.of.keda\n")
    encoded = base64.b64encode(value.encode()).decode()
    (tmp_path / "record/events.jsonl").write_text(f'{{"note": "data {encoded}"}}\n')
    found = canary.leaks(tmp_path, {"metrics": f'x{{error="{value}"}} 1\n'})
    assert [line.split(":")[0] for line in found] == [
        "log/operator-a.log", "log/operator-a.log", "metrics", "record/events.jsonl"]
    assert all(value not in line and encoded not in line and "of.keda" not in line for line in found)
