"""Recorded streams through the real jsonb: the report sees no difference, whatever PostgreSQL did to their spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl.events.ids import canonical_id, id_of_line
from migctl.events.jsontext import split_object
from migctl.stack.postgres import Postgres
from migctl.validate import report
from tests.kit import needs
from tests.kit.captures import EPOCH, START, time_text

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
FILES = {
    "github-events.ndjson": ("id", "type", "payload"),
    "cloudtrail.ndjson": ("eventID", "eventName", None),
    "nab-cloudwatch-metrics.ndjson": (None, "file", None),
}


@pytest.fixture(scope="module")
def connection(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.admin_url(), autocommit=True) as opened:
        yield opened


def lines_of(name: str) -> Iterator[tuple[bytes, bytes]]:
    """(what stands before the data, the data's own text) of each export line."""
    id_field, type_field, data_field = FILES[name]
    for number, text in enumerate((DATA / name).read_bytes().split(b"\n")[:-1], 1):
        members = split_object(text)
        own = None if id_field is None else str(json.loads(members[id_field]))
        head = {
            "id": id_of_line(name, number) if own is None else canonical_id(own)[0],
            "epoch": EPOCH,
            "seq": number,
            "event_type": json.loads(members[type_field]),
            "timestamp": time_text(START + timedelta(seconds=number)),
            "source": name,
            "committed_at": time_text(START + timedelta(seconds=number, milliseconds=5)),
            "via": "live",
            "received_at": time_text(START + timedelta(seconds=number, milliseconds=25)),
        }
        yield json.dumps(head)[:-1].encode(), text if data_field is None else members[data_field]


def through_jsonb(connection: psycopg.Connection[Any], documents: list[bytes]) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute("create temporary table documents (n int, d jsonb) on commit preserve rows")
        with cursor.copy("copy documents from stdin") as copy:
            for number, document in enumerate(documents):
                copy.write_row((number, document.decode()))
        rows = cursor.execute("select d::text from documents order by n").fetchall()
        cursor.execute("drop table documents")
    return [row[0].encode() for row in rows]


@pytest.mark.parametrize("name", FILES)
def test_a_recorded_stream_matches_itself_after_jsonb(
    connection: psycopg.Connection[Any], tmp_path: Path, name: str
) -> None:
    needs.recording(DATA / name)
    lines = list(lines_of(name))
    back = through_jsonb(connection, [data for _, data in lines])
    assert back != [data for _, data in lines]
    for file, documents in (
        ("journal", [d for _, d in lines]),
        ("websocket", [d for _, d in lines]),
        ("realtime", back),
    ):
        with (tmp_path / f"{file}.ndjson").open("wb") as out:
            out.writelines(
                b'%b,"data":%b}\n' % (head, document)
                for (head, _), document in zip(lines, documents, strict=True)
            )
    made = report(tmp_path).to_json()
    assert made["verdict"] == "pass"
    assert made["matched"] == made["expected"] == len(lines)
    assert not any(made["discrepancies"].values())


def test_one_changed_digit_in_a_recorded_stream_is_found(tmp_path: Path) -> None:
    name = "nab-cloudwatch-metrics.ndjson"
    needs.recording(DATA / name)
    lines = [b'%b,"data":%b}' % line for line in lines_of(name)]
    (tmp_path / "journal.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    lines[20_000] = lines[20_000].replace(b'"value":', b'"value":9')
    (tmp_path / "realtime.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    made = report(tmp_path).to_json()
    assert made["discrepancies"]["payload_mismatch"] == 1
    assert made["examples"]["payload_mismatch"][0]["seq"] == 20_001
    assert made["mismatched_fields"] == {"data.value": 1}
