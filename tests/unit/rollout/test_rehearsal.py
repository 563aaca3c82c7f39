from __future__ import annotations

import pytest

from migctl.errors import Usage
from migctl.rollout import stages
from migctl.rollout.rehearsal import Injected, parse, rehearse
from migctl.rollout.stages import WALKED
from tests.unit.rollout.test_walk import T0

STEPS = [stage.step() for name, stage in stages.load_all().items() if name in WALKED]
DAY_S = 86_400.0


def test_the_stages_as_they_come_are_walked_to_the_end_in_their_own_time() -> None:
    timeline, last = rehearse(STEPS, [], T0)
    assert (last.phase, last.passed) == ("done", WALKED)
    assert 6 * DAY_S < timeline[-1].after_s < 6.1 * DAY_S
    assert [one.percent for one in timeline if one.what.startswith("opened")] == [0, 25, 50, 75, 100]


def test_a_loss_in_the_middle_rolls_back_and_nothing_is_opened_after_it() -> None:
    timeline, last = rehearse(STEPS, [Injected("2b-50", "loss")], T0)
    assert (last.phase, last.stage, timeline[-1].percent) == ("aborted", "2b-50", 0)
    assert "max_lost" in (last.reason or "")
    assert 2.4 * DAY_S < timeline[-1].after_s < 2.6 * DAY_S


def test_a_slow_transport_pauses_where_the_stage_says_so() -> None:
    _, last = rehearse(STEPS, [Injected("2b-25", "slow")], T0)
    assert (last.phase, last.paused) == ("paused", "gate")


def test_silence_pauses_its_end_resumes_and_the_walk_takes_longer() -> None:
    timeline, last = rehearse(STEPS, [Injected("2b-50", "silence")], T0)
    assert last.phase == "done"
    whats = [one.what for one in timeline]
    assert any(what.startswith("no evidence for") for what in whats)
    assert "data has returned; the soak goes on" in whats
    assert timeline[-1].after_s > 6.2 * DAY_S


def test_what_can_be_injected_is_named() -> None:
    assert parse(["2b-50:loss"], STEPS) == [Injected("2b-50", "loss")]
    for wrong in ("2b-50", "2b-50:fire", "2b-51:loss", "2c-deprecate:loss"):
        with pytest.raises(Usage, match=r"expected STAGE:FAULT"):
            parse([wrong], STEPS)
