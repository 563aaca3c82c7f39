"""Rejected lines under the mapping of today, into a journal that nobody serves: what goes in, what stays out, each once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from migctl.config import Settings
from migctl.events import BadEvent
from migctl.ingest import Mapper, parse_map
from migctl.ingest.rejected import Rejected
from migctl.ingest.rejections import read
from migctl.runtime.dead_letters import Place
from migctl.runtime.journals import read_file
from migctl.runtime.rejected import Retried, mapped, retried

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
BAD = BadEvent("", "json", "no")
MENDED = parse_map(["event_type=.kind", "id=.id"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    kept = Rejected(tmp_path / "rejected.ndjson")
    texts = (
        b'{"kind":"a","data":{"n":1}}',
        b'{"kind":"a","id":"7","data":{}}',
        b'{"kind":"a","id":"7","data":{"n":2}}',
        b"{}",
    )
    for offset, text in enumerate(texts):
        kept.add(text, BAD, source="/in/some.ndjson", offset=offset, at=AT)
    return Settings(mode="websocket", state_dir=str(tmp_path))


async def put(settings: Settings, mapper: Mapper) -> list[Retried]:
    found = mapped(read(settings.state).waiting, mapper)
    place = Place(settings.journal_path, serving=False)
    return [one async for one in retried(settings, place, found, notify=lambda _: None)]


async def test_what_hinders_a_batch_is_left_out_of_it_and_a_second_time_adds_nothing(
    settings: Settings,
) -> None:
    done = await put(settings, MENDED)
    assert [(one.result, one.position.seq if one.position else None) for one in done] == [
        ("retried", 1), ("retried", 2), ("refused", None), ("refused", None),
    ]  # fmt: skip
    assert "another body" in str(done[2].reason) and "event_type" in str(done[3].reason)
    assert len(read(settings.state).waiting) == 2
    (settings.state / "rejected.settled.ndjson").unlink()
    assert [one.result for one in await put(settings, MENDED)] == [one.result for one in done]
    first, second = read_file(settings.journal_path)
    assert (first.event.timestamp, first.event.clock, first.event.source) == (AT, "arrival", "some.ndjson")
    assert second.event.source_id == "7"


async def test_what_the_mapping_ignores_is_no_event_and_waits_no_more(settings: Settings) -> None:
    done = await put(settings, parse_map(["event_type=.kind"], ignore=["a"]))
    assert [one.result for one in done] == ["ignored", "ignored", "ignored", "refused"]
    assert len(read(settings.state).waiting) == 1
