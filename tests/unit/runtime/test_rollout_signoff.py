"""The sign-off report is written whole, or said not to be: a completion stands whatever becomes of it."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migctl.config import Settings, Target
from migctl.errors import Transient, Usage
from migctl.flags.record import Record
from migctl.flags.snapshot import Snapshot
from migctl.ingest import outages
from migctl.ingest.outages import Outages
from migctl.rollout.signoff.build import build
from migctl.runtime.handing import Hands
from migctl.runtime.rollout import Control
from migctl.runtime.rollout_signoff import LATER, collect, sign_off, signed_off, write
from tests.unit.rollout.signoff.test_build import whole


def control(folder: Path, record: Record | None) -> Control:
    settings = Settings(state_dir=str(folder))
    hands = Hands(settings, "t", record=record, redis=None, token=None)
    return Control(settings, "here", "t", record, None, hands, None, Snapshot(target="t"))


async def test_with_the_record_away_nothing_is_written_and_it_is_said_how_to_later(tmp_path: Path) -> None:
    record = Record(Target("http://127.0.0.1:1", service_role_key="key"), "public", "t")
    notes: list[str] = []
    signed = await signed_off(control(tmp_path, record), notes.append)
    await record.aclose()
    assert (signed.report, signed.files) == (None, ())
    assert notes == [signed.unwritten]
    assert LATER in notes[0]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Transient):
        await collect(control(tmp_path, None))


def test_a_report_is_written_whole_for_its_owner_alone_and_over_the_one_before(tmp_path: Path) -> None:
    report = build(whole().collected())
    for _ in range(2):
        files = write(report, tmp_path / "state", None)
        assert [path.name for path in files] == ["signoff.html", "signoff.json"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [
            "signoff.html",
            "signoff.json",
        ]
    assert json.loads(files[1].read_text())["schema"] == "migctl.signoff/1"
    (one,) = write(report, tmp_path, tmp_path / "mine.html")
    assert one.read_text() == files[0].read_text()


async def test_a_place_where_it_cant_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="can't be written"):
        write(build(whole().collected()), tmp_path, tmp_path / "no" / "such.html")
    with pytest.raises(Usage, match=r"a report is \.html or \.json"):
        await sign_off(Settings(), lambda _: None, Path("report.pdf"))


def test_outages_of_every_source_are_read_again_and_a_bad_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        outages.read(tmp_path)
    for minute, source in enumerate(("a", "b")):
        of = Outages(tmp_path, source)
        of.begin(datetime(2026, 3, 2, 8, minute, tzinfo=UTC), "reset")
        of.end(datetime(2026, 3, 2, 9, minute, tzinfo=UTC))
    assert [(one.source, one.reason) for one in outages.read(tmp_path)] == [("a", "reset"), ("b", "reset")]
    with (tmp_path / outages.FILE).open("a") as file:
        file.write("{}\n")
    with pytest.raises(Usage, match=r"outages\.ndjson:3"):
        outages.read(tmp_path)
