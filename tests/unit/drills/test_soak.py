"""A soak's plan: what is drawn, by which seed, and what the command line changes of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from migctl.config.problems import Faulty
from migctl.drills import catalog
from migctl.drills.functions.checking import Checked, read, with_changes
from migctl.drills.functions.soak import Changes, OfSoak, Strike, changed, plan
from migctl.errors import Usage

SHIPPED = catalog.path_of("soak")


def soak_of(checked: Checked) -> OfSoak:
    [found] = [one.arguments for one in checked.bound.values() if isinstance(one.arguments, OfSoak)]
    return found


SOAK = soak_of(read(SHIPPED))


def drawn(strikes: list[Strike]) -> list[tuple[object, ...]]:
    return [
        (one.name, one.function.name, one.arguments.model_dump(), one.at_s, one.lasts_s) for one in strikes
    ]


def test_the_same_seed_draws_the_same_faults_and_another_one_others() -> None:
    assert drawn(plan(SOAK, 3)) == drawn(plan(SOAK, 3))
    assert drawn(plan(SOAK, 3)) != drawn(plan(SOAK, 4))


def test_a_longer_soak_of_the_same_seed_begins_like_the_shorter_one() -> None:
    short, long = (plan(changed(SOAK, Changes(minutes=minutes)), 7) for minutes in (3, 12))
    assert len(short) < len(long)
    assert drawn(long)[: len(short)] == drawn(short)


def test_every_fault_comes_before_any_comes_again() -> None:
    names = sorted(one.name for one in SOAK.faults)
    count = len(names)
    found = [one.name for one in plan(changed(SOAK, Changes(minutes=15)), 5)]
    assert len(found) >= 2 * count
    assert sorted(found[:count]) == sorted(found[count : 2 * count]) == names


def test_each_is_lifted_before_the_next_one_and_before_the_time_is_over() -> None:
    strikes = plan(changed(SOAK, Changes(minutes=4, every_s=2)), 1)
    assert all(one.at_s + one.lasts_s <= two.at_s for one, two in pairwise(strikes))
    assert strikes[-1].at_s + strikes[-1].lasts_s <= 240


def test_there_is_a_fault_however_short_it_is() -> None:
    assert len(plan(changed(SOAK, Changes(minutes=0.01)), 1)) == 1


def test_how_long_and_with_what_it_strikes_is_as_the_file_says() -> None:
    by_name = {one.name: one for one in SOAK.faults}
    for strike in plan(changed(SOAK, Changes(minutes=60)), 2):
        of = by_name[strike.name]
        if of.lasts_s is not None:
            assert strike.lasts_s == of.lasts_s
        else:
            assert SOAK.lasts_s[0] <= strike.lasts_s <= SOAK.lasts_s[1]
        arguments = strike.arguments.model_dump()
        assert all(arguments[key] == value for key, value in of.arguments.items())
        assert all(arguments[key] in values for key, values in of.one_of.items())
        assert all(low <= arguments[key] <= high for key, (low, high) in of.between.items())


def test_who_is_stopped_are_subscribers_that_there_are() -> None:
    subscribers = {
        f"{kind}-{number}"
        for kind, count in read(SHIPPED).drill.configuration.subscribers.by_kind().items()
        for number in range(1, count + 1)
    }
    [stopped] = [one.one_of["process"] for one in SOAK.faults if one.func == "stop-process"]
    assert set(stopped) == subscribers


def test_the_command_line_changes_what_it_names_and_nothing_else() -> None:
    found = soak_of(with_changes(read(SHIPPED), "soak", Changes(2, 5, 9, ("reset", "refused"))))
    assert (found.minutes, found.every_s, found.seed, found.lasts_s) == (2, 5, 9, SOAK.lasts_s)
    assert [one.name for one in found.faults] == ["refused", "reset"]
    assert soak_of(with_changes(read(SHIPPED), "soak", Changes())) == SOAK


def test_only_a_seed_leaves_it_the_rehearsal_that_the_file_describes() -> None:
    assert not Changes(seed=3).are_other_faults
    assert all(one.are_other_faults for one in (Changes(minutes=1), Changes(every_s=1), Changes(only=("x",))))


def test_what_can_not_be_changed_is_refused_with_the_way_out() -> None:
    with pytest.raises(Usage, match="no fault 'rest'") as caught:
        with_changes(read(SHIPPED), "soak", Changes(only=("rest",)))
    assert "reset" in caught.value.do
    with pytest.raises(Usage, match="failover draws no faults"):
        with_changes(read(catalog.path_of("failover")), "failover", Changes(seed=1))


def problems(tmp_path: Path, old: str, new: str) -> list[tuple[str, str]]:
    text = SHIPPED.read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Faulty) as caught:
        read(path)
    assert all(one.line for one in caught.value.problems)
    return [(one.key, f"{one.what} {one.do}") for one in caught.value.problems]


FAULTS = "method.0.provider.arguments.faults"


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("func: kill-serve", "func: kill-server", f"{FAULTS}.0.func", "did you mean kill-serve?"),
        ("func: kill-serve", "func: wait", f"{FAULTS}.0.func", "is an action, and is never lifted"),
        ("part: valkey", "part: redis", f"{FAULTS}.3.arguments.part", "postgres, valkey or standin"),
        ("[1, 100000]", "[-1, 100000]", f"{FAULTS}.10.between.bytes", "greater than or equal to 0"),
        ("line: supabase }, between", "lines: x }, between", f"{FAULTS}.10.arguments.lines", "mean line?"),
        ("realtime-1, changes-1,", "realtime-1, '',", f"{FAULTS}.1.one_of.process", "at least 1 character"),
        ("[1, 100000]", "[9, 1]", f"{FAULTS}.10.between.bytes", "lower one first"),
        ("name: reset", "name: refused", f"{FAULTS}.6.name", "is there twice"),
        ("name: reset", "name: breakers", f"{FAULTS}.6.name", "is there twice"),
        ("lasts_s: [1, 8]", "lasts_s: [8, 1]", "method.0.provider.arguments.lasts_s", "lower one first"),
        ("minutes: 10", "minutes: 10m", "method.0.provider.arguments.minutes", "write 10"),
    ],
)
def test_a_bad_one_is_refused_with_key_line_and_the_way_out(
    tmp_path: Path, old: str, new: str, key: str, words: str
) -> None:
    found = problems(tmp_path, old, new)
    assert [one for one, _ in found] == [key]
    assert words in found[0][1]


SECOND = """\
  - type: action
    name: more of it
    provider:
      type: migctl
      func: soak
      arguments: { faults: [{ name: again, func: reset }] }
"""


@pytest.mark.parametrize(
    ("head", "key"),
    [("method:\n", "method.1.provider.func"), ("rollbacks:\n", "rollbacks.0.provider.func")],
)
def test_one_is_enough_and_it_is_part_of_the_method(tmp_path: Path, head: str, key: str) -> None:
    at = "# Nothing is lost, doubled" if head == "rollbacks:\n" else head
    more = f"{head}{SECOND}" + ("" if at == head else at)
    [(found, words)] = problems(tmp_path, at, more)
    assert found == key
    assert "one soak has all faults" in words
