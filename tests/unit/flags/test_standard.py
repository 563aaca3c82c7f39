"""What a flag is in OpenFeature's words."""

from __future__ import annotations

import pytest

from migctl.flags.assignment import Assignments, Switch
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.flags.standard import evaluated
from tests.unit.flags.test_shares import document, shares

SWITCH = Switch("transport", "realtime", "websocket")
ROW = Row(n=1, id="r1", document=document(shares(100)), by="ada", at="2026-01-31T12:00:00.000000Z")
HELD = Snapshot(target="local/public").with_row(ROW)
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split="everything")


@pytest.mark.parametrize(
    ("of", "user", "reason", "ours"),
    [
        (Assignments(SWITCH, HELD), "ann", "TARGETING_MATCH", None),
        (Assignments(SWITCH, HELD.with_brake(BRAKE)), "ann", "TARGETING_MATCH", "BRAKED"),
        (Assignments(SWITCH, HELD, override="websocket"), None, "STATIC", "OVERRIDE"),
        (Assignments(SWITCH, HELD, blind=True), None, "STALE", None),
    ],
)
def test_reason_is_one_that_clients_know_and_ours_stands_beside(
    of: Assignments, user: str | None, reason: str, ours: str | None
) -> None:
    said = evaluated(of, "transport", user, {}, 0)
    assert (said.reason, said.metadata.get("migctl_reason")) == (reason, ours)


def test_without_a_key_that_the_rule_asks_for_it_is_an_error_and_else_none() -> None:
    missing = evaluated(Assignments(SWITCH, HELD), "transport", None, {}, 0)
    assert (missing.reason, missing.error_code) == ("ERROR", "TARGETING_KEY_MISSING")
    assert evaluated(Assignments(SWITCH, HELD), "nothing", None, {}, 0).error_code == "FLAG_NOT_FOUND"
