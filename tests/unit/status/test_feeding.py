"""Who feeds: what each kind of source comes to, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from migctl.server.producers import Producers
from migctl.status import FileStatus, HostStatus, TapStatus
from migctl.status.feeding import feed_of, sources_of
from tests.kit.statuses import status

BEGAN, LATER, NOW = (datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in (0, 1, 2))


def test_a_tap_that_does_not_listen_is_away_since_and_why_and_says_what_waits() -> None:
    tap = status("everything").source
    assert isinstance(tap, TapStatus)
    assert tap.outages.lasting is not None
    of = feed_of(tap, done=False)
    assert (of.kind, of.state, of.away_since) == ("tap", "away", tap.outages.lasting.began)
    assert of.reason == tap.outages.lasting.reason
    assert (of.outages, of.unread_bytes) == (tap.outages.count, tap.buffered_bytes + tap.unread_bytes)
    back = feed_of(replace(tap, outages=replace(tap.outages, lasting=None)), done=False)
    assert (back.state, back.reason, back.away_since) == ("waiting", tap.waiting_for, None)


@pytest.mark.parametrize(
    ("state", "done", "word"),
    [("finished", False, "ended"), ("reading", True, "ended"), ("reading", False, "feeding")],
)
def test_a_file_that_was_read_has_ended(state: str, done: bool, word: str) -> None:
    file = status("websocket-file").source
    assert isinstance(file, FileStatus)
    of = feed_of(replace(file, state=state, offset_bytes=10, size_bytes=25), done=done)
    assert (of.kind, of.state, of.unread_bytes, of.outages) == ("file", word, 15, None)
    assert feed_of(replace(file, size_bytes=None), done=done).unread_bytes is None


def test_the_source_comes_first_and_then_who_posted_last() -> None:
    host = status("dual-degraded-host").source
    assert isinstance(host, HostStatus)
    posted = Producers()
    posted.posted("early", BEGAN, remote="10.0.0.1", agent="curl/8", accepted=2)
    posted.posted("late", LATER, remote="10.0.0.2", agent="migctl", accepted=60, duplicates=1)
    posted.posted("wrong", NOW, remote=None, agent="", rejected=3)
    found = sources_of(host, False, posted.status(NOW), NOW).sources
    assert [(one.kind, one.name, one.accepted, one.duplicates, one.rejected) for one in found] == [
        ("host", "vm", host.accepted, 0, 0),
        ("publisher", "late", 60, 1, 0),
        ("post", "early", 2, 0, 0),
        ("post", "wrong", 0, 0, 3),
    ]
    assert [one.last_event_at for one in found[1:]] == [LATER, BEGAN, None]
    assert sources_of(None, False, [], NOW).sources == []
