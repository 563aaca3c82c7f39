"""What it does, its state with the reason, and the time that is left: apart, and each true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from migctl.status import Health, Problem, RatesStatus, ServeStatus, ThrottleStatus
from migctl.status.summary import summary
from tests.kit.statuses import status

NOW = datetime(2026, 11, 25, 17, 36, tzinfo=UTC)
OK = Health(status="ok", problems=[])
RATES = RatesStatus(over_s=10.0, taken_per_s=12.0, to_table_per_s=12.0)


def serve(
    *, health: Health = OK, rates: RatesStatus | None = RATES, relay: Any = None, journal: Any = None
) -> ServeStatus:
    of = status("dual-degraded-host")
    assert of.relay is not None
    plain = {"backlog": 0, "journal_head": 1000, "table_head": 1000}
    return replace(
        of,
        health=health,
        rates=rates,
        relay=replace(of.relay, **{**plain, **(relay or {})}),
        journal=replace(of.journal, **(journal or {})),
    )


def test_a_healthy_serve_has_no_reason_and_no_time() -> None:
    of = summary(serve(), NOW)
    assert of.does == "Serve: dual; 12 events/s; Table: 1,000/1,000 100.0%; Backlog: 0; Subscribers: 0"
    assert (of.state, of.left) == ("healthy", "journal never full at this rate")
    assert of.line() == f"{of.does}; State: healthy; Left: journal never full at this rate"


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (31.0, "journal full in 31 h at this rate"), (31.6, "journal full in 31 h 36 min at this rate"),
        (0.5, "journal full in 30 min at this rate"), (72.0, "journal full in 3 d at this rate"),
        (None, "journal never full at this rate"), (1e6, "journal never full at this rate"),
    ],
)  # fmt: skip
def test_what_fills_up_is_said_with_when(hours: float | None, words: str) -> None:
    assert summary(serve(journal={"full_in_hours": hours}), NOW).left == words


def test_a_disk_that_is_full_first_is_what_is_named() -> None:
    of = serve(journal={"full_in_hours": 31.0, "full_first": "disk"})
    assert summary(of, NOW).left == "disk full in 31 h at this rate"


def test_a_journal_that_is_full_is_not_full_later() -> None:
    assert summary(serve(journal={"full": "no room", "full_in_hours": 0.0}), NOW).left == "journal full now"


@pytest.mark.parametrize(
    ("to_table", "words"),
    [
        (212.0, "backlog gone in 20 s; "), (2.0, "backlog grows by 10/s; "), (12.0, ""), (None, ""),
    ],
)  # fmt: skip
def test_a_backlog_ends_or_grows_as_the_rates_say_and_else_nothing_is_said(
    to_table: float | None, words: str
) -> None:
    rates = None if to_table is None else replace(RATES, to_table_per_s=to_table)
    of = serve(rates=rates, relay={"backlog": 4000, "journal_head": 5000})
    assert summary(of, NOW).left == f"{words}journal never full at this rate"


@pytest.mark.parametrize("backlog", [1, 12])
def test_what_is_on_its_way_is_no_backlog_that_grows(backlog: int) -> None:
    rates = replace(RATES, to_table_per_s=11.9)
    of = serve(rates=rates, relay={"backlog": backlog, "journal_head": 1000})
    assert summary(of, NOW).left == "journal never full at this rate"


def test_a_share_is_never_whole_while_one_is_missing() -> None:
    of = serve(relay={"backlog": 1, "journal_head": 1_000_000})
    assert "Table: 999,999/1,000,000 99.9%" in summary(of, NOW).does


def test_a_throttle_is_the_state_with_its_reason_by_whom_and_how_long() -> None:
    held = ThrottleStatus(reason="vacuum", by="kim", since=NOW - timedelta(minutes=4))
    throttled = Problem(part="relay", state="throttled", reason="vacuum", do="lift it")
    away = Problem(part="table", state="retrying", reason="refused", do="wait")
    of = serve(health=Health(status="degraded", problems=[away, throttled]), relay={"throttled": held})
    assert summary(of, NOW).state == "throttled for 4 min: vacuum (by kim), and 1 more"


def test_the_most_serious_problem_is_the_state_and_the_others_are_counted() -> None:
    away = Problem(
        part="table", state="retrying", reason="refused", do="wait", since=NOW - timedelta(seconds=12)
    )
    of = serve(health=Health(status="degraded", problems=[away, away]))
    assert summary(of, NOW).state == "degraded: table: retrying for 12 s: refused, and 1 more"


def test_figures_that_move_are_no_change_and_a_reason_of_state_is() -> None:
    first = summary(serve(), NOW).changes
    assert summary(serve(relay={"backlog": 7, "journal_head": 2000}, rates=None), NOW).changes == first
    away = Problem(part="table", state="retrying", reason="refused", do="wait", since=NOW)
    of = serve(health=Health(status="degraded", problems=[away]))
    degraded = summary(of, NOW).changes
    assert degraded != first
    assert summary(of, NOW + timedelta(hours=1)).changes == degraded
