"""Drills that were run, on a terminal: at 80 columns no name and no figure is cut, and what was missed can be read."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from migctl.cli.drill_gameday_view import Progress, print_day
from migctl.cli.drill_tables import percent, print_table
from migctl.cli.live import Display
from migctl.drills import catalog
from migctl.drills.functions.checking import read
from migctl.drills.gameday import GameDay, summary_of
from migctl.drills.ordering import Order
from migctl.drills.result import Result
from migctl.drills.sampling import Moment
from migctl.errors import Refused
from tests.kit.drilled import BEGAN, whole

NAME = "postgres-restart"
ROW = [NAME, "inconclusive", "12", "345,678", "12,345", "123,456", "99.98"]


def widest() -> Result:
    return msgspec.structs.replace(
        whole(NAME), verdict="inconclusive", lost=12, time_to_detect_ms=345_678, time_to_fallback_ms=12_345,
        time_to_recover_ms=123_456, availability_percent=99.9899,
    )  # fmt: skip


@pytest.mark.parametrize("columns", [81, 200])
def test_names_and_figures_are_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table([widest()], dated=True)
    printed = capsys.readouterr().out
    [row] = [
        line.split()
        for line in printed.splitlines()
        if line.startswith(("2026", " 2026")) and "12,345" in line
    ]
    assert [word for word in row if word in ROW][: len(ROW)] == ROW
    assert "lost 1 (at most 0)" in printed
    assert "…" not in printed


def test_at_80_columns_usual_figures_are_beside_the_longest_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table([msgspec.structs.replace(widest(), time_to_detect_ms=45_678)], dated=True)
    table, _, missed = capsys.readouterr().out.partition("\n\n")
    assert max(len(line) for line in table.splitlines()) <= 80
    assert "2026-03-01 09:00 postgres-restart inconclusive   12 45,678 12,345 123,456  99.98" in table
    assert missed.startswith("2026-03-01 09:00 postgres-restart: ")


def test_what_is_nearly_all_is_not_all() -> None:
    assert (percent(99.999), percent(100.0), percent(None)) == ("99.99", "100", "-")


def day() -> GameDay:
    return GameDay(
        id="gameday-x", verdict="terminated", started_at=BEGAN, finished_at=BEGAN, seconds=600, config="", target="t",
        drills=[summary_of(widest())], not_run=["soak"],
    )  # fmt: skip


def test_a_day_has_its_verdict_what_was_not_run_and_its_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_day(day(), Path("drills/gameday-x.html"))
    printed = capsys.readouterr().out
    assert (
        "terminated: 0 of 2 drills passed, in 10 min\n  not run: soak\n  page: drills/gameday-x.html\n"
        in printed
    )
    assert printed.startswith("DRILL ")


def test_while_it_goes_each_drill_has_a_line_with_how_far_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    passed = msgspec.structs.replace(
        summary_of(widest()), drill="failover", verdict="pass", reason="", missed=[], lost=0, duplicates=0
    )
    order = Order(name="failover", checked=read(catalog.path_of("failover")), state=tmp_path)
    with Display(quiet=False) as display:
        progress = Progress(display, [30, 600, 600])
        progress.begins(order)
        progress.moment(Moment(at=0, kind="phase", what="load"))
        progress.ended(passed)
        progress.begins(order)
        progress.moment(Moment(at=0, kind="verdict", what="terminated: SIGINT came"))
        progress.ended(msgspec.structs.replace(passed, verdict="terminated", reason="SIGINT came"))
    _, first, second, third = [
        line.partition(" s")[2].strip() for line in f"\n{capsys.readouterr().err}".splitlines()
    ]
    assert first.startswith("1 of 3  pass failover: lost 0, twice 0, available 99.98 %; about ")
    assert second == "failover: terminated: SIGINT came"
    assert third == "2 of 3  terminated failover: SIGINT came"


def test_what_went_wrong_by_an_error_of_ours_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(quiet=True) as display:
        Progress(display, [30]).went_wrong(Refused("no room", do="make some"))
    assert "no room" in capsys.readouterr().err
