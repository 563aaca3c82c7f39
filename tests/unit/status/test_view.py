"""How a status looks in a terminal of 80 columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from migctl.cli.status_view import go_on, view
from migctl.status import Health, Problem, ServeStatus
from tests.kit.statuses import NAMES, status

NOW = datetime(2026, 11, 25, 17, 36, tzinfo=UTC)


def drawn(of: ServeStatus, width: int = 80) -> list[str]:
    screen = StringIO()
    Console(file=screen, width=width).print(*view(of, NOW))
    return [line.rstrip() for line in screen.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(name: str, width: int) -> None:
    lines = drawn(status(name), width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)


def test_each_problem_stands_with_its_way_out_below_it() -> None:
    lines = drawn(status())
    assert "  serve: draining" in lines
    assert "  broadcast: degraded, breaker open for 99 s: no canary seen for 1.5 s" in lines
    place = lines.index("  broadcast: degraded, breaker open for 99 s: no canary seen for 1.5 s")
    assert lines[place + 1] == "    nothing: a canary is tried again"


def test_a_way_out_that_helps_several_is_said_once_below_the_last_of_them() -> None:
    def problem(part: str, do: str) -> Problem:
        return Problem(part=part, state="paused", reason=None, do=do, since=NOW - timedelta(hours=3))

    problems = [problem("table", "apply it"), problem("heads", "apply it"), problem("source", "wait")]
    lines = drawn(replace(status(), health=Health(status="degraded", problems=problems)))
    first = lines.index("  table: paused for 3 h")
    assert lines[first : first + 5] == [
        "  table: paused for 3 h",
        "  heads: paused for 3 h",
        "    apply it",
        "  source: paused for 3 h",
        "    wait",
    ]


def test_who_feeds_old_dashboards_stands_in_a_line_of_its_own() -> None:
    line = next(line for line in drawn(status(), 200) if line.startswith("legacy"))
    assert line.split(maxsplit=1)[1] == (
        "fed: 1 by both, 2 by the journal; legacy.serve both; "
        "the old service is quiet since 2026-11-25 17:30:00 UTC"
    )


def test_what_it_does_its_state_and_what_is_left_come_first_each_in_a_place_of_its_own() -> None:
    lines = drawn(status("websocket-file"))
    assert [line.split()[0] for line in lines[:3]] == ["does", "state", "left"]
    assert lines[1] == "state       healthy"
    assert lines[2] == "left        journal never full at this rate"
    assert drawn(status())[2].startswith("state       draining")


def test_a_healthy_serve_of_both_transports_fits_one_screen() -> None:
    of = replace(status("dual-degraded-host"), health=Health(status="ok", problems=[]))
    assert len(drawn(of)) < 24


def test_the_one_answer_is_yes_or_no_with_each_reason() -> None:
    def answer(hinder: list[str]) -> list[str]:
        screen = StringIO()
        Console(file=screen, width=80).print(*go_on(hinder))
        return screen.getvalue().split("\n")[:-1]

    assert answer([]) == ["safe to go on"]
    assert answer(["relay: throttled", "x"]) == ["not safe to go on", "  relay: throttled", "  x"]


def test_everything_that_a_part_says_is_on_the_screen() -> None:
    text = " ".join(" ".join(drawn(status())).split())
    for said in (
        "backlog 4,000, the oldest waits 61.0 s",
        "2 poison, 1 conflict",
        "accepted until 2026-11-25 17:44:10 UTC by ops",
        "2 wait: `migctl deadletter list`; the relay is held",
        "7 subscribers (4 v2, 2 legacy, 1 piped), 3 standby, 12 events behind",
        "subscribers were sent to the WebSocket 99 s ago: the breaker of broadcast is open",
        "tap ws://127.0.0.1:9/tap: waiting; 38 accepted, 1 rejected",
        "2, 3.2 s without the stream; one lasts since 2026-11-25 17:33:59 UTC: Connection refused",
        "full, stalled",
        "3 lines could not be written, and are lost",
        "12 requests, 1 answered 5xx, 1 events taken",
        "table retrying 99 s half-open 0.5 s 5",
        "broadcast degraded 99 s open in 0.8 s",
    ):
        assert said in text
