"""The example of the glossary is true: its rows fit the tables, and a subscriber hands out of them what the page says."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import psycopg

from migctl.config import Target
from migctl.events import Entry, Event, Position
from migctl.subscriber.core.release import Discontinuity
from migctl.target.chain import Head, fate
from migctl.transports.realtime.hints import hints
from tests.kit.conditions import until
from tests.kit.receiving import reader, receiving

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text()

Rows = list[dict[str, str | None]]


def rows(table: str) -> Rows:
    shown = re.search(rf"^`{table}`\n\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    cells = [[cell.strip() or None for cell in line.strip("|").split("|")] for line in shown[1].splitlines()]
    return [dict(zip([str(name) for name in cells[0]], row, strict=True)) for row in cells[2:]]


EVENTS, TOMBSTONES, HEADS = rows("monitoring_events"), rows("monitoring_tombstones"), rows("monitoring_heads")


def insert(url: str, table: str, shown: Rows, **more: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for row in shown:
            values = {**more, **row}
            columns = ", ".join(f'"{name}"' for name in values)
            marks = ", ".join(["%s"] * len(values))
            connection.execute(f"insert into public.{table} ({columns}) values ({marks})", [*values.values()])


async def test_a_subscriber_hands_out_of_these_tables_what_the_page_says(standin: Target) -> None:
    url, moment = standin.need("database_url"), "2026-01-31T12:00:00Z"
    insert(url, "monitoring_events", EVENTS, source="app", timestamp=moment, committed_at=moment)
    insert(url, "monitoring_tombstones", TOMBSTONES, committed_at=moment)
    insert(url, "monitoring_heads", HEADS)
    shown = re.search(r"hands out:\n\n(.*?)\n\n", PAGE, re.DOTALL)
    assert shown is not None
    promised = re.findall(r"^\| (release|discontinuity)[^|]* \| (E\d) (\d) \|", shown[1], re.MULTILINE)
    assert len(promised) == 5
    async with reader(standin, position=Position("E1", 0)) as subscriber, receiving(subscriber) as received:
        await until(lambda: len(received.items) >= len(promised))
        got = [
            ("discontinuity", item.resumed) if isinstance(item, Discontinuity) else ("release", item.position)
            for item in received.items
        ]
    assert got == [(kind, Position(epoch, int(seq))) for kind, epoch, seq in promised]
    gap = received.gaps[0]
    assert (gap.reason, gap.lost_from, gap.lost_to) == ("lost", 4, 4)
    assert json.loads(received.releases[1].data) == {"text": "a\x00b"}


def test_the_fates_are_those_that_the_page_names() -> None:
    shown = next(row for row in HEADS if row["epoch"] == "E2")
    moment = datetime.fromisoformat(str(shown["started_at"]))
    tail, table, journal = (int(str(shown[key])) for key in ("table_tail", "table_head", "journal_head"))
    head = Head("E2", "E1", 4, 4, "journal-1", 0, moment, tail, table, journal, moment)
    assert [fate(seq, head) for seq in (tail - 1, table, table + 1)] == ["pruned", "broken", "not_yet"]


def test_the_hint_is_what_broadcast_sends() -> None:
    shown = re.search(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown is not None
    event = json.loads(shown[1])["events"][0]
    moment = datetime.fromisoformat(event["timestamp"])
    data = re.search(r'"data":(\{.*?\})', shown[1])
    assert data is not None
    entry = Entry(
        epoch="E2",
        seq=2,
        committed_at=moment,
        event=Event(
            id=event["id"], event_type="redis", timestamp=moment, source="app", data=data[1].encode()
        ),
    )
    (hint,) = hints([entry], table_head=1, max_bytes=1024)
    assert hint.payload.decode() == shown[1]
