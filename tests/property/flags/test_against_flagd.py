"""Our evaluator against flagd's own Python core, which reads the same documents."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError

from migctl.flags.definitions import read
from migctl.flags.evaluator import Compiled, context_of

VARIANTS = ("websocket", "realtime", "other")
USERS = 100_000


def flag(targeting: Any, default: str | None = "websocket", state: str = "ENABLED") -> dict[str, Any]:
    return {
        "state": state,
        "variants": {name: name.upper() for name in VARIANTS},
        "defaultVariant": default,
        "targeting": targeting,
    }


def both(
    document: dict[str, Any], key: str, targeting_key: str | None, attributes: dict[str, Any]
) -> tuple[Any, Any]:
    """What each says: (value, variant, reason), or "error"."""
    core = FlagdCore()
    core.set_flags(json.dumps(document))
    try:
        theirs = core.resolve_string_value(
            key, "CODE", EvaluationContext(targeting_key, copy.deepcopy(attributes))
        )
        expected: Any = (theirs.value, theirs.variant, str(theirs.reason))
    except (
        OpenFeatureError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
    ):
        expected = "error"
    ours = Compiled(read(document)).evaluate(
        key, context_of(targeting_key, attributes, flag_key=key, timestamp=0)
    )
    got: Any = "error" if ours.reason == "ERROR" else (
        "CODE" if ours.variant is None else ours.value, ours.variant, ours.reason
    )  # fmt: skip
    return got, expected


@pytest.mark.parametrize(
    "weights", [(25, 75), (1, 0), (0, 1), (50, 25, 25), (1, 1, 1), (999, 1), (2**31 - 2, 1)]
)
def test_a_hundred_thousand_users_fall_into_the_same_parts(weights: tuple[int, ...]) -> None:
    parts = [[VARIANTS[index], weight] for index, weight in enumerate(weights)]
    document = {"flags": {"transport": flag({"fractional": parts})}}
    core = FlagdCore()
    core.set_flags(json.dumps(document))
    compiled = Compiled(read(document))
    for number in range(0, USERS, 1 if weights == (25, 75) else 20):
        user = f"user-{number}"
        theirs = core.resolve_string_value("transport", "CODE", EvaluationContext(user)).variant
        assert compiled.evaluate("transport", {"targetingKey": user}).variant == theirs, user


names = st.sampled_from(
    ["a", "b", "email", "segments", "version", "targetingKey", "nested.x", "list.0", "$flagd.flagKey"]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 200), st.floats(allow_nan=False, width=32),
    st.sampled_from(["", "a", "1", "realtime", "x@y.zz", "1.2.3", "v2", "inf", " 7 ", "ß", "日本"]),
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
contexts = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("a", "b", "email", "segments", "version", "nested", "list"), values)
)
weights = st.integers(0, 100)
outcomes = st.sampled_from([*VARIANTS, None])


def operations(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pair = st.tuples(inner, inner).map(list)
    some = st.lists(inner, max_size=3)
    return st.one_of(
        *[pair.map(lambda given, op=op: {op: given}) for op in ("==", "!=", "===", "!==", "<", "<=", ">", ">=")],
        *[pair.map(lambda given, op=op: {op: given}) for op in ("in", "%", "/", "-", "starts_with", "ends_with")],
        *[some.map(lambda given, op=op: {op: given}) for op in ("+", "*", "min", "max", "cat", "merge", "and", "or", "missing")],
        *[inner.map(lambda given, op=op: {op: given}) for op in ("!", "!!", "-")],
        *[pair.map(lambda given, op=op: {op: given}) for op in ("filter", "map", "all", "some", "none")],
        st.tuples(inner, st.sampled_from(["=", "<", "^", "~", ">=", "?"]), inner).map(lambda given: {"sem_ver": list(given)}),
        st.tuples(inner, inner, inner).map(lambda given: {"if": list(given)}),
        st.tuples(inner, inner, st.integers(-3, 5)).map(lambda given: {"substr": list(given)}),
        st.tuples(inner, inner, scalars).map(lambda given: {"reduce": list(given)}),
        names.map(lambda name: {"var": name}),
        st.tuples(names, scalars).map(lambda given: {"var": list(given)}),
    )  # fmt: skip


conditions = st.recursive(scalars | names.map(lambda name: {"var": name}), operations, max_leaves=6)
splits = st.lists(st.tuples(st.sampled_from(VARIANTS), weights).map(list), min_size=1, max_size=3).filter(
    lambda parts: sum(weight for _, weight in parts) > 0
)
fractionals = st.one_of(
    splits.map(lambda parts: {"fractional": parts}),
    st.tuples(
        st.sampled_from([{"var": "email"}, {"var": "a"}, {"cat": [{"var": "$flagd.flagKey"}, {"var": "b"}]}]),
        splits,
    ).map(lambda given: {"fractional": [given[0], *given[1]]}),
)
rules = st.tuples(conditions, outcomes | fractionals, outcomes | fractionals).map(
    lambda given: {"if": list(given)}
)


@settings(max_examples=1500, deadline=None)
@given(
    targeting=rules | fractionals,
    context=contexts,
    user=st.one_of(st.none(), st.text(min_size=1, max_size=40)),
)
@pytest.mark.slow
def test_any_rule_and_any_context_give_what_flagd_gives(
    targeting: Any, context: dict[str, Any], user: str | None
) -> None:
    if user is not None and any(0xD800 <= ord(each) < 0xE000 for each in user):
        user = "lone"
    got, expected = both({"flags": {"transport": flag(targeting)}}, "transport", user, context)
    assert got == expected


@pytest.mark.parametrize("state", ["ENABLED", "DISABLED"])
@pytest.mark.parametrize("default", ["realtime", None])
@pytest.mark.parametrize(
    "targeting", [None, {"if": [False, "other"]}, {"if": [True, "other"]}, {"if": [True, "no variant"]}]
)
def test_reasons_are_those_of_flagd(state: str, default: str | None, targeting: Any) -> None:
    document = {"flags": {"transport": flag(targeting, default, state)}}
    if targeting == {"if": [True, "no variant"]}:
        document["flags"]["transport"]["targeting"] = {"if": [True, {"cat": ["no", "variant"]}]}
    got, expected = both(document, "transport", "u", {})
    assert got == expected
