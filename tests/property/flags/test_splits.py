"""The split that decides, beside what is evaluated: they go by the same rule."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from migctl.flags.definitions import read
from migctl.flags.evaluator import Compiled, context_of
from migctl.flags.splits import deciding
from tests.property.flags.test_against_flagd import contexts, flag, fractionals, rules


@settings(max_examples=500, deadline=None)
@given(targeting=rules | fractionals, context=contexts)
def test_what_a_rule_answers_by_a_split_has_some_of_its_weight(
    targeting: Any, context: dict[str, Any]
) -> None:
    flag_set = read({"flags": {"transport": flag(targeting)}})
    asked = context_of("user-1", context, flag_key="transport", timestamp=0)
    split = deciding(flag_set.flags["transport"], flag_set.evaluators)(asked)
    found = Compiled(flag_set).evaluate("transport", asked)
    if split is not None and found.reason == "TARGETING_MATCH":
        assert split.weights[str(found.variant)] > 0
    if "fractional" in targeting and found.reason == "TARGETING_MATCH":
        assert split is not None
