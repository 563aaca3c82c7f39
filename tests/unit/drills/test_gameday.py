"""A game day: which drills, how one's end bears on the others, how long it takes, and what is kept of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from migctl.drills import catalog, history
from migctl.drills.functions.checking import Checked, read
from migctl.drills.gameday import GameDay, Summary, expected_s, left_s, summary_of
from migctl.drills.gameday_page import figures_of, page_of
from migctl.drills.holding import chosen, hold
from migctl.drills.objectives import Verdict
from migctl.drills.ordering import Order
from migctl.drills.result import Result
from migctl.drills.sampling import Moment
from migctl.errors import Refused, Usage
from tests.kit.drilled import BEGAN, NOTHING, whole
from tests.unit.drills.test_page import LONG, fits
from tests.unit.rollout.signoff.test_page import EVIL, Reading

if TYPE_CHECKING:
    from migctl.drills.running import Run, Watch

FAILOVER = read(catalog.path_of("failover"))
Ended = Callable[["Watch"], Result]


class Noted:
    """An onlooker that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begins(self, order: Order) -> None:
        self.lines.append(f"begins {order.name}")

    def ended(self, one: Summary) -> None:
        self.lines.append(f"{one.verdict} {one.drill}")

    def went_wrong(self, error: Exception) -> None:
        self.lines.append(repr(error))

    def moment(self, moment: Moment) -> None:
        self.lines.append(moment.what)

    def tick(self, run: Run) -> None:
        raise AssertionError("nothing runs here")


def ends(verdict: Verdict, signalled: str = "") -> Ended:
    def run(watch: Watch) -> Result:
        if signalled:
            watch.moment(Moment(at=0, kind="signal", what=signalled))
        return msgspec.structs.replace(NOTHING, verdict=verdict, lost=0, duplicates=0)

    return run


def breaks(error: BaseException) -> Ended:
    def run(watch: Watch) -> Result:
        raise error

    return run


def held(state: Path, *drills: Ended) -> tuple[GameDay, list[str]]:
    """A day of drills 0, 1, 2, ... that end as is given."""
    left = list(drills)
    watch = Noted()
    orders = [Order(name=str(number), checked=FAILOVER, state=state) for number in range(len(drills))]

    def run(order: Order, watching: Watch) -> Result:
        return msgspec.structs.replace(left.pop(0)(watching), drill=order.name, id=f"20260301-{order.name}")

    return hold(orders, watch, run), watch.lines


def verdicts(day: GameDay) -> list[str]:
    return [one.verdict for one in day.drills]


def test_a_drill_that_fails_or_can_not_be_run_ends_no_day(tmp_path: Path) -> None:
    day, lines = held(
        tmp_path,
        ends("fail"),
        breaks(Refused("no room", do="make some")),
        breaks(KeyError("ours")),
        ends("pass"),
    )
    assert (day.verdict, verdicts(day), day.not_run) == ("error", ["fail", "error", "error", "pass"], [])
    assert [one.id for one in day.drills] == ["20260301-0", None, None, "20260301-3"]
    assert day.drills[1].reason == "no room; make some"
    assert "KeyError" in day.drills[2].reason
    assert (day.passed, day.asked) == (1, 4)
    assert lines[-5:] == ["begins 2", "KeyError('ours')", "error 2", "begins 3", "pass 3"]


@pytest.mark.parametrize("second", [ends("terminated"), breaks(KeyboardInterrupt()), breaks(SystemExit(143))])
def test_an_interrupt_ends_the_day_and_what_was_done_is_kept(tmp_path: Path, second: Ended) -> None:
    day, lines = held(tmp_path, ends("pass"), second, ends("pass"))
    assert (day.verdict, verdicts(day), day.not_run) == ("terminated", ["pass", "terminated"], ["2"])
    assert lines == ["begins 0", "pass 0", "begins 1", "terminated 1"]
    assert history.days(tmp_path) == [day]


def test_an_interrupt_while_rollbacks_run_ends_the_day_after_this_drill(tmp_path: Path) -> None:
    day, lines = held(tmp_path, ends("fail", "SIGINT"), ends("pass"))
    assert (day.verdict, verdicts(day), day.not_run) == ("terminated", ["fail"], ["1"])
    assert lines == ["begins 0", "SIGINT", "fail 0"]
    day, _ = held(tmp_path, ends("pass", "SIGINT"))
    assert (day.verdict, day.not_run) == ("pass", [])


def test_a_day_is_kept_beside_its_drills_and_is_none(tmp_path: Path) -> None:
    first, _ = held(tmp_path, ends("pass"))
    history.keep(tmp_path, NOTHING)
    second, _ = held(tmp_path, ends("pass"))
    assert history.days(tmp_path) == [first, second]
    assert history.history(tmp_path) == [NOTHING]
    document = json.loads((history.folder_of(tmp_path) / f"{first.id}.json").read_bytes())
    assert document["schema"] == "migctl.gameday/1"
    assert history.page_path(tmp_path, first.id).read_text() == page_of(first)


def test_which_drills_a_day_has() -> None:
    def checked(name: str) -> Checked:
        return read(catalog.path_of(name))

    every = [name for name in catalog.names() if name not in ("soak", "canary", "silence")]
    assert chosen(checked) == every
    assert chosen(checked, skip=["failover", "latency"]) == [
        n for n in every if n not in ("failover", "latency")
    ]
    assert chosen(checked, ["latency", "failover", "latency"]) == ["latency", "failover"]
    assert chosen(checked, ["soak", "failover"], ["failover"]) == ["soak"]
    with pytest.raises(Usage, match="canary is read-only"):
        chosen(checked, ["canary", "failover"])
    with pytest.raises(Usage, match="no drill is left"):
        chosen(checked, ["failover"], ["failover"])
    with pytest.raises(Usage) as caught:
        chosen(checked, skip=["failver"])
    assert caught.value.do == "did you mean failover?"


def test_a_drill_takes_as_long_as_it_took_last_or_as_its_file_says(tmp_path: Path) -> None:
    pauses = sum(one.pauses.before + one.pauses.after for one in FAILOVER.drill.method)
    assert expected_s(FAILOVER.drill, 77) == 77
    assert expected_s(FAILOVER.drill, None) > pauses + 2 * FAILOVER.drill.configuration.calm_s

    def keep(number: int, verdict: Verdict, seconds: float, without: Sequence[str] = ()) -> None:
        at = BEGAN.replace(minute=number)
        kept = msgspec.structs.replace(
            NOTHING, id=str(number), started_at=at, verdict=verdict, seconds=seconds, without=list(without)
        )
        history.keep(tmp_path, kept)

    assert history.lengths(tmp_path) == {}
    keep(1, "pass", 30)
    keep(3, "fail", 40)
    keep(2, "pass", 50)
    keep(4, "terminated", 1)
    keep(5, "fail", 2, ["breaker"])
    assert history.lengths(tmp_path) == {"failover": 40}


def test_time_left_is_that_of_the_one_that_runs_and_of_those_after_it() -> None:
    assert left_s([10, 20, 30], [], 0) == 60
    assert left_s([10, 20, 30], [10], 5) == 45
    assert left_s([10, 20, 30], [10], 500) == 30
    assert left_s([10, 20, 30], [10, 20, 30], 0) == 0


def test_where_a_drill_took_longer_than_expected_so_will_the_others() -> None:
    assert left_s([10, 20, 30], [20], 10) == 90
    assert left_s([10, 20, 30], [5], 0) == 25


def a_day(name: str = "outage", **more: object) -> GameDay:
    """One drill that failed, one that came to nothing, one that was not run."""
    nothing = msgspec.structs.replace(summary_of(NOTHING), id=None, verdict="error")
    day = GameDay(
        id="gameday-x", verdict="terminated", started_at=BEGAN, finished_at=BEGAN, seconds=600, config="abc", target="t",
        drills=[summary_of(whole(name)), nothing], not_run=[name],
    )  # fmt: skip
    return msgspec.structs.replace(day, **more)


def test_a_summary_has_the_figures_of_its_drill_and_what_it_missed() -> None:
    found = summary_of(whole("outage"))
    assert (found.drill, found.lost, found.availability_percent) == ("outage", 1, 99.5)
    assert [one.name for one in found.missed] == [
        "max_lost",
        "max_time_to_recover_ms",
        "min_availability_percent",
    ]


def test_the_figures_of_a_day_are_its_worst_and_absence_is_no_zero() -> None:
    found = {name: (value, whose) for name, value, whose in figures_of(a_day())}
    assert found["passed"] == ("0 of 3", "")
    assert found["lost"] == ("1", "in 1 judged")
    assert found["twice"] == ("-", "in 0 judged")
    assert found["longest silence"] == ("10,916 ms", "outage")
    assert found["slowest to detect"] == ("-", "")
    assert found["lowest availability"] == ("99.5 %", "outage")


def test_the_page_links_to_each_drill_that_has_one_and_to_nothing_else() -> None:
    text = page_of(a_day())
    read_ = Reading(text)
    assert read_.open == []
    assert [attributes["href"] for tag, attributes in read_.tags if tag == "a"] == [f"{NOTHING.id}.html"] * 2
    assert {tag for tag, _ in read_.tags}.isdisjoint({"script", "img", "link", "iframe", "base", "form"})
    assert not re.search(r"url\(|@import|https?:", text)
    assert "Not run: outage." in read_.text
    assert "lost 1 (at most 0)" in read_.text


def test_what_a_file_names_is_text_on_the_page() -> None:
    text = page_of(a_day(EVIL))
    assert "<script" not in text
    assert "<img" not in text
    assert Reading(text).text.count(EVIL) > 3


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["outage", LONG], ids=["as usual", "long names"])
def test_nothing_is_wider_than_the_window(tmp_path: Path, name: str, width: int) -> None:
    fits(tmp_path, page_of(a_day(name)), width)
