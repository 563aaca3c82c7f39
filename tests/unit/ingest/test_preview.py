"""What is shown of messages before they are events, and the map that is proposed."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migctl.errors import Transient, Usage
from migctl.ingest import Mapper, parse_map
from migctl.ingest.preview import preview, propose
from migctl.ingest.sample import sample

ARRIVED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
GOOD = b'{"type":"a","timestamp":"2026-01-01T00:00:00Z","data":{}}'
ODD = [
    b'{"eventName":"Get","meta":{"at":"2026-01-01T00:00:0%dZ","host":"h1"},"eventID":"%d","payload":{"n":%d}}'
    % (n, n, n)
    for n in range(5)
]


def test_each_message_says_what_it_is_kept_as_and_how_its_time_was_read() -> None:
    frames = [
        GOOD, b'{"type":"a","n":5,"timestamp":1767225600,"data":{}}', b'{"type":"a","timestamp":81234.5,"data":{}}', b"{}",
    ]  # fmt: skip
    whole, kept, odd, bad = preview(frames, Mapper(), arrived=ARRIVED)
    assert whole.is_whole and whole.found is not None and whole.found.when is not None
    assert kept.is_whole and kept.found is not None and kept.found.when is not None
    assert (whole.found.when.how, kept.found.when.how, kept.found.kept_whole) == (
        "text",
        "Unix seconds",
        (".n",),
    )
    assert not odd.is_whole and odd.found is not None
    assert (bad.found, bad.reason, bad.is_whole) == (None, "event_type: is missing", False)


def test_a_map_is_proposed_that_fits_what_was_rejected_and_is_the_better_one() -> None:
    proposal = propose([*ODD, b"no JSON"], Mapper(), arrived=ARRIVED)
    assert proposal is not None
    assert proposal.options == (
        "event_type=.eventName", "timestamp=.meta.at", "id=.eventID", "source=.meta.host", "data=.payload",
    )  # fmt: skip
    assert (proposal.fits, proposal.whole) == (5, 5)
    assert propose(ODD, parse_map(proposal.options), arrived=ARRIVED) is None
    assert (
        propose([GOOD], Mapper(), arrived=ARRIVED) is propose([b"no JSON"], Mapper(), arrived=ARRIVED) is None
    )


def test_an_id_that_comes_again_is_none_and_data_that_would_leave_something_out_is_the_whole() -> None:
    frames = [b'{"kind":"x","id":"same","extra":1,"body":{},"ts":1767225600}'] * 3
    proposal = propose(frames, Mapper(), arrived=ARRIVED)
    assert proposal is not None
    assert proposal.options == ("event_type=.kind", "timestamp=.ts", "data=.")


async def test_the_first_lines_of_a_file_are_taken_packed_or_not(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + b"\n\n".join(ODD)
    (tmp_path / "a").write_bytes(text)
    (tmp_path / "a.gz").write_bytes(gzip.compress(text))
    for name in ("a", "a.gz"):
        assert await sample(str(tmp_path / name), 3, within_s=30) == ODD[:3]
        assert await sample(str(tmp_path / name), 10, within_s=30) == ODD
    (tmp_path / "empty").touch()
    with pytest.raises(Transient):
        await sample(str(tmp_path / "empty"), 3, within_s=30)
    for spec in (str(tmp_path / "none"), str(tmp_path), "http://h/"):
        with pytest.raises(Usage):
            await sample(spec, 3, within_s=30)
