"""`migctl top` in 80 columns and 24 lines: every state fits, and what is not known is said."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from migctl.cli.top_keys import IDLE
from migctl.cli.top_view import Shown, spark, view
from migctl.status import Health
from tests.kit.statuses import NAMES, status

NOW = datetime(2026, 11, 25, 17, 36, tzinfo=UTC)


def drawn(of: Shown, width: int = 80) -> list[str]:
    screen = StringIO()
    Console(file=screen, width=width).print(view(of, NOW))
    return [line.rstrip() for line in screen.getvalue().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_terminal_and_its_last_line_says_the_keys(name: str) -> None:
    lines = drawn(Shown(status=status(name), backlog=[0, 3, 9], prompt=IDLE))
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert lines[-1] == IDLE


@pytest.mark.parametrize("name", NAMES)
def test_in_sixty_columns_no_word_of_a_table_is_cut_and_the_clock_is_there(name: str) -> None:
    lines = drawn(Shown(status=status(name), backlog=[0, 3, 9], prompt=IDLE), width=60)
    assert max(map(len, lines)) <= 60 and len(lines) <= 26
    assert lines[0].endswith("17:36:00 UTC")
    begin = next(number for number, line in enumerate(lines) if line.startswith("WAY"))
    end = next(number for number, line in enumerate(lines) if line.startswith(("backlog", "match")))
    ways = lines[begin:end]
    assert not any("…" in line for line in ways), ways
    # What is longer than its line ends with a mark, so that nobody takes its half for all of it.
    (does,) = [line for line in lines if line.startswith("does")]
    assert len(does) < 60 or does.endswith("…")


def test_rates_breakers_backlog_match_and_what_is_not_known_are_on_the_screen() -> None:
    of = status()
    text = " ".join(
        " ".join(drawn(Shown(status=of, backlog=[1, 2], rollout_trouble="the stack is down"))).split()
    )
    for words in (
        "journal full 12.0",
        "table throttled 4 min half-open 92.0",
        "websocket connected 2 min 48.0",
        "realtime degraded 99 s open 0.0",
        "backlog 4,000, the oldest 61.0 s",
        "matched",
        "rollout not known: the stack is down",
    ):
        assert words in text, text


def test_a_serve_that_does_not_answer_leaves_no_old_figures() -> None:
    lines = drawn(Shown(trouble="no serve runs in .migctl", prompt=IDLE))
    assert "no serve runs in .migctl" in lines
    assert not any("EVENTS/S" in line for line in lines)


def test_no_window_is_no_match() -> None:
    of = replace(status(), witness=None, health=Health(status="ok", problems=[]))
    assert any("no window of evidence yet" in line for line in drawn(Shown(status=of)))


def test_a_line_of_counts_goes_from_the_lowest_to_the_highest_and_is_flat_without_any() -> None:
    assert spark([0, 0]) == "▁▁"
    assert spark([0, 50, 100]) == "▁▄█"
    assert spark([]) == ""
    assert len(spark(list(range(500)))) == 48
