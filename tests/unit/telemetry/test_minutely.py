"""A log line a minute of what was carried: when one is due, and what it says."""

from __future__ import annotations

import asyncio
import logging

import pytest

from migctl.telemetry import get_logger
from migctl.telemetry.minutely import Minutely
from migctl.telemetry.summary import Summary


def test_nothing_carried_is_nothing_logged() -> None:
    minutely = Minutely()
    assert [minutely.due(at * 30.0) for at in range(100)] == [None] * 100
    assert minutely.rest() is None


def test_a_minute_of_batches_is_one_line_with_their_sums_and_durations() -> None:
    minutely = Minutely()
    for at in range(60):
        took_s = 0.5 if at == 30 else 0.002
        assert minutely.carried(100.0 + at, took_s=took_s, events=10, rows=9) is None
    assert minutely.due(159.9) is None
    assert minutely.due(160.0) == {
        "events": 600, "rows": 540, "batches": 60, "ms_p50": 2.0, "ms_max": 500.0, "over_s": 59.0
    }  # fmt: skip
    assert minutely.due(1000.0) is None, "a line is given once"
    assert minutely.rest() is None


def test_the_batch_after_a_silence_is_no_part_of_the_line_before_it() -> None:
    minutely = Minutely()
    minutely.carried(0.0, took_s=0.25, events=1)
    line = minutely.carried(3600.0, took_s=0.1, events=5)
    assert line is not None
    assert (line["events"], line["over_s"]) == (1, 0.2)
    assert minutely.carried(3659.9, took_s=0.1, events=5) is None
    line = minutely.due(3660.0)
    assert line is not None
    assert line["events"] == 10


def test_at_the_end_what_is_held_is_given_before_its_minute_is_over() -> None:
    minutely = Minutely()
    minutely.carried(0.0, took_s=0.01, events=3)
    line = minutely.rest()
    assert line is not None
    assert line["events"] == 3
    assert minutely.rest() is None


def test_lines_follow_the_time_and_not_the_batches() -> None:
    minutely = Minutely()
    lines = [
        line
        for number in range(100_000)
        if (line := minutely.carried(number * 0.003, took_s=number % 100 / 1000, events=1)) is not None
    ]
    rest = minutely.rest()
    assert rest is not None
    assert len(lines) == 4, "of 300 s; the fifth is not over"
    assert sum(line["events"] for line in [*lines, rest]) == 100_000
    assert all(45 <= line["ms_p50"] <= 55 and line["ms_max"] == 99 for line in lines)


async def test_a_room_logs_its_line_when_due_and_the_rest_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="migctl")
    summary = Summary(get_logger("relay"), "batches written", position=lambda: {"table_head": 7}, every_s=0.0)
    task = asyncio.ensure_future(summary.run())
    await asyncio.sleep(0)
    for _ in range(2):
        summary.carried(took_s=0.01, events=3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    for record in caplog.records:
        assert "batches written events=3 batches=1" in record.message
        assert "table_head=7" in record.message
