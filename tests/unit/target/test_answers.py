"""What an answer of the target is read as, and what is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from migctl.errors import Systemic
from migctl.target import answers
from tests.kit.entries import START

ID = "0190a000-0000-7000-8000-00000000000a"
TIME = "2026-01-31T12:00:00+00:00"
HEAD: dict[str, Any] = {
    "epoch": "e", "prev_epoch": None, "lost_from": None, "lost_to": None, "writer_id": "we", "fence": 0,
    "started_at": TIME, "table_tail": 1, "table_head": 5, "journal_head": 7, "updated_at": TIME,
}  # fmt: skip
ROW: dict[str, Any] = {
    "id": ID, "event_type": "cpu", "timestamp": TIME, "data": {}, "source": "s", "epoch": "e", "seq": 3,
}  # fmt: skip


def body(*rows: Any) -> bytes:
    return json.dumps(rows).encode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": None}, {"epoch": ""}, {"epoch": "e" * 201}, {"epoch": 1}, {"table_head": "5"}, {"table_head": True},
        {"table_head": 1.5}, {"table_head": -1}, {"table_head": 1 << 63}, {"journal_head": None}, {"lost_to": "9"},
        {"started_at": None}, {"started_at": 5}, {"started_at": "2026-02-30T12:00:00+00:00"},
        {"started_at": "2026-01-31T12:00:00"}, {"started_at": "soon"},
        {"prev_epoch": 5}, {"writer_id": None},
    ],
)  # fmt: skip
def test_a_head_of_another_type_or_size_is_no_head(wrong: dict[str, Any]) -> None:
    assert answers.heads("read", body(HEAD))[0].started_at == START
    with pytest.raises(Systemic, match="read: the answer is not what was asked for"):
        answers.heads("read", body({**HEAD, **wrong}))


def test_heads_of_one_epoch_twice_are_no_heads() -> None:
    with pytest.raises(Systemic, match="twice"):
        answers.heads("read", body(HEAD, HEAD))


def test_times_of_heads_are_utc_however_the_database_tells_them() -> None:
    (head,) = answers.heads("read", body({**HEAD, "started_at": "2026-01-31T17:30:00+05:30"}))
    assert (head.started_at, head.started_at.tzinfo) == (START, UTC)


def test_a_function_may_answer_with_a_row_or_an_array_of_it() -> None:
    alone = json.dumps(HEAD).encode()
    for answer in (alone, body(HEAD)):
        assert answers.head("move", answer, "e", table_head=5, journal_head=7).table_head == 5


@pytest.mark.parametrize(
    ("answer", "epoch", "table_head", "journal_head"),
    [
        (body(HEAD), "another", 5, 7),
        (body(HEAD), "e", 6, 7),
        (body(HEAD), "e", 5, 8),
        (body(), "e", 5, 7),
        (body(HEAD, HEAD), "e", 5, 7),
        (b"null", "e", 5, 7),
    ],
)
def test_a_head_that_was_not_moved_there_is_no_answer_to_a_move(
    answer: bytes, epoch: str, table_head: int, journal_head: int
) -> None:
    with pytest.raises(Systemic):
        answers.head("move", answer, epoch, table_head=table_head, journal_head=journal_head)


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"null", b"{}", b"[1]", b"[[]]", b'["1"]', b'[{"id":1}]', b'[{"seq":null}]', b'[{"seq":"1"}]', b'[{"seq":true}]',
        b'[{"seq":1.5}]', b'[{"seq":-1}]', b'[{"seq":1e999}]', b'[{"seq":%b}]' % (b"9" * 5000), b'[{"seq":1},{"seq":1}]',
        b'[{"seq":4}]', b'[{"seq":0}]', b"[" * 100_000, b'[{"seq":1}', b"\xff\xfe", b"<html>nginx</html>",
    ],
)  # fmt: skip
def test_seqs_are_numbers_of_those_that_were_asked_for(answer: bytes) -> None:
    assert answers.seqs("write", b'[{"seq":1},{"seq":3}]', 1, 3) == {1, 3}
    with pytest.raises(Systemic):
        answers.seqs("write", answer, 1, 3)


@pytest.mark.parametrize(
    "answer",
    [b"", b"null", b"{}", b"[1]", b'[{"id":1}]', b'[{"seq":null}]', b'[{"seq":"8"}]', b'[{"seq":7}]', b'[{"seq":8},{"seq":9}]'],
)  # fmt: skip
def test_the_last_seq_is_one_and_above_what_was_named(answer: bytes) -> None:
    assert answers.last("look", b'[{"seq":8}]', 7) == 8
    assert answers.last("look", b"[]", 7) is None
    with pytest.raises(Systemic):
        answers.last("look", answer, 7)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (TIME, START),
        ("2026-01-31T12:00:00.25+00:00", START.replace(microsecond=250_000)),
        # Times that Python has, in a form that only PostgreSQL writes.
        ("1890-01-01T00:19:32+00:19:32", datetime(1890, 1, 1, tzinfo=UTC)),
        # Times that no event of ours has: the row is another's.
        ("infinity", None),
        ("-infinity", None),
        ("0044-03-15T00:00:00+00:00 BC", None),
        ("10000-01-01T00:00:00+00:00", None),
        ("294276-12-31T23:59:59.999999+00:00", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("9999-12-31T23:00:00-05:00", None),
    ],
)
def test_a_stored_row_may_have_any_time_that_the_database_holds(text: str, moment: datetime | None) -> None:
    assert answers.stored("read back", body({**ROW, "timestamp": text}))[ID].timestamp == moment


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp": "soon"}, {"timestamp": ""}, {"timestamp": "2026-W05-1"}, {"timestamp": 5}, {"id": "x"},
        {"id": ID.upper()}, {"id": f"{ID}\n"}, {"seq": "3"}, {"source": None}, {"event_type": 5}, {"epoch": 5},
    ],
)  # fmt: skip
def test_a_stored_row_of_another_type_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(Systemic):
        answers.stored("read back", body({**ROW, **wrong}))


def test_a_row_from_before_there_was_a_journal_is_stored_nowhere() -> None:
    row = answers.stored("read back", body({**ROW, "epoch": None, "seq": None}))[ID]
    assert (row.epoch, row.seq) == (None, None)


def test_data_that_is_no_utf_8_is_no_data_though_it_is_only_passed_on() -> None:
    answer = body(ROW).replace(b'"data": {}', b'"data": {"a": "\xff"}')
    with pytest.raises(Systemic):
        answers.stored("read back", answer)
    page = body({**ROW, "committed_at": TIME}).replace(b'"data": {}', b'"data": {"a": "\xff"}')
    with pytest.raises(Systemic):
        answers.rows("read", page, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp": "soon"}, {"timestamp": "2026-02-30T12:00:00+00:00"},
        {"data": []}, {"data": None}, {"data": "{}"}, {"id": 5}, {"seq": None},
    ],
)  # fmt: skip
def test_a_row_of_a_page_keeps_what_readers_are_promised_or_is_none(wrong: dict[str, Any]) -> None:
    row = {**ROW, "committed_at": TIME}
    assert [found.seq for found in answers.rows("read", body(row), 2)] == [3]
    with pytest.raises(Systemic):
        answers.rows("read", body({**row, **wrong}), 2)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "{", '{"event_type":"cpu"}', '{"event_type":"cpu","timestamp":"soon","source":"s","data":{}}',
        '{"event_type":5,"timestamp":"2026-01-31T12:00:00Z","source":"s","data":{}}',
        '{"event_type":"cpu","timestamp":"2026-01-31T12:00:00Z","source":"\\ud800","data":{}}',
        '{"event_type":"cpu","timestamp":"2026-01-31T12:00:00Z","source":"s","data":[]}',
        '{"event_type":"cpu","timestamp":"2026-01-31T12:00:00Z","source":"s","data":' + '{"a":' * 5000 + "1" + "}" * 5001,
    ],
)  # fmt: skip
def test_the_text_of_a_tombstone_is_an_event_or_the_page_is_none(text: str) -> None:
    page = body({"id": ID, "seq": 3, "event": text, "committed_at": TIME})
    with pytest.raises(Systemic):
        answers.tombstones("read", page, 2)
    with pytest.raises(Systemic):
        answers.buried("read", page)


def test_a_row_that_was_asked_for_alone_is_one() -> None:
    for read in (answers.some, answers.id_of, answers.position_of):
        with pytest.raises(Systemic, match="2 rows"):
            read("read", body(ROW, ROW))


@pytest.mark.parametrize("answer", [b'"gone"', b"null", b"{}", b'["written"]', b"written"])
def test_a_word_that_the_function_does_not_know_is_none(answer: bytes) -> None:
    assert answers.found("retry", b'"written"') == "written"
    with pytest.raises(Systemic):
        answers.found("retry", answer)


@pytest.mark.parametrize(
    ("text", "count"), [("0-0/17", 17), ("*/0", 0), ("0-24/9223372036854775807", (1 << 63) - 1)]
)
def test_a_count_stands_behind_the_range(text: str, count: int) -> None:
    assert answers.count("count", text) == count


@pytest.mark.parametrize(
    "text", ["", "0-0/*", "*/*", "0-0/-1", "0-0/1e3", "0-0/\u0663", "17", "0-0/" + "9" * 20]
)
def test_a_range_without_a_count_is_none(text: str) -> None:
    with pytest.raises(Systemic, match="count: the answer is not what was asked for"):
        answers.count("count", text)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2026-01-31T17:45:00.25+05:45", "2026-01-31T12:00:00.250000Z"),
        ("1890-01-01T00:19:32+00:19:32", "1890-01-01T00:00:00.000000Z"),
        ("0001-12-31T19:03:58-04:56:02 BC", "0001-01-01T00:00:00.000000Z"),
        ("10000-01-01T05:44:59.999999+05:45", "9999-12-31T23:59:59.999999Z"),
        ("infinity", answers.NO_TIME),
        ("0044-03-15T00:00:00+00:00 BC", answers.NO_TIME),
        ("294276-12-31T23:59:59+00:00", answers.NO_TIME),
    ],
)
def test_times_of_a_page_are_spelled_as_everywhere_and_one_that_no_event_has_spoils_no_other(
    text: str, spelled: str
) -> None:
    rows = [
        {**ROW, "committed_at": TIME},
        {**ROW, "seq": 4, "timestamp": text, "committed_at": text},
        {**ROW, "seq": 5, "committed_at": None},
    ]
    usual = "2026-01-31T12:00:00.000000Z"
    found = [(row.timestamp, row.committed_at) for row in answers.rows("read", body(*rows), 2)]
    assert found == [(usual, usual), (spelled, spelled), (usual, None)]
    (buried,) = answers.tombstones("read", body({"id": ID, "seq": 4, "event": None, "committed_at": text}), 2)
    assert buried[0].committed_at == spelled


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("infinity", 9999),
        ("-infinity", 1),
        ("0044-03-15T00:00:00+00:00 BC", 1),
        ("10000-01-01T00:00:00+00:00", 9999),
    ],
)
def test_a_head_whose_time_nobody_counts_is_as_old_or_as_new_as_can_be(text: str, year: int) -> None:
    (head,) = answers.heads("read", body({**HEAD, "started_at": text}))
    assert head.started_at.year == year
