"""Rows and tombstones put together, and what a hole means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.errors import Systemic
from migctl.subscriber.core.merge import Skip
from migctl.subscriber.core.pages import merged, read_rows, read_tombstones
from migctl.subscriber.core.release import Release
from tests.kit.releases import ARRIVED, release

ID = "0190a000-0000-7000-8000-00000000000a"


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


def test_numbers_of_a_row_keep_their_text() -> None:
    body = (
        b'[{"id":"%b","seq":3,"event_type":"cpu","timestamp":"2026-01-31T12:00:00+00:00",'
        b'"source":"s","data":{"big": 12345678901234567890123, "fine": 1.10},"committed_at":null}]'
        % ID.encode()
    )
    (item,) = read_rows("read", body, "a", 2, ARRIVED)
    assert isinstance(item, Release)
    assert item.data == b'{"big": 12345678901234567890123, "fine": 1.10}'
    assert (item.seq, item.via, item.received_mono_ns) == (3, "table", ARRIVED.mono_ns)


def test_tombstone_with_text_is_delivered_with_what_jsonb_refused() -> None:
    text = (
        f'{{"id":"{ID}","event_type":"cpu","timestamp":"2026-01-31T12:00:00.000000Z","source":"s",'
        '"data":{"nul": "\\u0000", "half": "\\ud800", "huge": 1e400000},"clock":"arrival"}'
    )
    body = json.dumps([{"id": ID, "seq": 4, "event": text, "committed_at": "2026-01-31T12:00:00+00:00"}])
    (item,) = read_tombstones("read", body.encode(), "a", 3, ARRIVED)
    assert isinstance(item, Release)
    assert item.data == b'{"nul": "\\u0000", "half": "\\ud800", "huge": 1e400000}'
    assert item.clock == "arrival"


def test_tombstone_without_text_is_passed_over() -> None:
    body = b'[{"id":"%b","seq":4,"event":null,"committed_at":"2026-01-31T12:00:00+00:00"}]' % ID.encode()
    assert read_tombstones("read", body, "a", 3, ARRIVED) == [Skip("a", 4)]


@pytest.mark.parametrize("seqs", [[2], [3, 3], [4, 3], [1, 3]])
def test_page_that_does_not_lead_on_is_refused_for_who_follows_it_goes_round_for_ever(
    seqs: list[int],
) -> None:
    rows = [
        {"id": ID, "seq": seq, "event_type": "cpu", "timestamp": "2026-01-31T12:00:00+00:00", "source": "s", "data": {},
         "committed_at": None}
        for seq in seqs
    ]  # fmt: skip
    with pytest.raises(Systemic, match="comes after"):
        read_rows("read", json.dumps(rows).encode(), "a", 2, ARRIVED)
    stones = [
        {"id": ID, "seq": seq, "event": None, "committed_at": "2026-01-31T12:00:00+00:00"} for seq in seqs
    ]
    with pytest.raises(Systemic, match="comes after"):
        read_tombstones("read", json.dumps(stones).encode(), "a", 2, ARRIVED)
