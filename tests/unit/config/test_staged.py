"""What a stage lays over the settings: only what a running serve can take over, and checked as settings are."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.config import Settings
from migctl.config.problems import Faulty
from migctl.config.staged import StageSettings, laid, overlaid
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
        ("resilience: {canary: {every_s: 1}}", "resilience.canary", "a running serve can't take it over"),
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
