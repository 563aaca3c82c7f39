"""A drill that only listens: what counts as a sign of life, what is made of it, and what its file may not name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from migctl import clock
from migctl.config.problems import Faulty
from migctl.drills import catalog
from migctl.drills.evidence import within
from migctl.drills.functions.checking import OfListen, read, with_changes
from migctl.drills.functions.signs import (
    OfTransport,
    apart_ms,
    figures,
    signs_apart_ms,
    signs_heard,
    signs_late_p99_ms,
    skew_of,
)
from migctl.drills.functions.soak import Changes
from migctl.drills.judging import Committed, Heard, Line, Truth
from migctl.drills.latency import p99
from migctl.drills.measuring import measure
from migctl.drills.result import Skew
from migctl.drills.world.observed import Observed, observed
from migctl.drills.world.signs import Questions, Sign, of_answer, of_broadcast, of_frame

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
REALTIME = OfTransport(transport="realtime")


def line(seq: int, *, after_ms: int = 20, via: str = "live") -> Line:
    committed = AT + timedelta(seconds=seq)
    found = Line(
        f"id-{seq}", "e", seq, committed, committed + timedelta(milliseconds=after_ms), "realtime", "live"
    )
    return msgspec.structs.replace(found, via=via)


def committed(*seqs: int) -> list[Committed]:
    return [Committed(("e", seq), f"id-{seq}", (AT + timedelta(seconds=seq)).timestamp()) for seq in seqs]


def heard(*lines: Line, start: int = 0) -> Heard:
    return Heard("realtime-1", "realtime", list(lines), ("e", start), True)


@contextmanager
def observing(*signs: Sign) -> Iterator[Observed]:
    with observed("ws://127.0.0.1:9/ws", token=None) as on:
        on.signs.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in signs))
        yield on


def test_canaries_and_events_are_signs_and_what_says_only_how_far_the_table_is_is_none() -> None:
    at = "2026-03-01T09:00:00.500000Z"
    assert of_broadcast("canary", {"from": "x", "n": 1, "at": at}) == ("canary", AT + timedelta(seconds=0.5))
    assert of_broadcast("canary", {"from": "x", "n": 1}) == ("canary", None)
    assert of_broadcast("events", {"events": [{"seq": 1}, {"committed_at": at}]}) == (
        "event",
        AT + timedelta(seconds=0.5),
    )
    assert of_broadcast("events", {"events": []}) is None
    assert of_broadcast("heartbeat", {"table_head": 1}) is None


def test_heartbeats_and_events_of_a_socket_are_signs_and_a_hello_is_none() -> None:
    at = "2026-03-01T09:00:00Z"
    assert of_frame(f'{{"type":"sys.hb","data":{{}},"timestamp":"{at}"}}') == ("heartbeat", AT)
    assert of_frame(f'{{"type":"cpu","data":{{}},"seq":1,"committed_at":"{at}"}}') == ("event", AT)
    assert of_frame('{"type":"sys.hello","data":{},"timestamp":"x"}') is None
    assert of_frame('{"type":"sys.hb","timestamp":"yesterday"}') == ("heartbeat", None)


def test_a_transport_of_which_nothing_came_has_no_figure_rather_than_a_good_one() -> None:
    with observing(Sign("websocket", "heartbeat", 1.0, 2.0)) as on:
        assert signs_heard.probe(on, REALTIME) is None
        assert signs_apart_ms.probe(on, REALTIME) is None
        assert signs_late_p99_ms.probe(on, REALTIME) is None


def test_signs_are_counted_by_transport_and_timed_where_they_say_when() -> None:
    signs = [Sign("realtime", "canary", 1.0, 3.0), Sign("realtime", "event", 2.0, None)]
    with observing(*signs, Sign("websocket", "heartbeat", 9.0, 9.0)) as on:
        assert on.url == "http://127.0.0.1:9"
        assert signs_heard.probe(on, REALTIME) == 2
        assert signs_late_p99_ms.probe(on, REALTIME) == 3.0


def test_the_time_since_the_last_sign_counts_as_one_without() -> None:
    assert apart_ms([1.0, 1.5], 1.6) == 500
    assert apart_ms([1.0, 1.5], 4.5) == 3000
    assert apart_ms([1.0], 4.5) is None


def test_an_answer_tells_how_far_the_other_clock_is_ahead_whatever_the_way_takes() -> None:
    asked, received = AT, AT + timedelta(milliseconds=40)
    for ahead in (timedelta(seconds=5), timedelta(seconds=-5), timedelta()):
        said = AT + timedelta(milliseconds=20) + ahead
        assert of_answer(asked, received, said) == (40.0, 1000 * ahead.total_seconds())


def test_the_quickest_answer_says_how_the_clock_goes_and_none_is_a_sign_of_life() -> None:
    answers = [Sign("websocket", "clock", 1.0, 40.0, 300.0), Sign("websocket", "clock", 2.0, 2.0, 281.0)]
    beat = Sign("websocket", "heartbeat", 1.0, 7.0)
    with observing(*answers, beat, Sign("websocket", "event", 3.0, 5.0)) as on:
        assert signs_heard.probe(on, OfTransport(transport="websocket")) == 2
        assert signs_apart_ms.probe(on, OfTransport(transport="websocket")) is not None
        [signs], skew = figures(on, 3.5)
    assert (signs.transport, signs.heard, signs.heartbeats, signs.events, signs.canaries) == (
        "websocket",
        2,
        1,
        1,
        0,
    )
    assert (signs.longest_apart_ms, signs.late_p99_ms) == (2000, 7.0)
    assert skew == Skew(ahead_ms=281.0, within_ms=1.0)
    assert skew_of([beat]) is None


async def test_the_first_heartbeat_after_a_question_is_its_answer_and_the_next_one_is_a_sign() -> None:
    written: list[Sign] = []
    asked = asyncio.Event()

    async def ask() -> None:
        asked.set()

    questions = Questions(ask, written.append)
    assert not questions.takes("heartbeat", clock.now())  # nobody has asked
    asking = asyncio.create_task(questions.run())
    async with asyncio.timeout(10):
        await asked.wait()
    assert not questions.takes("event", clock.now())
    assert questions.takes("heartbeat", clock.now() + timedelta(seconds=9))
    assert not questions.takes("heartbeat", clock.now())
    asking.cancel()
    [answer] = written
    assert answer.ahead_ms is not None
    assert 8000 < answer.ahead_ms < 10_000


def test_a_time_below_zero_tells_of_clocks_and_gives_no_figure() -> None:
    assert p99([1.0, 2.0]) == 2.0
    assert p99([float(one) for one in range(100)]) == 98.0
    assert p99([-0.1, 2.0]) is None
    assert p99([]) is None


def test_why_nothing_came_is_what_the_listener_wrote_last() -> None:
    with observing() as on:
        assert on.trouble() == ""
        (on.folder / "signs.log").write_text(
            '{"reason": "first", "event": "x"}\n{"reason": "no \\"right\\"", "event": "x"}\n{"event": "y"}\n'
        )
        assert on.trouble() == 'no "right"'


def test_who_lacks_an_event_of_the_journal_has_lost_it_and_what_comes_after_the_end_is_not_asked_for() -> (
    None
):
    truth = Truth([], committed(1, 2, 3), [], [], is_foreign=True)
    until = ("e", 3)
    lines = within(heard(line(1), line(3), line(4)), until)
    found = measure(truth, [lines], [], [], since=AT.timestamp(), until=AT.timestamp() + 5)
    assert found.store is None
    assert found.lost_ids == ["id-2"]
    assert (found.measured["lost"], found.measured["duplicates"]) == (1, 0)
    assert found.measured["latency_p99_ms"] == 20.0
    assert found.measured["longest_silence_ms"] == 3000  # until the end
    assert found.figures.subscribers[0].strangers == 0


def test_one_transport_of_which_nothing_came_live_makes_the_latency_unknown() -> None:
    truth = Truth([], committed(1, 2), [], [], is_foreign=True)
    one = heard(line(1), line(2))
    late = Heard("websocket-1", "websocket", [line(1, via="resume"), line(2, via="resume")], ("e", 0), True)
    found = measure(truth, [one, late], [], [], since=AT.timestamp(), until=AT.timestamp() + 5)
    assert found.measured["latency_p99_ms"] is None


def test_the_minutes_of_a_drill_that_listens_can_be_said() -> None:
    checked = with_changes(read(catalog.path_of("silence")), "silence", Changes(minutes=0.5))
    assert [of.arguments for of in checked.bound.values() if isinstance(of.arguments, OfListen)] == [
        OfListen(seconds=30)
    ]


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("func: listen, arguments: { seconds: 60 }", "func: refuse", "method.0.provider.func", "refuse is not for"),
        ("func: listen, arguments: { seconds: 60 }", "func: rollout-set, arguments: { percent: 0 }",
         "method.0.provider.func", "rollout-set is not for"),
        ("type: migctl, func: listen, arguments: { seconds: 60 }", "type: process, path: rm", "method.0.provider.type",
         "process is not for"),
        ("type: migctl, func: listen, arguments: { seconds: 60 }", "type: http, method: POST, url: http://x",
         "method.0.provider.type", "http is not for"),
        ("{ websocket: 1, realtime: 1 }", "{ whole: 1 }", "", "whole: a read-only drill has"),
        ("objectives:", "without: { breaker: longest_silence_ms }\nobjectives:", "", "changes nothing"),
        ("read-only: true", "read-only: false\n", "steady-state", None),
    ],
)  # fmt: skip
def test_what_might_change_anything_is_refused_in_a_read_only_drill(
    tmp_path: Path, old: str, new: str, key: str, words: str | None
) -> None:
    text = catalog.path_of("silence").read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    if words is None:
        assert not read(path).drill.read_only
        return
    with pytest.raises(Faulty) as caught:
        read(path)
    [problem] = [one for one in caught.value.problems if one.key == key]
    assert words in f"{problem.what} {problem.do}"


def test_a_drill_that_breaks_something_has_a_subscriber(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(catalog.path_of("canary").read_text().replace("read-only: true", "read-only: false"))
    with pytest.raises(Faulty, match="expected one at least"):
        read(path)
