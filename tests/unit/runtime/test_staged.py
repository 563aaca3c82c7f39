"""Settings of a stage in a running serve: the table of `runtime.staged`; a real record stands in tests/integration/rollout."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config import Settings, Target
from migctl.delivery.classes import Classifier, Rates
from migctl.delivery.fallback import FallbackRule
from migctl.flags.record import Record
from migctl.resilience import Breaker, BreakerRules, RequestTimeout
from migctl.rollout.stages import load
from migctl.runtime.staged import FILE, StagedSettings, position_of, stage_of

NOWHERE = Target("http://127.0.0.1:9", service_role_key="k", embedded=True)


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        (None, None),
        ({"stage": "2b-25", "phase": "soaking"}, "2b-25"),
        ({"stage": "2b-25", "phase": "paused"}, "2b-25"),
        ({"stage": "2b-25", "phase": "aborted"}, None),
        ({"stage": "2c-deprecate", "phase": "done"}, "2c-deprecate"),
        ({"phase": "moving"}, None), ({"stage": 3}, None), ("what", None),
    ],
)  # fmt: skip
def test_which_stage_holds(state: object, stage: str | None) -> None:
    assert stage_of(state) == stage


async def test_what_was_known_last_holds_at_a_start_and_of_another_target_nothing(tmp_path: Path) -> None:
    (tmp_path / "configs" / "stages").mkdir(parents=True)
    stage = tmp_path / "configs" / "stages" / "2b-25.yaml"
    text = (
        "stage: 2b-25\ntitle: t\nopen: {percent: 25}\nsoak_minutes: 5\n"
        "gates: [{max_lost: 0}]\nsettings: {fallback: {hold_s: 3}}\n"
    )
    stage.write_text(text)
    settings = Settings(state_dir=str(tmp_path))
    record = Record(NOWHERE, "public", "local/public")
    made: list[StagedSettings] = []
    for name, held in (("local/public", 3.0), ("elsewhere/public", 10.0)):
        (tmp_path / FILE).write_text(f'{{"target": "{name}", "stage": "2b-25"}}')
        staged = StagedSettings(settings, "transport", record, find=lambda name: load(name, tmp_path))
        heard: list[Settings] = []
        staged.follow(heard.append)
        staged.begin()
        assert heard[-1].fallback.hold_s == staged.settings.fallback.hold_s == held
        made.append(staged)
    assert (made[0].status().stage, made[0].status().changed, made[0].status().heard) == (
        "2b-25",
        ["fallback.hold_s"],
        False,
    )
    # A stage whose file can't be used changes nothing that is in force, and is told.
    stage.write_text(text.replace("hold_s: 3", "hold_s: -3"))
    (tmp_path / FILE).write_text('{"target": "local/public", "stage": "2b-25"}')
    again = StagedSettings(settings, "transport", record, find=lambda name: load(name, tmp_path))
    again.begin()
    assert (again.settings, again.status().stage) == (settings, None)
    assert "fallback.hold_s" in (again.status().reason or "")
    (tmp_path / FILE).write_text("{")
    again.begin()
    await record.aclose()


def test_a_breaker_goes_by_other_rules_from_then_on() -> None:
    breaker = Breaker(BreakerRules(consecutive_failures=5, open_s=1))
    breaker.failed(0, "no")
    breaker.follow(BreakerRules(consecutive_failures=2, open_s=4, max_open_s=6))
    breaker.failed(1, "no")
    assert (breaker.state, breaker.wait_s(1)) == ("open", 4)
    breaker.follow(BreakerRules(max_open_s=2, open_s=1))
    leave = breaker.begin(5)
    breaker.failed(5, "no", leave)
    assert breaker.wait_s(5) == 2


def test_a_fallback_a_timeout_and_classes_go_by_other_bounds_from_then_on() -> None:
    timeout = RequestTimeout(1, 0.5, 15)
    timeout.answered(8.0)
    timeout.bound(1, 0.5, 3)
    assert timeout.seconds() == 3
    classes = Classifier({"cpu.*": "high"}, Rates())
    assert classes.observe("cpu.load", 0) == "high"
    classes.follow({"cpu.*": "low"}, Rates(window_s=5))
    assert classes.observe("cpu.load", 0) == "low"
    rule = FallbackRule(max_lag_s=1, hold_s=10)
    rule.follow(max_lag_s=2, hold_s=3, min_away_s=4)
    assert rule.active is False


def test_where_the_rollout_stands_is_known_and_what_can_not_be_read_is_not_known() -> None:
    state = {
        "stage": "2b-25",
        "phase": "paused",
        "paused": "gate",
        "reason": "lost 3",
        "since": "2026-01-31T12:00:00Z",
    }
    found = position_of(state)
    assert found is not None
    assert (found.stage, found.phase, found.paused_by, found.reason) == ("2b-25", "paused", "gate", "lost 3")
    completing = position_of({**state, "completing": {"phase": "draining"}})
    assert completing is not None and completing.phase == "draining"
    assert [position_of(one) for one in (None, {}, {"stage": 3, "phase": "x"}, "what")] == [None] * 4
