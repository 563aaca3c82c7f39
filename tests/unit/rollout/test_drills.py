from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from migctl.errors import Usage
from migctl.rollout.drills import FILE, Drilled, append, missing, read
from tests.unit.rollout.test_walk import STEP, T0, at

ASKS = msgspec.structs.replace(STEP, drills=("failover",), max_drill_age_s=3600.0)


def ran(drill: str, verdict: str, finished_at: datetime, config: str = "c1") -> Drilled:
    return Drilled(drill, verdict, finished_at, config)


@pytest.mark.parametrize(
    ("drilled", "why"),
    [
        ([], "drill failover has no record of having passed"),
        ([ran("other", "pass", T0)], "drill failover has no record of having passed"),
        ([ran("failover", "fail", T0)], "drill failover ended with fail"),
        ([ran("failover", "pass", T0), ran("failover", "terminated", T0)], "terminated"),
        ([ran("failover", "pass", at(-50))], "more than 1 h ago"),
        ([ran("failover", "fail", at(-2)), ran("failover", "pass", T0)], None),
        ([ran("failover", "pass", T0, "c0")], "was run with another configuration (c0, now c1)"),
        ([ran("failover", "pass", T0, "")], "with one that is not known"),
        ([ran("failover", "pass", at(-2), "c0"), ran("failover", "pass", T0)], None),
    ],
)
def test_a_drill_is_missing_unless_its_newest_line_is_a_pass_and_young(
    drilled: list[Drilled], why: str | None
) -> None:
    found = missing(ASKS, drilled, at(15), "c1")
    assert (found is None) if why is None else why in (found or "")


def test_a_stage_that_asks_for_none_misses_none() -> None:
    assert missing(STEP, [], T0, "c1") is None


def test_what_is_no_drill_is_told_with_its_line(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    good = b'{"drill":"failover","verdict":"pass","finished_at":"2026-01-05T12:00:00Z"}\n'
    (tmp_path / FILE).write_bytes(good)
    assert read(tmp_path) == [Drilled("failover", "pass", T0)]
    (tmp_path / FILE).write_bytes(good + b"{}\n")
    with pytest.raises(Usage, match=f"{FILE}:2"):
        read(tmp_path)


def test_a_line_that_was_appended_is_read_again_and_is_nobody_else_s(tmp_path: Path) -> None:
    for verdict in ("fail", "pass"):
        append(tmp_path, ran("failover", verdict, T0))
    assert read(tmp_path) == [ran("failover", "fail", T0), ran("failover", "pass", T0)]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_what_a_kill_left_half_written_is_no_drill_and_spoils_no_other(tmp_path: Path) -> None:
    append(tmp_path, ran("failover", "pass", T0))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"drill":"failo')
    assert read(tmp_path) == [ran("failover", "pass", T0)]
    append(tmp_path, ran("failover", "fail", T0))
    assert read(tmp_path) == [ran("failover", "pass", T0), ran("failover", "fail", T0)]
