"""Schemathesis, told by the published document, finds nothing in a real `serve`: with tokens and without."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.server.access.tokens import PURPOSES, Token, mint_token
from tests.kit.managed import MENU, NAME, managing

CONFIG = Path(__file__).with_name("schemathesis.toml")
# One text with each purpose, so that no route is closed.
EVERYTHING, MASTER = mint_token("admin", "everything")
# Mode websocket has no table and no rollout, and no such routes.
NOT_HERE = ("/admin/dead-letters/", "/api/rollout", "/api/drills")
ENTRIES = [Token(purpose, MASTER.name, MASTER.digest).entry for purpose in PURPOSES]

# One that needs a key and one that does not.
SEGMENT = {"users": ["ann"], "ends_with": ["@example.org"]}
FLAGS = {
    "menu": MENU,
    "split": {**MENU, "targeting": {"fractional": [["on", 50], ["off", 50]]}},
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("with_tokens", [False, True])
def test_schemathesis_finds_nothing(standin: Target, tmp_path: Path, with_tokens: bool) -> None:
    more = {"MIGCTL_TOKENS": ",".join(ENTRIES)} if with_tokens else {}
    headers = {"Authorization": f"Bearer {EVERYTHING}"} if with_tokens else {}
    with managing(tmp_path / "serve", standin, more=more) as serve:
        new = {**headers, "If-None-Match": "*"}
        for key, flag in FLAGS.items():
            body = {"target": NAME, "reason": "a test", "flag": flag}
            assert serve.nobody.put(f"/api/flags/{key}", json=body, headers=new).status_code == 201
        body = {"target": NAME, "reason": "a test", "segment": SEGMENT}
        assert serve.nobody.put("/api/segments/staff", json=body, headers=new).status_code == 201

        words = [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "--no-color",
            "run", f"{serve.url}/openapi.json", "--max-examples", "20", "--seed", "7",
            "--suppress-health-check", "all", "--warnings", "off", "--max-failures", "20",
            "--exclude-path-regex", f"^({'|'.join(NOT_HERE)})",
            *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
        ]  # fmt: skip
        document = serve.nobody.get("/openapi.json").json()
        documented = sum(
            len(methods) for path, methods in document["paths"].items() if not path.startswith(NOT_HERE)
        )
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=380, check=False, cwd=serve.folder
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert serve.nobody.get("/healthz").status_code == 200
        log = (serve.folder / "serve.log").read_text()
        assert "an error of ours" not in log
    asked = re.search(r"Tested: (\d+)", done.stdout)
    # It need not ask for the document again.
    assert asked is not None
    assert int(asked[1]) >= documented - 1, done.stdout[-3000:]
