"""Remedies: what is switched off is what the drill says must fail then."""

from __future__ import annotations

import pytest
import yaml

from migctl.config import Settings
from migctl.drills import catalog
from migctl.drills.functions.checking import read
from migctl.drills.remedies import OVERLAYS, check, overlays
from migctl.drills.settings import drilled
from migctl.errors import Usage


@pytest.mark.parametrize("remedy", sorted(OVERLAYS))
def test_what_switches_a_remedy_off_is_a_setting_that_there_is(remedy: str) -> None:
    text = drilled(Settings(), *overlays([remedy]))
    assert text != drilled(Settings())
    Settings.model_validate(yaml.safe_load(text))


def test_a_remedy_that_the_drill_says_nothing_of_is_refused() -> None:
    drill = read(catalog.path_of("failover")).drill
    check(drill, "failover", ["breaker"])
    with pytest.raises(Usage, match="canary") as caught:
        check(drill, "failover", ["canary"])
    assert caught.value.do == "one of breaker"


def test_the_drills_that_must_be_able_to_fail_say_how() -> None:
    named = {name: dict(read(catalog.path_of(name)).drill.without) for name in catalog.names()}
    assert {name: list(without) for name, without in named.items() if without}.items() >= {
        "failover": ["breaker"],
        "key-rotation": ["keys"],
        "poison": ["tombstones"],
        "publisher-crash": ["restart"],
        "silent-drop": ["canary"],
        "slot-loss": ["catch-up"],
    }.items()
