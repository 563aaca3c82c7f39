"""A minute of it: everything breaks, and everything that is promised holds."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.crash.history.nemesis import faketime
from tests.crash.history.run import run, table_of

pytestmark = pytest.mark.usefixtures("real_starts")

MINUTES = float(os.environ.get("MIGCTL_HISTORY_MINUTES", "1"))


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 500)
def test_nothing_is_lost_doubled_moved_or_invented_while_every_part_is_killed(tmp_path: Path) -> None:
    if faketime() is None:
        pytest.skip("NOT TESTED: libfaketime is not here: apt-get install libfaketime")
    seed = int(os.environ.get("MIGCTL_HISTORY_SEED", time.time() // 3600))
    report = asyncio.run(run(tmp_path / "history", seed, MINUTES))
    assert report.good, "\n".join(
        [
            f"MIGCTL_HISTORY_SEED={seed} draws it again; the history is {tmp_path / 'history'}",
            *table_of(report),
        ]
    )
