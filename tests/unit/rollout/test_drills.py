from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from migctl.errors import Usage
from migctl.rollout.drills import FILE, Drilled, missing, read
from tests.unit.rollout.test_walk import STEP, T0, at

ASKS = msgspec.structs.replace(STEP, drills=("failover",), max_drill_age_s=3600.0)


@pytest.mark.parametrize(
    ("drilled", "why"),
    [
        ([], "drill failover has no record of having passed"),
        ([Drilled("other", "pass", T0)], "drill failover has no record of having passed"),
        ([Drilled("failover", "fail", T0)], "drill failover ended with fail"),
        ([Drilled("failover", "pass", T0), Drilled("failover", "terminated", T0)], "terminated"),
        ([Drilled("failover", "pass", at(-50))], "more than 1 h ago"),
        ([Drilled("failover", "fail", at(-2)), Drilled("failover", "pass", T0)], None),
    ],
)
def test_a_drill_is_missing_unless_its_newest_line_is_a_pass_and_young(
    drilled: list[Drilled], why: str | None
) -> None:
    found = missing(ASKS, drilled, at(15))
    assert (found is None) if why is None else why in (found or "")


def test_a_stage_that_asks_for_none_misses_none() -> None:
    assert missing(STEP, [], T0) is None


def test_what_is_no_drill_is_told_with_its_line(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    good = b'{"drill":"failover","verdict":"pass","finished_at":"2026-01-05T12:00:00Z"}\n'
    (tmp_path / FILE).write_bytes(good)
    assert read(tmp_path) == [Drilled("failover", "pass", T0)]
    (tmp_path / FILE).write_bytes(good + b"{}\n")
    with pytest.raises(Usage, match=f"{FILE}:2"):
        read(tmp_path)
