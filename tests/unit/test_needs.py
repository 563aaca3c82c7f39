"""What a test may be skipped for, each cell of the table of `tests.kit.needs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
from pathlib import Path

import pytest
from tests.kit import needs


def test_program():
    needs.program("node")


@pytest.mark.skipif(True, reason="a mark")
def test_mark(): ...


@pytest.fixture
def away():
    pytest.skip("in a fixture")


def test_fixture(away): ...


def test_recording():
    needs.recording(Path("nowhere.ndjson"))


def test_right():
    needs.right("to mount")


def test_fine(): ...
"""


@pytest.mark.parametrize(
    ("environ", "ended"),
    [
        ({}, "1 passed, 5 skipped"),
        ({"CI": "true"}, "1 failed, 1 passed, 2 skipped, 2 errors"),
    ],
)
def test_in_ci_only_recordings_and_rights_may_be_wanting(
    tmp_path: Path, environ: dict[str, str], ended: str
) -> None:
    (tmp_path / "test_skips.py").write_text(TESTS)
    plain = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.kit.needs", "-p", "no:cacheprovider", "test_skips.py"],
        cwd=tmp_path, env={**plain, **environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended in done.stdout, done.stdout
    if "CI" in environ:
        assert "skipped, which CI does not allow: Skipped: NOT TESTED: it needs node" in done.stdout
