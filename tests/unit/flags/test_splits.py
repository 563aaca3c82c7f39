from __future__ import annotations

from typing import Any

import pytest

from migctl.flags.definitions import read
from migctl.flags.splits import Split, deciding

HALF = {"fractional": [["on", 50], ["off", 50]]}
TENTH = {"fractional": [["on", 10], ["off", 90]]}
EVALUATORS = {"segment.eu": {"==": [{"var": "region"}, "eu"]}, "half": HALF}


def found(targeting: Any, state: str = "ENABLED", **context: object) -> Split | None:
    variants = {"on": "on", "off": "off"} if "true" not in str(targeting) else {"true": True, "off": False}
    flag = {"state": state, "variants": variants, "defaultVariant": "off", "targeting": targeting}
    flag_set = read({"flags": {"menu": flag}, "$evaluators": EVALUATORS})
    return deciding(flag_set.flags["menu"], flag_set.evaluators)({"targetingKey": "ann", **context})


@pytest.mark.parametrize(
    ("targeting", "context", "place", "percent"),
    [
        (HALF, {}, "", 50),
        ({"$ref": "half"}, {}, "", 50),
        ({"fractional": [["on"], ["off", 3]]}, {}, "", 25),
        ({"fractional": [{"var": "company"}, ["on", 10], ["off", 90]]}, {"company": "x"}, "", 10),
        ({"if": [{"$ref": "segment.eu"}, HALF, TENTH]}, {"region": "eu"}, "eu", 50),
        ({"if": [{"$ref": "segment.eu"}, HALF, TENTH]}, {}, "", 10),
        ({"if": [{"in": ["ann", ["bob"]]}, "on", {"$ref": "segment.eu"}, HALF, TENTH]}, {}, "", 10),
    ],
)
def test_the_split_is_that_to_which_the_conditions_lead(
    targeting: Any, context: dict[str, object], place: str, percent: float
) -> None:
    split = found(targeting, **context)
    assert split is not None
    assert (split.place, split.percent("on")) == (place, percent)


@pytest.mark.parametrize(
    "targeting",
    [
        None,
        {"if": [{"in": [{"var": "targetingKey"}, ["ann"]]}, "on", HALF]},
        {"if": [{"==": [HALF, "on"]}, "on", "off"]},
        {"if": [{"==": [{"var": "region"}, "eu"]}, HALF]},
        {"if": [{"%": [1, {"var": "nothing"}]}, HALF, TENTH]},
    ],
)
def test_a_name_or_another_rule_is_no_split(targeting: Any) -> None:
    assert found(targeting) is None


def test_a_flag_that_is_disabled_has_no_split() -> None:
    assert found(HALF, state="DISABLED") is None


def test_two_conditions_have_two_names_and_the_order_of_keys_is_none() -> None:
    def named(condition: Any) -> str:
        split = found({"if": [condition, HALF, TENTH]}, plan="pro")
        assert split is not None
        return split.place

    pro, free = {"==": [{"var": "plan"}, "pro"]}, {"!=": [{"var": "plan"}, "free"]}
    assert named(pro) != named(free)
    assert "" not in (named(pro), named(free))
    first = {"!!": [{"a": 1, "b": {"c": 2, "d": 3}}]}
    assert named(first) == named({"!!": [{"b": {"d": 3, "c": 2}, "a": 1}]})


@pytest.mark.parametrize(
    ("weights", "may"), [((50, 50), True), ((1, 99), True), ((0, 100), False), ((100, 0), False)]
)
def test_chance_gives_what_neither_nobody_nor_everybody_has(weights: tuple[int, int], may: bool) -> None:
    split = found({"fractional": [["on", weights[0]], ["off", weights[1]]]})
    assert split is not None
    assert split.may_give("on") is may
    assert not split.may_give("blue")
