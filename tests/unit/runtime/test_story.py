"""Stories where there is no table: what a journal, a gateway and the file of rejected lines know of an event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
import pytest
from aiohttp import web

from migctl import server
from migctl.events import BadEvent, Position
from migctl.ingest.rejected import Rejected
from migctl.journal.sqlite import SqliteJournal
from migctl.runtime.parts import Parts
from migctl.runtime.story import MOST_DATA_CHARS, Stories, of_table
from migctl.server.counts import MOST_REJECTIONS, Counts, Rejection
from migctl.server.routes.story import story_routes
from migctl.status.story import Step, StoryPart
from migctl.target.places import Place
from migctl.transports.websocket import Gateway
from tests.kit.served import event

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@dataclass
class OfWebsocket:
    """As Parts of mode websocket."""

    journal: SqliteJournal
    gateway: Gateway
    to_target: None = None
    relay: None = None


def stories(journal: SqliteJournal, folder: Path) -> Stories:
    return Stories(cast(Parts, OfWebsocket(journal, Gateway(journal))), None, folder / "rejected.ndjson")


def step(steps: list[Step], part: StoryPart) -> Step:
    (found,) = [one for one in steps if one.part == part]
    return found


async def test_one_that_is_not_handed_out_yet_is_waiting_and_one_before_this_serve_is_not_known(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    old = event()
    await journal.append([old])
    of = stories(journal, tmp_path)  # its gateway begins here
    new = event()
    await journal.append([new])
    before = await of.of_id(old.id, ())
    assert (before.fate, before.seq) == ("delivered", 1)
    assert step(before.steps, "websocket").state == "unknown"
    assert (await of.of_id(old.id.upper(), ())).seq == 1
    waits = step((await of.at(Position(journal.epoch, 2))).steps, "websocket")
    assert (waits.state, waits.at) == ("waiting", None)


async def test_data_is_whole_or_says_that_it_was_cut(journal: SqliteJournal, tmp_path: Path) -> None:
    of = stories(journal, tmp_path)
    large = event(b'{"x":"' + b"y" * MOST_DATA_CHARS + b'"}')
    await journal.append([large, event(b'{"x": 1.50}')])
    cut = (await of.at(Position(journal.epoch, 1))).data
    assert cut is not None and cut.endswith(" ...")
    assert (await of.at(Position(journal.epoch, 2))).data == '{"x": 1.50}'


async def test_a_position_that_was_lost_is_lost_and_its_neighbours_are_not(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    await journal.append([event(), event()])
    old = journal.epoch
    await journal.rotate_epoch(old, lost=(3, 5), reason="a backup was put back")
    of = stories(journal, tmp_path)
    fates = [(await of.at(Position(old, seq))).fate for seq in (2, 3, 5, 6)]
    assert fates == ["delivered", "lost", "lost", "unknown"]
    lost = await of.at(Position(old, 4))
    assert "a backup was put back" in lost.reason and lost.steps == []


async def test_what_was_refused_is_found_by_the_id_that_its_producer_gave_it(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    of = stories(journal, tmp_path)
    posted = Rejection(AT, "order-7", "type", "data is no object")
    found = await of.of_id("order-7", (posted,))
    assert (found.fate, found.steps[0].at) == ("rejected", AT) and "data is no object" in found.reason
    # What a source brought stands in a file.
    kept = Rejected(tmp_path / "rejected.ndjson")
    kept.add(b'{"id":"line-9","data":1}', BadEvent("data", "type", "no object"), source="f", offset=0, at=AT)
    found = await of.of_id("line-9", (posted,))
    assert (found.fate, found.steps[0].at) == ("rejected", AT) and "rejected.ndjson" in found.reason
    for other in ("line", "line-99", "9", "order-77"):
        assert (await of.of_id(other, (posted,))).fate == "unknown", other


async def test_one_that_was_taken_in_the_end_is_not_rejected(journal: SqliteJournal, tmp_path: Path) -> None:
    good = event()
    await journal.append([good])
    found = await stories(journal, tmp_path).of_id(good.id, (Rejection(AT, good.id, "conflict", "before"),))
    assert found.fate == "delivered"


def test_rejections_are_kept_in_a_bounded_memory_and_all_counted() -> None:
    counts = Counts()
    for number in range(MOST_REJECTIONS + 5):
        counts.reject([Rejection(AT, str(number), "type", "r")], 2)
    assert (len(counts.rejections), counts.rejected) == (MOST_REJECTIONS, 2 * (MOST_REJECTIONS + 5))
    assert counts.rejections[-1].id == str(MOST_REJECTIONS + 4)


@pytest.fixture
async def http(journal: SqliteJournal, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Counts]]:
    counts, app = Counts(), web.Application()
    app.add_routes(story_routes(stories(journal, tmp_path), counts))
    async with (
        server.listening(app, "127.0.0.1", 0, shutdown_s=0.2) as listener,
        httpx.AsyncClient(base_url=listener.url, timeout=30.0, trust_env=False) as client,
    ):
        yield client, counts


@pytest.mark.parametrize(
    "query", ["", "id=", "id=%20", "epoch=e", "seq=1", "epoch=e&seq=x", "epoch=e&seq=-1", "id=" + "x" * 1001]
)
async def test_what_names_no_event_is_refused(http: tuple[httpx.AsyncClient, Counts], query: str) -> None:
    answer = await http[0].get(f"/api/story?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["reason"]


async def test_the_route_answers_by_id_by_position_and_with_what_was_refused_of_late(
    http: tuple[httpx.AsyncClient, Counts], journal: SqliteJournal
) -> None:
    client, counts = http
    await journal.append([event()])
    by_seq = (await client.get(f"/api/story?epoch={journal.epoch}&seq=1")).json()
    assert by_seq["fate"] == "delivered"
    assert (await client.get("/api/story", params={"id": by_seq["id"]})).json()["seq"] == 1
    assert (await client.get("/api/story?id=order-7")).json()["fate"] == "unknown"
    counts.reject([Rejection(AT, "order-7", "type", "data is no object")], 1)
    assert (await client.get("/api/story?id=order-7")).json()["fate"] == "rejected"


@pytest.mark.parametrize("text", ["", "\ud800"])
async def test_what_is_no_id_is_refused(journal: SqliteJournal, tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|surrogate"):
        await stories(journal, tmp_path).of_id(text, ())


@pytest.mark.parametrize(
    ("places", "fate", "reason"),
    [
        ([Place("i", "e", 4, AT)], "delivered", "a row"),
        ([Place("i", None, None, AT)], "delivered", "a row"),
        ([Place("i", "e", 4, AT, "duplicate_of")], "duplicate", "delivered before"),
        ([Place("i", "e", 4, AT, "poison")], "delivered", "tombstone"),
    ],
)
def test_what_only_the_table_has_is_told_from_there(places: list[Place], fate: str, reason: str) -> None:
    found = of_table("i", None, places)
    assert found.fate == fate and reason in found.reason and "no longer holds it" in found.reason
    assert step(found.steps, "table").at == AT
