"""Who feeds sockets that are passed through: what counts as an event, whose greeting is whose, and what waits meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from migctl.config.settings import LegacySection
from migctl.events import Entry, Event, Position
from migctl.events.ids import uuid7
from migctl.ingest.tapped import Tapped
from migctl.transports.websocket.frames import Run
from migctl.transports.websocket.front import Fed
from tests.kit.conditions import until
from tests.kit.old_service import front

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def run(*seqs: int, type_: str = "cpu") -> Run:
    events = [Event(uuid7(), type_, AT, "here", b'{"n":%d}' % seq) for seq in seqs]
    return Run([Entry(event, "e", seq, AT) for event, seq in zip(events, seqs, strict=True)], "data")


def received(far: Any) -> bytes:
    far.setblocking(False)
    try:
        return bytes(far.recv(1 << 16))
    except BlockingIOError:
        return b""


def test_greetings_replies_and_what_is_no_json_are_no_events() -> None:
    of = front("ws://old/")
    for message in (
        b'{"type":"initial_stats","stats":{}}',
        b"",
        b"\xff",
        b"[1]",
        b'{"type":"sys.x","data":{}}',
    ):
        assert of.contents(message) == ()
    assert len(of.contents(b'[{"type":"cpu","data":{}},{"type":"ram","data":{}}]')) == 2
    assert of.contents(b'{"type":"cpu","data":{}}') is of.contents(b'{"type":"cpu","data":{}}')


def test_greeting_is_kept_for_clients_of_its_kind_and_not_without_bound() -> None:
    of = front("ws://old/")
    of.greeted(b"a", b"hello a")
    of.greeted(b"b", b"x" * (1 << 21))
    assert (of.greeting(b"a"), of.greeting(b"b")) == (b"hello a", None)
    for n in range(64):
        of.greeted(b"%d" % n, b"hello")
    assert of.greeting(b"a") is None


@pytest.mark.parametrize(
    ("serve", "is_up", "by"),
    [
        ("auto", True, "upstream"),
        ("both", True, "both"),
        ("both", False, "journal"),
        ("journal", True, "journal"),
    ],
)
async def test_status_says_who_feeds_a_socket(
    open_session: Callable[..., Any], serve: Any, is_up: bool, by: str
) -> None:
    of = front("ws://user:secret@old:1/ws", serve=serve)
    session, _ = await open_session(form="piped")
    fed = of.join(session, Position("e", 0))
    fed.is_up = is_up
    told = of.status()
    assert (told.fed_by, told.url) == ({by: 1}, "ws://old:1/ws")
    of.leave(fed)
    assert of.status().fed_by == {}


async def test_socket_gets_what_the_journal_has_after_it_came_and_no_control_event(
    open_session: Callable[..., Any],
) -> None:
    of = front("ws://old/", serve="both")
    session, far = await open_session(form="piped")
    of.join(session, Position("e", 1))
    of.carry(run(1, 2))
    of.carry(run(3, type_="sys.marker"))
    assert received(far) == b'\x81\x07{"n":2}'
    assert of.frames_written == 1


async def test_what_waits_is_sent_at_a_change_to_both_and_let_go_where_the_old_service_speaks(
    open_session: Callable[..., Any],
) -> None:
    of = front("ws://old/", serve="auto")
    session, far = await open_session(form="piped")
    fed = of.join(session, Position("e", 0))
    fed.is_up = True
    of.carry(run(1))
    assert of.status().unsent == 1
    assert of.passes(fed, of.contents(b'{"type":"cpu","data":{"n":9}}'))
    assert of.status().unsent == 0
    of.carry(run(2))
    of.follow(LegacySection(serve="both"))
    assert received(far) == b'\x81\x07{"n":2}'
    fed.is_up = False
    of.follow(LegacySection(serve="upstream"))
    assert session.close_code == 1012


async def test_what_the_old_service_sent_too_does_not_wait_and_it_is_not_quiet_for_it(
    open_session: Callable[..., Any],
) -> None:
    of = front("ws://old/", serve="auto", quiet_s=0.05)
    session, far = await open_session(form="piped")
    fed = of.join(session, Position("e", 0))
    fed.is_up = True
    assert of.passes(fed, of.contents(b'{"type":"cpu","data":{"n":1}}'))
    of.carry(run(1))
    assert of.status().unsent == 0
    of.carry(run(2))
    await until(lambda: of.journal_feeds)
    assert received(far) == b'\x81\x07{"n":2}'


async def test_what_waits_is_sent_as_soon_as_the_old_service_is_known_to_be_away(
    open_session: Callable[..., Any],
) -> None:
    of = front("ws://old/", serve="auto")
    session, far = await open_session(form="piped")
    of.join(session, Position("e", 0))
    of.gone()
    assert not of.journal_feeds
    of.carry(run(1))
    of.gone()
    assert received(far) == b'\x81\x07{"n":1}'
    late = front("ws://old/", serve="auto")
    late.upstream.failed("refused")
    late.carry(run(1))
    assert late.journal_feeds


async def test_what_an_old_service_owes_a_moment_after_it_came_back_is_sent_in_its_place_once(
    open_session: Callable[..., Any],
) -> None:
    tapped = Tapped()
    of = front("ws://old/", serve="both", tapped=tapped)
    session, far = await open_session(form="piped")
    fed = of.join(session, Position("e", 0))
    fed.is_up = True
    one = run(1)
    tapped.add(entry.event.id for entry, _ in one.each_legacy())
    of.carry(one)
    assert received(far) == b""
    of.settle(fed)
    assert received(far) == b'\x81\x07{"n":1}'
    assert not of.passes(fed, of.contents(b'{"type":"cpu","data":{"n":1}}'))
    of.carry(one)
    of.leave(fed)
    of.settle(fed)
    assert received(far) == b""


async def test_too_much_to_wait_is_sent_at_once(open_session: Callable[..., Any]) -> None:
    of = front("ws://old/", serve="auto")
    session, _ = await open_session(form="piped", max_queue_bytes=1 << 30)
    of.join(session, Position("e", 0))
    large = Event(uuid7(), "cpu", AT, "here", b'{"x":"%b"}' % (b"x" * (9 << 20)))
    of.carry(Run([Entry(large, "e", 1, AT)], "data"))
    assert of.feeding == "both"
    assert of.frames_written == 1


def test_entry_of_another_epoch_is_never_before_the_time_of_a_socket() -> None:
    fed = Fed(None, Position("e", 5), 5.0)  # type: ignore[arg-type]
    assert fed.has(Position("e", 5))
    assert not fed.has(Position("e", 6))
    assert not fed.has(Position("f", 1))
