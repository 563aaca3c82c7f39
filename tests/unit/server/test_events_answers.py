"""What `/events` says of each event of a request, and how much it gives at most."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from migctl.events.ids import canonical_id
from migctl.ingest.http import Body
from migctl.journal import Appended, Conflict
from migctl.server.routes.events import MAX_LIMIT, conflicts_of, detail_of, limit_in
from migctl.transports.websocket.resume import BadRequest
from tests.kit.entries import event


@pytest.mark.parametrize(
    ("query", "limit"),
    [({}, 1000), ({"limit": "0"}, 1), ({"limit": "7"}, 7), ({"limit": "99999999"}, MAX_LIMIT)],
)
def test_a_limit_is_between_one_and_the_most(query: dict[str, str], limit: int) -> None:
    assert limit_in(query) == limit


@pytest.mark.parametrize("text", ["-1", "1.5", "", "ten", "\u0661"])
def test_a_limit_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        limit_in({"limit": text})


def test_each_event_has_its_seq_and_a_duplicate_the_one_and_the_epoch_that_it_came_in() -> None:
    events = [event(id=name) for name in ("new", "again", "earlier", "twice", "twice")]
    appended = Appended(
        accepted=2, duplicates=3, epoch="E2", first_seq=5, last_seq=6, seqs=[5, 3, 9, 6, 6], elsewhere={2: "E1"}
    )  # fmt: skip
    assert detail_of(events, appended) == [
        {"id": "new", "seq": 5, "duplicate": False},
        {"id": "again", "seq": 3, "duplicate": True},
        {"id": "earlier", "seq": 9, "duplicate": True, "epoch": "E1"},
        {"id": "twice", "seq": 6, "duplicate": False},
        {"id": "twice", "seq": 6, "duplicate": True},
    ]


def test_a_producers_own_id_stands_beside_the_one_that_was_made_of_it() -> None:
    made = canonical_id("own-1")[0]
    own, plain = replace(event(id=made), source_id="own-1"), event()
    appended = Appended(
        accepted=2, duplicates=0, epoch="E", first_seq=1, last_seq=2, seqs=[1, 2], elsewhere={}
    )
    assert [item.get("source_id") for item in detail_of([own, plain], appended)] == ["own-1", None]
    found = conflicts_of(Conflict([(0, made), (1, plain.id)]), Body(events=[own, plain], indexes=[3, 4]))
    assert [(one.index, one.id) for one in found.values()] == [(3, "own-1"), (4, plain.id)]
    assert f"as {made}" in found[0].reason
    assert plain.id not in found[1].reason
