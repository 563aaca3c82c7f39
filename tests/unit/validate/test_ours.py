"""Ours: the quick way is sure or says nothing; what it is sure of, the slow way finds too."""

from __future__ import annotations

import json

import pytest

from migctl.validate.lines import decode
from migctl.validate.ours import decode_all, last_seq
from tests.kit.captures import EPOCH, entry, received


def lines_of(*seqs: int, **changes: object) -> list[bytes]:
    made = [received(entry(seq), "websocket") for seq in seqs]
    ordered = [
        {
            "id": line["id"],
            "epoch": line["epoch"],
            "seq": line["seq"],
            **{k: v for k, v in line.items() if k not in ("id", "epoch", "seq")},
        }
        for line in made
    ]
    return [json.dumps(line | changes, separators=(",", ":")).encode() + b"\n" for line in ordered]


def test_a_block_of_ours_is_known_by_its_last_seq_and_read_as_the_slow_way_reads_it() -> None:
    block = lines_of(10, 11, 15)
    assert last_seq(block, EPOCH, 9) == 15
    found = decode_all(block)
    assert found is not None
    assert [(line.id, line.seq, bytes(line.data)) for line in found] == [
        (line.id, line.seq, bytes(line.data)) for line in (decode(text) for text in block)
    ]


@pytest.mark.parametrize(
    ("block", "epoch", "top"),
    [
        (lines_of(10, 11), EPOCH, 10),  # a repeat of what was there
        (lines_of(10, 11), "another", 0),
        (lines_of(11, 10), EPOCH, 0),
        (lines_of(10, 10), EPOCH, 0),
        (lines_of(9, 10), EPOCH, 0),  # rise as numbers, not as texts
        (lines_of(10) + lines_of(11, epoch="another"), EPOCH, 0),
        ([*lines_of(10), b'{"id":"x","epoch":"y","seq":11}\n'], EPOCH, 0),
        ([*lines_of(10), lines_of(11)[0].replace(b'"seq":11', b'"seq":1x')], EPOCH, 0),
        ([*lines_of(10), lines_of(11)[0][:-1]], EPOCH, 0),  # torn
        ([lines_of(10)[0], b" " + lines_of(11)[0]], EPOCH, 0),
        ([line.upper() for line in lines_of(10)], EPOCH, 0),
    ],
)
def test_any_doubt_sends_a_block_the_slow_way(block: list[bytes], epoch: str, top: int) -> None:
    assert last_seq(block, epoch, top) is None


@pytest.mark.parametrize(
    "block",
    [
        lines_of(10, 11, event_type="sys.marker"),
        lines_of(10, data="no object"),
        [lines_of(10)[0].replace(b'"data":{', b'"data":{{')],
        [lines_of(10)[0][:-10]],
    ],
)
def test_what_needs_a_closer_look_is_not_read_quickly(block: list[bytes]) -> None:
    assert decode_all(block) is None
