"""What a test needs of the machine. Where it is not there the test is skipped, loudly; with `CI` set that is a failure.

| it lacks | without CI | with CI |
|---|---|---|
| a program or a library (`.ci/run` installs those of Debian) | skipped | fails |
| a recording of `../shared/data`, which is no part of the repository | skipped | skipped |
| a right that no installing gives: to be root, to mount | skipped | skipped |
| anything else that a test may skip for | skipped | fails |

A plugin of pytest: whatever way a test is skipped in, this is held.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest

_RECORDING = "NOT RUN: this recording is not here: "
_RIGHT = "NOT TESTED: it takes a right that we have not: "

CHROMIUM = Path(os.environ.get("MIGCTL_CHROMIUM", "/usr/bin/chromium"))

as_root = pytest.mark.skipif(os.geteuid() != 0, reason=f"{_RIGHT}to be root")


def program(what: str) -> NoReturn:
    pytest.skip(f"NOT TESTED: it needs {what}")


def chromium() -> Path:
    """Where the browser is."""
    if not CHROMIUM.exists():
        program(f"{CHROMIUM}: apt-get install chromium, or MIGCTL_CHROMIUM")
    return CHROMIUM


def right(what: str) -> NoReturn:
    pytest.skip(_RIGHT + what)


def recording(path: Path) -> Path:
    """The path, where a recording is there."""
    if not path.exists():
        pytest.skip(f"{_RECORDING}{path}")
    return path


def may_be_skipped(reason: str, *, in_ci: bool) -> bool:
    return not in_ci or reason.removeprefix("Skipped: ").startswith((_RECORDING, _RIGHT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2])
        if not may_be_skipped(reason, in_ci="CI" in os.environ):
            report.outcome = "failed"
            report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report
