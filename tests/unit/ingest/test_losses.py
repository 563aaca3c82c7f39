"""What the files of a state folder say was lost before the journal, within a span of time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migctl.events import BadEvent
from migctl.ingest.left_out import MOST_FIELDS, OTHERS, Leaving, read
from migctl.ingest.losses import lost_before
from migctl.ingest.outages import Outages
from migctl.ingest.rejected import Rejected
from migctl.ingest.rejections import Settled, settle
from migctl.status.losses import SourceLosses

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def test_a_folder_that_no_serve_had_knows_nothing(tmp_path: Path) -> None:
    assert lost_before(tmp_path, None, None) is None
    (tmp_path / "clients.json").write_text("{}")
    assert lost_before(tmp_path, None, None) == SourceLosses()


def test_what_lies_in_the_span_counts_and_what_went_in_after_all_does_not(tmp_path: Path) -> None:
    kept = Rejected(tmp_path / "rejected.ndjson")
    for at, id in ((0, "before"), (60, "in"), (61, "retried"), (62, "dismissed"), (200, "after")):
        kept.add(b"{}", BadEvent("", "json", "no"), source="s", offset=None, at=later(at), id=id)
    settle(tmp_path, [Settled(id=id, at=AT, outcome=id) for id in ("retried", "dismissed")])  # type: ignore[arg-type]
    outages = Outages(tmp_path, "ws://a/")
    for began, ended in ((0, 10), (30, 70), (110, 130)):
        outages.begin(later(began), "gone")
        outages.end(later(ended))
    leaving = Leaving(tmp_path, "s")
    leaving.add([".a", ".b"], later(60))
    assert lost_before(tmp_path, later(50), later(120)) == SourceLosses(
        rejected=2, unmapped_fields=2, source_outages=2, source_outage_s=30.0
    )
    whole = lost_before(tmp_path, None, None)
    assert whole is not None and (whole.rejected, whole.source_outages, whole.source_outage_s) == (4, 3, 70.0)


def test_the_first_of_a_minute_is_written_at_once_and_the_rest_with_its_end(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path, "s")
    leaving.add([".a"], AT)
    assert [one.fields for one in read(tmp_path)] == [{".a": 1}]
    leaving.add([".a", ".b"], later(30))
    leaving.add([".a"], later(59))
    assert sum(one.values for one in read(tmp_path)) == 1
    leaving.flush()
    leaving.flush()
    assert sum(one.values for one in read(tmp_path)) == sum(leaving.fields.values()) == 4
    assert leaving.messages == sum(one.messages for one in read(tmp_path)) == 3
    with (tmp_path / "unmapped.ndjson").open("ab") as file:
        file.write(b'{"torn')
    assert len(read(tmp_path)) == 2


def test_names_without_end_are_counted_together(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path, "s")
    leaving.add([f".{number}" for number in range(MOST_FIELDS + 7)], AT)
    assert (len(leaving.fields), leaving.fields[OTHERS]) == (MOST_FIELDS + 1, 7)
    assert json.loads((tmp_path / "unmapped.ndjson").read_bytes())["fields"][OTHERS] == 7
