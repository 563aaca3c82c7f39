"""The official web SDK and OFREP provider of OpenFeature, unmodified, from npm, against a real `serve`."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migctl.config import Target
from tests.kit import needs
from tests.kit.managed import EVALUATE, MENU, Managed, managing

HERE = Path(__file__).parent
DEADLINE_S = 60.0
ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
FLAGS: dict[str, dict[str, Any]] = {
    "bool": ON_OFF,
    "text": {**ON_OFF, "variants": {"on": "a\u2028b\U0001f600", "off": ""}, "metadata": {"owner": "shop"}},
    "whole": {**ON_OFF, "variants": {"on": 7, "off": 0}},
    "object": {**ON_OFF, "variants": {"on": {"a": [1, 2.5, None]}, "off": {}}},
    "off": {**ON_OFF, "state": "DISABLED"},
    "code": {**ON_OFF, "defaultVariant": None},
    "menu": MENU,
    "split": {**ON_OFF, "targeting": {"fractional": [["on", 100], ["off", 0]]}},
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and its packages, as the lock file names them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        needs.program("node and npm, for the official web provider of OpenFeature")
    folder = tmp_path_factory.mktemp("web-provider")
    for name in ("package.json", "package-lock.json", "client.cjs"):
        shutil.copy(HERE / name, folder)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        needs.program(f"the official web provider of OpenFeature, which npm can't get: {done.stderr[-500:]}")
    return folder


@pytest.fixture
def serve(standin: Target, tmp_path: Path) -> Iterator[Managed]:
    with managing(tmp_path / "serve", standin) as serve:
        for key, flag in FLAGS.items():
            made = serve.put(f"/api/flags/{key}", flag)
            assert made.status_code == 201, made.text
        yield serve


class Page:
    """The client in Node, step by step."""

    def __init__(self, packages: Path, url: str, token: str) -> None:
        self.process = subprocess.Popen(
            ["node", "client.cjs", url, token],
            cwd=packages, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def step(self, name: str) -> dict[str, Any]:
        line = self._lines.get(timeout=DEADLINE_S)
        assert self.process.stderr is not None
        assert line, self.process.stderr.read()
        said: dict[str, Any] = json.loads(line)
        assert said["step"] == name
        return said


@pytest.fixture
def page(packages: Path, serve: Managed) -> Iterator[Page]:
    page = Page(packages, serve.url, EVALUATE)
    yield page
    page.process.kill()
    page.process.communicate()


def test_web_provider_evaluates_each_type_is_told_once_and_sees_a_change(serve: Managed, page: Page) -> None:
    first = page.step("first")
    flags = first["flags"]
    assert first["statuses"][0] == 200
    values = {key: flags[key]["value"] for key in ("bool", "text", "whole", "object", "menu", "split")}
    assert values == {
        "bool": True, "text": "a\u2028b\U0001f600", "whole": 7, "object": {"a": [1, 2.5, None]}, "menu": True, "split": True,
    }  # fmt: skip
    reasons = {key: flags[key]["reason"] for key in ("bool", "menu", "split", "off", "code")}
    assert reasons == {
        "bool": "STATIC", "menu": "TARGETING_MATCH", "split": "TARGETING_MATCH", "off": "DISABLED", "code": "DEFAULT",
    }  # fmt: skip
    assert flags["text"]["variant"] == "on"
    assert flags["text"]["flagMetadata"]["owner"] == "shop"
    # The code's own holds where there is no value.
    assert (flags["off"]["value"], flags["code"]["value"]) == (True, True)
    assert (flags["unknown"]["value"], flags["unknown"]["errorCode"]) == ("mine", "FLAG_NOT_FOUND")
    assert (flags["mismatch"]["value"], flags["mismatch"]["errorCode"]) == ("mine", "TYPE_MISMATCH")

    polled = page.step("polled")
    assert set(polled["statuses"]) == {200, 304}
    assert (polled["flags"], polled["changes"]) == (flags, [])

    assert serve.put("/api/flags/menu", {**MENU, "targeting": {}}, tag="*").status_code == 200
    changed = page.step("changed")
    assert changed["changes"] == [["menu"]]
    assert changed["flags"]["menu"]["value"] is False

    without = page.step("without a key")["flags"]
    assert (without["split"]["value"], without["split"]["errorCode"]) == (False, "TARGETING_KEY_MISSING")
    assert without["bool"]["value"] is True
    assert page.process.wait(DEADLINE_S) == 0
