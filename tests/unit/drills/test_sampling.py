"""What samples of a status prove."""

from __future__ import annotations

from migctl.drills.sampling import Sample, Span, backlog_ended, changes, detected, spans


def sample(
    at: float, state: str = "closed", *, opened: int = 0, since: float | None = None, **more: bool
) -> Sample:
    return Sample(
        at=at,
        breakers={"table": state},
        opened={"table": opened},
        since={} if since is None else {"table": since},
        **more,
    )  # type: ignore[arg-type]


def test_a_fault_is_detected_when_a_breaker_opened_as_serve_says_it() -> None:
    samples = [sample(10.0), sample(10.5), sample(11.0, "open", opened=1, since=10.7)]
    assert detected(samples, 10.2) == 10.7 - 10.2


def test_a_breaker_that_opened_and_closed_between_two_samples_is_known_by_its_count() -> None:
    assert detected([sample(10.0), sample(11.0, opened=1, since=10.9)], 10.2) == 11.0 - 10.2


def test_what_opened_before_the_fault_detects_nothing() -> None:
    samples = [
        sample(10.0),
        sample(11.0, "open", opened=1, since=10.5),
        sample(12.0, "open", opened=1, since=10.5),
    ]
    assert detected(samples, 10.6) is None
    assert detected([sample(10.0), sample(11.0)], 10.2) is None
    assert detected([], 10.2) is None


def test_what_opened_once_another_fault_was_armed_does_not_detect_this_one() -> None:
    samples = [sample(10.0), sample(11.0, "open", opened=1, since=10.8)]
    assert detected(samples, 10.2, 10.8) is None
    assert detected(samples, 10.2, 10.9) == 10.8 - 10.2


def test_a_backlog_ends_when_the_table_has_all_and_nobody_is_sent_away() -> None:
    samples = [
        sample(10.0, backlog=True),
        Sample(at=10.5, away=True),
        sample(11.0, backlog=True),
        sample(11.5, fallback=True),
        sample(12.0),
    ]
    assert backlog_ended(samples, 9.0) == 3.0
    assert backlog_ended(samples[:-1], 9.0) is None


def test_changes_are_told_once_and_not_of_a_serve_that_is_another_process() -> None:
    found = [
        (one.kind, one.what)
        for one in changes(sample(1.0), sample(2.0, "open", since=1.5, fallback=True, backlog=True))
    ]
    assert found == [
        ("breaker", "table: closed -> open"),
        ("fallback", "subscribers are sent to the WebSocket"),
        ("backlog", "begins"),
    ]
    assert list(changes(None, sample(1.0, "open"))) == []
    away = Sample(at=2.0, away=True)
    assert [one.what for one in changes(sample(1.0), away)] == ["does not answer"]
    assert [one.what for one in changes(away, sample(3.0, fallback=True))] == ["answers"]


def test_spans_end_where_the_state_does_or_the_run() -> None:
    samples = [sample(1.0), sample(2.0, "open"), sample(3.0, "half_open"), Sample(at=4.0, away=True)]
    assert spans(samples, 5.0) == [
        Span(part="table", state="open", since=2.0, until=3.0),
        Span(part="table", state="half_open", since=3.0, until=4.0),
        Span(part="serve", state="away", since=4.0, until=5.0),
    ]
