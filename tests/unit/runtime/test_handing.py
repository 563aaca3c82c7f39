"""Handing flags on: what an answer confirms, and what is said of those who give none."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config import Settings
from migctl.flags.disk import OwnBrakes, Process, Processes, ProcessesFile
from migctl.flags.editing import with_percent, written
from migctl.flags.hearing import Confirmation
from migctl.flags.record import Contents
from migctl.flags.shares import ALL
from migctl.flags.snapshot import Brake, Row, Snapshot, flag_sets
from migctl.runtime.confirming import why_not
from migctl.runtime.flags import TRANSPORT
from migctl.runtime.handing import Hands, lowered
from migctl.stack.launcher import any_free_port
from tests.unit.flags.test_shares import document, shares

BRAKE = Brake(id="b1", flag="transport", max_percent=0)
ROW = Row(n=5, id="r5", document=document(shares(50)))
BRAKED = Snapshot(target="t").with_brake(BRAKE)
RAISED = Snapshot(target="t").with_row(ROW)


def answer(
    n: int = 5, *brakes: str, confirmed: bool = True, why: str | None = None, blind: bool = False
) -> Confirmation:
    return Confirmation(confirmed, "p1", "host:1", n, list(brakes), why, blind)


@pytest.mark.parametrize(
    ("handed", "said", "why"),
    [
        (BRAKED, answer(0, "b1"), None),
        (BRAKED, answer(0, "b1", blind=True), None),
        (BRAKED, answer(0), "brake b1"),
        (BRAKED, answer(7), None),  # a later row ended it
        (BRAKED, answer(0, "b1", confirmed=False, why="kill switch"), "kill switch"),
        (RAISED, answer(5), None),
        (RAISED, answer(6), None),
        (RAISED, answer(4), "uses n 4"),
        (RAISED, answer(5, blind=True), "not reached the record"),
        (RAISED, answer(5, confirmed=False), "does not say why"),
    ],
)
def test_what_an_answer_confirms(handed: Snapshot, said: Confirmation, why: str | None) -> None:
    found = why_not(handed, said)
    assert (found is None) if why is None else (found is not None and why in found)


def test_the_lower_document_is_made_from_the_head_alone() -> None:
    contents = Contents(5, RAISED, ROW, ())
    lower = lowered(contents, lambda of: with_percent(of, TRANSPORT, ALL, 25))
    (made,) = flag_sets(Snapshot(target="t").with_row(Row(n=6, id="r6", document=lower)))
    assert written(made, TRANSPORT) == shares(25)
    assert lowered(contents, lambda of: with_percent(of, TRANSPORT, ALL, 50)) is None
    assert lowered(Contents(4, RAISED, ROW, ()), lambda of: with_percent(of, TRANSPORT, ALL, 25)) is None
    assert lowered(Contents(0, Snapshot(target="t"), None, ()), lambda of: of) is None


async def test_a_brake_that_reaches_nobody_is_kept_here_and_goes_with_the_next(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    gone = Process("p1", "host:1", f"http://127.0.0.1:{any_free_port()}", "", "")
    ProcessesFile(tmp_path).write(Processes("t", (gone, Process("p2", "host:2", None, "", ""))))
    hands = Hands(settings, "t", record=None)
    handed = await hands.brake(BRAKE)
    assert [one.name for one in handed.unconfirmed] == ["host:1", "host:2"]
    assert (handed.confirmed, handed.record, handed.redis, handed.is_kept) == ((), None, None, False)
    assert hands.own() == OwnBrakes(tmp_path).read("t") == (BRAKE,)
    assert OwnBrakes(tmp_path).read("another") == ()
    hands.forget(["b1"])
    assert hands.own() == ()
