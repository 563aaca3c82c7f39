"""What the witness makes of answers: of the journal's pages, of a status, of a lease and of a rollout's state."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.flags.record import Rollout
from migctl.validate.witness.tail import Gone, after_gone, counted, page_of
from migctl.validate.witness.writing import other_witness, step_of
from tests.kit.entries import entry
from tests.kit.statuses import status

ARRIVED = Arrived(datetime(2026, 1, 31, 12, tzinfo=UTC), 0)


def page(*texts: str) -> bytes:
    return ('{"epoch":"E1","events":[' + ",".join(texts) + "]}").encode()


def frame(seq: int) -> str:
    made = entry(seq)
    return json.dumps(
        {
            "type": "cpu", "id": made.event.id, "seq": seq, "data": {"used": 1}, "source": "host-1",
            "timestamp": made.event.timestamp.isoformat(), "committed_at": made.committed_at.isoformat(),
        }
    )  # fmt: skip


def test_a_page_is_its_events_in_order_and_an_empty_one_is_the_end() -> None:
    assert [one.position for one in page_of(page(frame(4), frame(5)), "E1", ARRIVED)] == [
        Position("E1", 4),
        Position("E1", 5),
    ]
    assert list(page_of(page(), "E1", ARRIVED)) == []


def test_what_comes_before_an_event_that_is_none_is_taken() -> None:
    events = page_of(
        page(frame(4), '{"type":"cpu","data":1,"timestamp":"2026-01-31T12:00:00Z"}'), "E1", ARRIVED
    )
    assert next(events).seq == 4
    with pytest.raises(ValueError, match="expected an event"):
        next(events)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"events":1}', b'{"events":[1]}', b"<html>"])
def test_an_answer_that_has_no_events_is_not_an_empty_page(content: bytes) -> None:
    with pytest.raises(ValueError):
        list(page_of(content, "E1", ARRIVED))


@pytest.mark.parametrize(
    ("epoch", "reason"),
    [("E2", "the journal began a new epoch"), ("E1", "the journal had it no longer")],
)
def test_what_is_gone_is_gone_on_from_the_tail_with_its_reason(epoch: str, reason: str) -> None:
    assert after_gone(Position("E1", 3), Gone(epoch, 8, "trimmed")) == (Position(epoch, 7), reason)


def test_requests_of_who_watches_are_not_counted_and_all_that_was_rejected_is() -> None:
    document = status()
    http = msgspec.structs.replace(document.http, requests=10, watching=4, answered_5xx=2, rejected=1)
    document = msgspec.structs.replace(document, http=http)
    found = counted(document)
    assert (found.requests, found.answered_5xx) == (6, 2)
    assert document.source is not None
    assert document.dead_letters is not None
    assert found.rejected == 1 + document.source.rejected
    assert found.dead_letters == sum(document.dead_letters.by_code.values())
    less = msgspec.structs.replace(document, source=None, dead_letters=None)
    assert (counted(less).rejected, counted(less).dead_letters) == (1, 0)


@pytest.mark.parametrize(
    ("lease", "other"),
    [
        (Rollout("witness", 1, holder="me", left_s=9.0), None),
        (Rollout("witness", 1, holder="b", left_s=9.0), "b is the witness, for 9 s and as long as it renews"),
        (Rollout("witness", 1, holder="b"), "b is the witness, for 0 s and as long as it renews"),
    ],
)
def test_who_has_the_lease_writes_and_the_other_says_whose_it_is(lease: Rollout, other: str | None) -> None:
    assert other_witness(lease, "me") == other


@pytest.mark.parametrize(
    ("state", "step"),
    [({"step_id": "s1", "more": 1}, "s1"), ({"step_id": None}, None), ({}, None), (None, None), ([1], None)],
)
def test_the_step_of_a_state_that_is_not_known_is_none(state: object, step: str | None) -> None:
    assert step_of(state) == step
