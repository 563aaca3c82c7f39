"""The switches of the stand-in's faults: what stays on, and for how long."""

from __future__ import annotations

import pytest

from migctl.stack.standin.faults import FAULTS, NAMES, Faults, Name

LASTING: list[Name] = [name for name in NAMES if FAULTS[name].lasting]
BLOWS: list[Name] = [name for name in NAMES if not FAULTS[name].lasting]


@pytest.mark.parametrize("name", LASTING)
def test_lasting_fault_is_on_until_it_is_cleared(name: Name) -> None:
    faults = Faults()
    faults.switch_on(name, 10.0)
    assert faults.on(name, 1e9)
    faults.clear(name)
    assert not faults.on(name, 10.0)


@pytest.mark.parametrize("name", BLOWS)
def test_blow_falls_once_and_is_not_on_afterwards(name: Name) -> None:
    faults = Faults()
    struck: list[str] = []
    faults.strikes(name, lambda: struck.append(name))
    faults.switch_on(name, 10.0)
    assert struck == [name]
    assert not faults.on(name, 10.0)


@pytest.mark.parametrize("name", NAMES)
def test_fault_with_a_time_is_over_by_itself(name: Name) -> None:
    faults = Faults()
    faults.switch_on(name, 10.0, for_s=5.0)
    assert (faults.on(name, 14.9), faults.on(name, 15.0)) == (True, False)
    [found] = [each for each in faults.all(12.0) if each.fault.name == name]
    assert (found.on, found.left_s) == (True, 3.0)


def test_clearing_all_leaves_none_on_and_keeps_what_was_counted() -> None:
    faults = Faults()
    for name in LASTING:
        faults.switch_on(name, 0.0)
    faults.note_taken("rate-skip", 7)
    faults.clear()
    found = {each.fault.name: each for each in faults.all(1.0)}
    assert not [each for each in found.values() if each.on]
    assert found["rate-skip"].taken == 7
