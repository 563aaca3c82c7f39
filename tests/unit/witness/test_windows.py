"""Windows: each row of its tables."""

from __future__ import annotations

import pytest

from migctl.validate.witness.windows import Limits
from tests.kit.witnessing import Heard, at, counted, event


def test_what_both_released_as_the_journal_has_it_matches() -> None:
    heard = Heard()
    heard.both(1, 1)
    heard.both(2, 59)
    minute = heard.close()
    assert (minute.verdict, minute.reason) == ("pass", None)
    assert (minute.expected, minute.matched, minute.mismatched, minute.lost) == (2, 2, 0, 0)
    assert minute.match_percent == 100
    assert minute.availability_percent == 100
    assert (minute.epoch, minute.first_seq, minute.last_seq) == ("E1", 1, 2)
    assert minute.cohorts == {"all": 2}
    assert minute.started_at == at(0)
    for figures in minute.transports.values():
        assert (figures.received, figures.missing, figures.duplicates, figures.out_of_order) == (2, 0, 0, 0)
        assert figures.latency_p99_ms == pytest.approx(10, rel=0.01)
        assert (figures.latency_n, figures.delay_n) == (2, 2)


def test_spelling_is_no_mismatch_and_a_value_is() -> None:
    heard = Heard()
    for seq, data in ((1, b'{"x":1.5}'), (2, b'{"x":1.51}')):
        heard.windows.journal(event(seq, 1))
        heard.windows.released("websocket", event(seq, 1, received=1.1))
        heard.windows.released("realtime", event(seq, 1, received=1.1, data=data))
    minute = heard.close()
    assert (minute.expected, minute.matched, minute.mismatched) == (2, 1, 1)
    assert minute.verdict == "pass"  # it is evidence; the gates judge it


def test_what_one_transport_misses_is_missing_there_and_what_both_miss_is_lost() -> None:
    heard = Heard()
    for seq in (1, 2, 3):
        heard.windows.journal(event(seq, 1))
    heard.windows.released("websocket", event(1, 1, received=1.1))
    heard.windows.released("websocket", event(3, 1, received=1.1))
    heard.windows.released("realtime", event(3, 1, received=1.1))
    minute = heard.close()
    assert (minute.expected, minute.matched, minute.lost, minute.verdict) == (3, 1, 1, "pass")
    assert [minute.transports[name].missing for name in ("websocket", "realtime")] == [1, 2]
    assert minute.cohorts == {"all": 2}


def test_a_release_within_the_grace_is_late_and_not_missing() -> None:
    heard = Heard()
    heard.windows.journal(event(1, 59))
    heard.windows.released("websocket", event(1, 59, received=59.1))
    assert heard.windows.tick(at(64)) == []
    heard.windows.released("realtime", event(1, 59, received=64.5, via="table"))
    minute = heard.close()
    assert (minute.matched, minute.transports["realtime"].missing) == (1, 0)
    assert minute.transports["realtime"].latency_n == 0
    assert minute.transports["realtime"].delay_p99_ms == pytest.approx(5500, rel=0.01)


def test_a_repeat_is_a_duplicate_before_and_after_the_event_is_settled() -> None:
    heard = Heard()
    heard.windows.journal(event(1, 1))
    for _ in range(2):
        heard.windows.released("websocket", event(1, 1, received=1.1))
    heard.windows.released("realtime", event(1, 1, received=1.2))
    heard.windows.released("realtime", event(1, 1, received=9.2))
    minute = heard.close()
    assert [one.duplicates for one in minute.transports.values()] == [1, 1]
    assert (minute.expected, minute.matched, minute.availability_percent) == (1, 1, 100)


def test_an_event_below_what_was_released_is_out_of_order() -> None:
    heard = Heard()
    for seq in (1, 2):
        heard.windows.journal(event(seq, 1))
    for seq in (2, 1):
        heard.windows.released("websocket", event(seq, 1, received=1.1))
    minute = heard.close()
    assert minute.transports["websocket"].out_of_order == 1
    assert minute.transports["websocket"].received == 2


def test_control_events_are_not_expected_and_a_marker_is_noted_where_it_was_released() -> None:
    heard = Heard()
    heard.both(1, 1)
    marker = event(2, 2, received=2.1, event_type="sys.marker")
    heard.windows.journal(marker)
    heard.windows.released("realtime", marker)
    assert heard.windows.markers == {"E1/2": {"realtime"}}
    heard.windows.released("websocket", marker)
    minute = heard.close()
    assert minute.expected == 1
    assert minute.markers == {"E1/2": ["realtime", "websocket"]}
    assert heard.windows.markers == {"E1/2": {"realtime", "websocket"}}


def test_the_window_in_which_it_began_is_left_out_and_a_closed_one_takes_nothing() -> None:
    heard = Heard()
    heard.both(1, -1)
    heard.both(2, 1)
    assert heard.close().expected == 1
    heard.windows.released("websocket", event(3, 2, received=66))
    heard.windows.journal(event(3, 2))
    heard.both(4, 61)
    heard.windows.journal_read(at(122))
    heard.windows.counted(at(121), counted())
    (minute,) = heard.windows.tick(at(125))
    assert (minute.expected, minute.matched) == (1, 1)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda heard: heard.windows.is_down("realtime", at(30), "refused"), "realtime is away: refused"),
        (lambda heard: heard.windows.journal_begins("E2", 0, at(40), reason="a new epoch"), "a new epoch"),
    ],
)
def test_a_window_that_was_not_seen_whole_is_inconclusive(spoil: object, reason: str) -> None:
    heard = Heard()
    heard.both(1, 1)
    assert callable(spoil)
    spoil(heard)
    heard.windows.journal(event(2, 50, epoch="E2" if "epoch" in reason else "E1"))
    heard.windows.released("websocket", event(2, 50, received=50.1))
    minute = heard.close()
    assert (minute.verdict, minute.reason) == ("inconclusive", reason)


def test_a_transport_that_was_away_and_brought_everything_afterwards_is_judged() -> None:
    heard = Heard()
    heard.windows.journal(event(1, 10))
    heard.windows.released("websocket", event(1, 10, received=10.1))
    heard.windows.is_down("realtime", at(9), "refused")
    heard.windows.is_up("realtime", at(20))
    heard.windows.released("realtime", event(1, 10, received=20, via="table"))
    minute = heard.close()
    assert (minute.verdict, minute.matched) == ("pass", 1)
    assert minute.availability_percent == pytest.approx(100 * (1 - 8 / 120))


def test_a_transport_that_was_away_all_the_window_is_inconclusive_though_it_caught_up() -> None:
    heard = Heard()
    heard.windows.is_down("realtime", at(-1), "refused")
    heard.windows.journal(event(1, 59))
    heard.windows.released("websocket", event(1, 59, received=59.1))
    heard.windows.is_up("realtime", at(61))
    heard.windows.released("realtime", event(1, 59, received=61.1, via="table"))
    minute = heard.close()
    assert (minute.verdict, minute.reason) == ("inconclusive", "realtime was away all the time")


def test_a_transport_that_was_first_reached_within_the_window_is_inconclusive() -> None:
    heard = Heard()
    heard.windows = type(heard.windows)(at(-30))
    heard.windows.journal_begins("E1", 0, at(-20))
    heard.windows.is_up("websocket", at(-20))
    heard.windows.counted(at(1), counted())
    heard.windows.is_up("realtime", at(2))
    heard.both(1, 3)
    assert heard.close().reason == "realtime was first reached after the window began"


def test_a_transport_that_was_never_reached_is_inconclusive_and_says_why() -> None:
    heard = Heard()
    heard.windows = type(heard.windows)(at(-30))
    heard.windows.journal_begins("E1", 0, at(-20))
    heard.windows.is_down("websocket", at(-20), "refused")
    assert heard.close().reason == "websocket was not reached yet: refused"


def test_a_journal_that_was_not_read_to_the_end_is_inconclusive() -> None:
    heard = Heard()
    heard.both(1, 1)
    heard.windows.journal_read(at(59))
    heard.windows.journal_away("no answer")
    (minute,) = heard.windows.tick(at(65))
    assert minute.reason == "the journal was not read to its end: no answer"
    assert minute.matched == 1


def test_a_window_without_the_counters_of_serve_is_inconclusive() -> None:
    heard = Heard()
    heard.both(1, 1)
    heard.windows.journal_read(at(62))
    (minute,) = heard.windows.tick(at(65))
    assert minute.reason == "serve did not say what it refused"


def test_what_was_received_before_it_was_committed_is_inconclusive() -> None:
    heard = Heard()
    heard.both(1, 1, after=-0.02)
    minute = heard.close()
    assert minute.verdict == "inconclusive"
    assert "clocks" in str(minute.reason)


def test_a_window_without_an_event_is_inconclusive_and_quiet() -> None:
    minute = Heard().close()
    assert (minute.verdict, minute.quiet, minute.match_percent) == ("inconclusive", True, None)


def test_more_than_may_wait_spoils_its_window_and_no_other() -> None:
    heard = Heard(Limits(max_bytes=10_000))
    for seq in range(1, 30):
        heard.windows.journal(event(seq, 1))
        assert heard.windows.held_bytes <= 10_000
    heard.both(30, 61)
    minute = heard.close()
    assert (minute.verdict, minute.reason) == ("inconclusive", "what waited was more than 0 MiB")
    heard.windows.journal_read(at(122))
    heard.windows.counted(at(121), counted())
    (minute,) = heard.windows.tick(at(125))
    assert (minute.verdict, minute.matched) == ("pass", 1)


def test_a_window_that_the_witness_left_is_terminated() -> None:
    heard = Heard()
    heard.both(1, 1)
    (minute,) = heard.windows.end(at(30))
    assert (minute.verdict, minute.reason) == ("terminated", "the witness ended first")
    assert not minute.counts


def test_the_error_rate_is_of_requests_and_events_and_what_was_rejected_is_beside_it() -> None:
    heard = Heard()
    heard.both(1, 1)
    heard.windows.counted(at(60.5), counted(requests=97, errors=1, dead=1, rejected=7))
    heard.windows.journal_read(at(62))
    (minute,) = heard.windows.tick(at(65))
    assert minute.error_rate_percent == pytest.approx(100 * 2 / 98)
    assert (minute.requests, minute.rejected) == (97, 7)


def test_the_hash_is_of_what_was_compared() -> None:
    def of(data: bytes) -> str:
        heard = Heard()
        heard.windows.journal(event(1, 1))
        heard.windows.released("realtime", event(1, 1, received=1.1, data=data))
        return heard.close().sha256

    assert of(b'{"x":1.50}') == of(b'{"x":1.50}') != of(b'{"x":1.5}')
    assert len(of(b"{}")) == 64
