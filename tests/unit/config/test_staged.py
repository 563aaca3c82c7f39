"""What a stage lays over the settings: only what a running serve can take over, and checked as settings are."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.config import Settings
from migctl.config.changing import CHANGEABLE
from migctl.config.problems import Faulty
from migctl.config.staged import NOT_STAGED, SECTIONS, StageSettings, laid, overlaid
from migctl.config.validating import validate
from migctl.config.yamlfile import Document


def staged(**says: Any) -> StageSettings:
    return validate(StageSettings, says)


def test_what_a_stage_does_not_say_stays() -> None:
    running = Settings.model_validate(
        {"relay": {"high": {"max_events": 7, "max_wait_s": 3}}, "mode": "realtime"}
    )
    said = staged(relay={"high": {"max_wait_s": 0.5}}, fallback={"to_realtime": False})
    over = overlaid(running, said)
    assert (over.relay.high.max_events, over.relay.high.max_wait_s) == (7, 0.5)
    assert (over.mode, over.fallback.to_realtime, over.fallback.hold_s) == ("realtime", False, 10.0)
    assert overlaid(running, staged()) == running
    assert laid(said) == {"relay": {"high": {"max_wait_s": 0.5}}, "fallback": {"to_realtime": False}}


def test_patterns_of_classes_are_one_value_since_their_order_counts() -> None:
    running = Settings.model_validate({"relay": {"classes": {"cpu.*": "high"}}})
    over = overlaid(running, staged(relay={"classes": {"mem.*": "low"}}))
    assert over.relay.classes == {"mem.*": "low"}


def test_the_rules_of_settings_hold_for_what_is_laid_over_them() -> None:
    with pytest.raises(
        Faulty, match=r"2b\.yaml: settings\.resilience\.breaker: expected open_s of at most max_open_s"
    ):
        overlaid(Settings(), staged(resilience={"breaker": {"open_s": 20}}), source="2b.yaml")
    assert overlaid(
        Settings(), staged(resilience={"breaker": {"open_s": 20, "max_open_s": 30}})
    ).resilience.breaker.open_s == 20  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "do"),
    [
        ("relay: {claim_s: 3}", "relay.claim_s", "a running serve can't take it over"),
        ("resilience: {canary: {every_s: 0}}", "resilience.canary.every_s", "it is seconds"),
        ("evidence: {max_lost: 3}", "evidence", "a stage may change relay, resilience and fallback"),
        ("journal: {}", "journal", "a stage may change relay, resilience and fallback"),
        ("fallback: {hold: 3}", "fallback.hold", "did you mean hold_s?"),
        ("fallback: {hold_s: -1}", "fallback.hold_s", "it is seconds"),
        ("fallback: {hold_s: true}", "fallback.hold_s", "it is seconds"),
        ("relay: {low: {max_events: 501}}", "relay.low.max_events", "1 to 500"),
        ("relay: {rates: {window_s: .inf}}", "relay.rates.window_s", "it is seconds"),
    ],
)
def test_what_a_stage_can_t_change_is_refused_with_where_it_belongs(text: str, key: str, do: str) -> None:
    document = Document("f", text)
    with pytest.raises(Faulty) as refused:
        validate(StageSettings, document.data, document)
    (problem,) = refused.value.problems
    assert (problem.key, problem.line) == (key, 1)
    assert do in problem.do


def test_all_that_may_change_while_serve_runs_may_be_said_by_a_stage_or_has_a_reason() -> None:
    for setting in CHANGEABLE:
        said: Any = setting.default
        for part in reversed(setting.path):
            said = {part: said}
        (section, *_) = setting.path
        if section in SECTIONS:
            assert setting.of(overlaid(Settings(), staged(**said))) == setting.default, setting.name
        else:
            assert NOT_STAGED[section]
            with pytest.raises(Faulty):
                staged(**said)
    assert set(NOT_STAGED) == {one.path[0] for one in CHANGEABLE} - {*SECTIONS}
