"""The Node client of Toxiproxy (toxiproxy-node-client), unmodified, from npm, against `migctl drill proxy`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit import needs
from tests.kit.proxying import echoing, proxying

HERE = Path(__file__).parent


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with the client and its package, as the lock file names it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        needs.program("node and npm, for the Node client of Toxiproxy")
    folder = tmp_path / "client"
    folder.mkdir()
    for name in ("package.json", "package-lock.json", "client.cjs"):
        shutil.copy(HERE / name, folder)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        needs.program(f"the Node client of Toxiproxy, which npm can't get: {done.stderr[-500:]}")
    return folder


def test_the_client_steers_proxies_and_toxics_as_it_does_at_the_original(
    tmp_path: Path, packages: Path
) -> None:
    with echoing() as port, proxying(tmp_path) as running:
        done = subprocess.run(
            ["node", "client.cjs", running.url, str(port)],
            cwd=packages, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = {step.pop("step"): step for step in map(json.loads, done.stdout.splitlines())}
    assert json.loads(steps["version"]["text"])["version"].startswith("2.")

    proxy = steps["created"]["proxy"]
    assert (proxy["name"], proxy["upstream"], proxy["enabled"]) == ("line", f"localhost:{port}", True)
    assert proxy["listen"].startswith("127.0.0.1:")
    assert steps["created"]["answer"] == "hello\n"
    assert steps["twice"]["error"] == "Request failed with status code 409"

    latency = {"name": "latency_downstream", "type": "latency", "stream": "downstream"}
    assert steps["latency"]["toxic"] == {
        **latency,
        "toxicity": 1,
        "attributes": {"latency": 200, "jitter": 0},
    }
    assert steps["latency"]["ms"] >= 200
    changed = {**latency, "toxicity": 0.5, "attributes": {"latency": 1, "jitter": 0}}
    assert steps["changed"] == {"toxic": changed, "again": changed}
    assert steps["removed"]["error"] == "Request failed with status code 404"
    assert steps["wrong"]["error"] == "Request failed with status code 400"

    assert (steps["down"]["enabled"], steps["down"]["open"]) == (False, "ECONNRESET")
    assert "ECONNREFUSED" in steps["down"]["fresh"]
    assert steps["reset"]["answer"] == "back\n"
    assert (steps["populated"]["names"], steps["populated"]["listen"]) == (["line", "other"], proxy["listen"])
    assert steps["populated"]["answer"] == "other\n"
    assert steps["left"] == {"names": ["other"], "error": "Request failed with status code 404"}
