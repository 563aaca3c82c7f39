"""Rows and tombstones put together, and what a hole means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.errors import Systemic
from migctl.subscriber.core.merge import Skip
from migctl.subscriber.core.pages import merged, read_heads, read_rows, read_tombstones
from migctl.subscriber.core.release import Release
from migctl.target.chain import Head, elsewhere, fate, following, newest, oldest
from tests.kit.releases import ARRIVED, release


def head(epoch: str, prev: str | None = None, *, tail: int = 1, table: int = 0, journal: int = 0) -> Head:
    return Head(
        epoch=epoch,
        prev_epoch=prev,
        lost_from=None,
        lost_to=None,
        started_at=f"2026-01-31T12:00:0{ord(epoch) - 96}+00:00",
        table_tail=tail,
        table_head=table,
        journal_head=journal,
        updated_at="2026-01-31T12:00:00+00:00",
    )


@given(
    st.dictionaries(st.integers(1, 40), st.sampled_from(["row", "tombstone", "both"])),
    st.integers(1, 10),
    st.integers(1, 10),
)
def test_paging_to_an_empty_page_finds_every_seq_once_however_pages_are_cut(
    table: dict[int, str], rows_cap: int, tombstones_cap: int
) -> None:
    rows = [release(seq, via="table") for seq in sorted(table) if table[seq] != "tombstone"]
    tombstones = [Skip("a", seq) for seq in sorted(table) if table[seq] != "row"]
    after, found = 0, []
    for _ in range(200):
        items, end = merged(
            [row for row in rows if row.seq > after][:rows_cap],
            [stone for stone in tombstones if stone.seq > after][:tombstones_cap],
        )
        if end:
            break
        assert items, "a page that is not the end brings something"
        found += items
        after = items[-1].seq
    assert [item.seq for item in found] == sorted(table)
    assert all(isinstance(item, Release) == (table[item.seq] != "tombstone") for item in found)


def test_hole_is_not_there_yet_above_the_head_gone_below_the_tail_and_broken_between() -> None:
    where = head("a", tail=10, table=20, journal=30)
    assert [fate(seq, where) for seq in (9, 10, 20, 21)] == ["pruned", "broken", "broken", "not_yet"]


def test_epochs_are_followed_by_their_chain_not_by_their_order() -> None:
    heads = [head("c", "b"), head("a"), head("b", "a")]
    assert newest(heads) == heads[0]
    assert oldest(heads) == heads[1]
    assert following("a", heads) == heads[2]
    assert following("c", heads) is None
    assert newest([]) is None


def test_where_no_chain_leads_on_the_stream_is_found_elsewhere_and_else_nowhere() -> None:
    chained = [head("a"), head("b", "a"), head("c", "b")]
    assert [elsewhere(each, chained) for each in "abc"] == [None, None, None]
    orphaned = [head("a"), head("c", "unknown"), head("d", "c")]
    assert [elsewhere(each, orphaned) for each in "acd"] == [orphaned[1], None, None]
    forked = [head("a"), head("b", "a"), head("c", "a"), head("d", "c")]
    assert [elsewhere(each, forked) for each in "abcd"] == [None, forked[2], None, None]
    assert elsewhere("a", []) is None


def test_numbers_of_a_row_keep_their_text() -> None:
    body = (
        b'[{"id":"x","seq":3,"event_type":"cpu","timestamp":"2026-01-31T12:00:00+00:00",'
        b'"source":"s","data":{"big": 12345678901234567890123, "fine": 1.10},"committed_at":null}]'
    )
    (item,) = read_rows(body, "a", ARRIVED)
    assert isinstance(item, Release)
    assert item.data == b'{"big": 12345678901234567890123, "fine": 1.10}'
    assert (item.seq, item.via, item.received_mono_ns) == (3, "table", ARRIVED.mono_ns)


def test_tombstone_with_text_is_delivered_with_what_jsonb_refused() -> None:
    text = (
        '{"id":"x","event_type":"cpu","timestamp":"2026-01-31T12:00:00.000000Z","source":"s",'
        '"data":{"nul": "\\u0000", "half": "\\ud800", "huge": 1e400000},"clock":"arrival"}'
    )
    body = json.dumps([{"id": "x", "seq": 4, "event": text, "committed_at": "2026-01-31T12:00:00+00:00"}])
    (item,) = read_tombstones(body.encode(), "a", ARRIVED)
    assert isinstance(item, Release)
    assert item.data == b'{"nul": "\\u0000", "half": "\\ud800", "huge": 1e400000}'
    assert item.clock == "arrival"


def test_tombstone_without_text_is_passed_over() -> None:
    body = b'[{"id":"x","seq":4,"event":null,"committed_at":"2026-01-31T12:00:00+00:00"}]'
    assert read_tombstones(body, "a", ARRIVED) == [Skip("a", 4)]


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'[{"seq":1}]', b"[1]"])
def test_answer_of_some_other_server_is_refused_not_read_as_empty(body: bytes) -> None:
    with pytest.raises(Systemic):
        read_rows(body, "a", ARRIVED)
    with pytest.raises(Systemic):
        read_heads(body)
