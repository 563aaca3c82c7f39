"""The document of `/api/status` keeps its keys and types, and its published schema is that of the structs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from migctl.server.answers import answer
from migctl.status import PublisherStatus, StdinStatus, json_schema, read
from tests.kit.statuses import NAMES, document, status

PUBLISHED = Path(__file__).parents[3] / "docs" / "status.schema.json"


@pytest.mark.parametrize("name", NAMES)
def test_a_document_that_a_serve_answered_is_read_and_written_as_it_was(name: str) -> None:
    assert json.loads(msgspec.json.encode(read(json.dumps(document(name)).encode()))) == document(name)


def test_the_published_schema_is_that_of_the_structs() -> None:
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "if the change is meant: migctl status --schema > docs/status.schema.json, and CHANGELOG.md"
    )


def _change(path: str, value: Any) -> bytes:
    changed = document("everything")
    *way, last = path.split(".")
    part = changed
    for key in way:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return json.dumps(changed).encode()


def test_keys_of_a_later_version_are_passed_over() -> None:
    later = _change("journal.fsyncs", 3)
    assert (
        read(later) == read(_change("shards", {"a": 1})) == read(json.dumps(document("everything")).encode())
    )


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("journal.head", "12", "$.journal.head"),
        ("journal.head", ..., "head"),
        ("relay.state", "asleep", "$.relay.state"),
        ("connections.table.since", 7, "$.connections.table.since"),
        ("source.kind", "carrier pigeon", "$.source"),
        ("schema", "migctl.status/2", "$.schema"),
        ("schema", "migctl.report/1", "$.schema"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(path: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("$", r"\$")):
        read(_change(path, value))


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"{}", b'"migctl.status/1"'])
def test_what_is_no_status_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expected|truncated|malformed|missing"):
        read(text)


def test_each_kind_of_source_says_which_it_is() -> None:
    common = {"source": "-", "state": "running", "waiting_for": None, "accepted": 1, "rejected": 0}
    publisher = PublisherStatus(**common, buffered_bytes=3)
    never = {"since": None, "last_event_at": None, "per_s": None}
    assert msgspec.to_builtins(publisher) == {"kind": "publisher", **common, **never, "buffered_bytes": 3}
    stdin = {
        **common, "kind": "stdin", "duplicates": 0, "without_time": 0, "ignored": 0, "rejected_file": "r",
        "resumable": False, "resumed_from_bytes": 0, "offset_bytes": 9, "size_bytes": None, "lines": 1,
    }  # fmt: skip
    said = read(_change("source", stdin)).source
    assert isinstance(said, StdinStatus)
    assert said.kind == "stdin"


def test_a_name_that_is_no_unicode_is_answered_all_the_same() -> None:
    of = status()
    odd = replace(of, journal=replace(of.journal, path="/srv/\udcff/journal.db"))
    body = answer(200, odd).body
    assert isinstance(body, bytes)
    assert json.loads(body)["journal"]["path"] == "/srv/\udcff/journal.db"
