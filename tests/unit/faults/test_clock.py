"""A stepped clock: what a process under it takes for the time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from migctl.faults.clock import SteppedClock, library
from migctl.faults.lacking import Lacking
from tests.kit import needs


def test_a_process_under_it_has_another_time_and_the_same_monotonic_time(tmp_path: Path) -> None:
    if library() is None:
        needs.program("libfaketime")
    clock = SteppedClock(tmp_path)
    clock.step(-600)
    program = [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"]
    done = subprocess.run(program, env={**os.environ, **clock.environ}, capture_output=True, check=True)
    wall, monotonic = map(float, done.stdout.split())
    assert -610 < wall - time.time() <= -599
    assert monotonic <= time.monotonic()


def test_without_libfaketime_it_is_refused_with_the_way_out(tmp_path: Path) -> None:
    if library() is not None:
        assert SteppedClock(tmp_path).environ["LD_PRELOAD"] == str(library())
        return
    with pytest.raises(Lacking, match="libfaketime"):
        SteppedClock(tmp_path)
