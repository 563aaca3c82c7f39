"""Whether a process agrees with what is known."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.runtime.probing import Probed, why_not
from migctl.runtime.rollout_known import Standing
from migctl.runtime.rollout_status import WITHIN_S
from migctl.runtime.rollout_wish import Proposed
from migctl.status.flags import BrakeStatus, FlagsStatus, SharesStatus
from tests.unit.flags.test_shares import document, shares

BRAKE = Brake(id="b1", flag="transport", max_percent=0)
KNOWN = Snapshot(target="t").with_row(Row(n=5, id="r5", document=document(shares(50)))).with_brake(BRAKE)


def probed(n: int = 5, *brakes: str, percent: float = 50, **more: Any) -> Probed:
    found = [
        BrakeStatus(id=one, flag="transport", max_percent=0, split="all", by="", at="", reason="")
        for one in brakes
    ]
    has = SharesStatus(percent=percent, segments={}, users=0, assigned_percent=100)
    said = {"override": None, "blind": False, "brakes": found, **more}
    flags = FlagsStatus(
        process="p", target="t", n=n, written=has, effective=has, confirms=True, unkept=None, unreadable_n=0, tiers={},
        processes=[], **said,
    )  # fmt: skip
    return Probed("p", "host:1", None, flags)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (probed(5, "b1"), None),
        (probed(6), None),
        (probed(4, "b1"), "uses n 4"),
        (probed(5), "brake b1"),
        (probed(5, "b1", override="realtime"), "kill switch"),
        (probed(5, "b1", blind=True), "not reached the record"),
        (Probed("p", "host:1", None, None, "no answer"), "no answer"),
    ],
)
def test_who_agrees(one: Probed, why: str | None) -> None:
    found = why_not(one, KNOWN)
    assert (found is None) if why is None else (found is not None and why in found)


def test_with_the_record_away_the_highest_share_that_anybody_has_counts() -> None:
    of = Standing(KNOWN, "disk", probed=(probed(6, percent=50), probed(5, percent=10)))
    assert max(one.percent for one in of.all_effective) == 50
    assert [one.percent for one in Standing(KNOWN, "disk").all_effective] == [0]
    assert Standing(Snapshot(target="t"), "disk").all_effective == []
    assert [one.id for one in of.brakes] == ["b1"]


def test_only_what_gives_more_asks() -> None:
    assert [Proposed("set", "t", way).asks for way in ("up", "down", "same")] == [True, False, False]
    assert WITHIN_S > 1
