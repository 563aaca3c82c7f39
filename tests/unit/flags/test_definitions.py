from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migctl.errors import Usage
from migctl.flags.definitions import Invalid, read
from migctl.flags.files import read_file

GOOD: dict[str, Any] = {
    "state": "ENABLED",
    "variants": {"realtime": "r", "websocket": "w"},
    "defaultVariant": "websocket",
    "targeting": {"fractional": [["realtime", 25], ["websocket", 75]]},
}


def bad(**changed: Any) -> dict[str, Any]:
    return {"flags": {"transport": {**GOOD, **changed}}}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ([], (), "expected keys and values"),
        ({}, (), 'has no "flags"'),
        ({"flags": {}, "flag": {}}, ("flag",), "no such key"),
        ({"flags": {"a b": GOOD}}, ("flags", "a b"), "letters, digits"),
        (
            {"flags": {}, "metadata": {"bucketing": "flagd-concat"}},
            ("metadata", "bucketing"),
            "buckets by flagd-cbor",
        ),
        ({"flags": {}, "metadata": {"a": [1]}}, ("metadata", "a"), "expected a text"),
        (bad(exposure=True), ("flags", "transport", "exposure"), "no such key"),
        (bad(state="ON"), ("flags", "transport", "state"), "ENABLED or DISABLED"),
        (bad(variants={}), ("flags", "transport", "variants"), "no variant"),
        (bad(variants={True: 1}), ("flags", "transport", "variants", "True"), "YAML reads this key as True"),
        (
            bad(variants={"a": 1, "b": "x"}),
            ("flags", "transport", "variants", "b"),
            "is a string, and the first",
        ),
        (bad(variants={"a": 1, "b": True}), ("flags", "transport", "variants", "b"), "is boolean"),
        (bad(variants={"a": None}), ("flags", "transport", "variants", "a"), "no null"),
        (bad(defaultVariant="off"), ("flags", "transport", "defaultVariant"), "is no variant"),
        (bad(targeting="x"), ("flags", "transport", "targeting"), "expected a rule"),
        (bad(targeting={"iff": []}), ("flags", "transport", "targeting", "iff"), "no such operator"),
        (bad(targeting={"if": [True, "off"]}), ("flags", "transport", "targeting", "if", 1), "is no variant"),
        (bad(targeting={"$ref": "x"}), ("flags", "transport", "targeting", "$ref"), "no evaluator"),
        (bad(targeting={"fractional": []}), ("flags", "transport", "targeting", "fractional"), "no part"),
        (
            bad(targeting={"fractional": [["realtime", 25], ["off", 75]]}),
            ("flags", "transport", "targeting", "fractional", 1, 0),
            "is no variant",
        ),
        (
            bad(targeting={"fractional": [["realtime", 2.5]]}),
            ("flags", "transport", "targeting", "fractional", 0, 1),
            "whole number",
        ),
        (
            bad(targeting={"fractional": [["realtime", 0], ["websocket", 0]]}),
            ("flags", "transport", "targeting", "fractional"),
            "sum to 0",
        ),
    ],
)
def test_a_bad_definition_is_refused_with_its_key(document: Any, path: tuple[Any, ...], words: str) -> None:
    with pytest.raises(Invalid) as error:
        read(document)
    assert (error.value.path, words in error.value.what) == (path, True), error.value


def test_a_rule_that_refers_to_itself_is_refused() -> None:
    with pytest.raises(Invalid, match="within itself"):
        read({**bad(targeting={"$ref": "a"}), "$evaluators": {"a": {"!": {"$ref": "a"}}}})


def test_a_set_is_written_as_it_was_read() -> None:
    document = {
        "flags": {"transport": GOOD},
        "$evaluators": {"a": {"var": "x"}},
        "metadata": {"bucketing": "flagd-cbor"},
    }
    assert read(document).document() == document


@pytest.mark.parametrize("name", ["flags.yaml", "flags.json"])
def test_file_line_and_key_are_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(
        '{\n"flags": {\n"transport": {\n"state": "ENABLED",\n"variants": {"a": 1},\n"defaultVariant": "b"\n}}}\n'
    )
    with pytest.raises(Usage) as error:
        read_file(file)
    assert str(error.value).startswith(
        f"{file}:6: flags.transport.defaultVariant: 'b' is no variant\n  name one of a"
    )


def change(before: list[Any], after: list[Any]) -> None:
    from migctl.flags.changes import check

    variants = {name: name for name in ("a", "b", "c")}
    documents = [
        {
            "flags": {
                "f": {
                    "state": "ENABLED",
                    "variants": variants,
                    "targeting": {"if": [{"var": "x"}, "a", {"fractional": parts}]},
                }
            }
        }
        for parts in (before, after)
    ]
    check(*map(read, documents))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([["a", 25], ["b", 75]], [["b", 75], ["a", 25]]),
        ([["a", 25], ["b", 75]], [["c", 0], ["a", 25], ["b", 75]]),
        ([["a", 25], ["b", 75]], [["a", 25], ["c", 25], ["b", 50]]),
    ],
)
def test_a_change_that_reorders_a_split_is_refused(before: list[Any], after: list[Any]) -> None:
    with pytest.raises(Invalid, match="would move"):
        change(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([["a", 25], ["b", 75]], [["a", 50], ["b", 50]]),
        ([["a", 25], ["b", 75]], [["a", 25], ["b", 50], ["c", 25]]),
        ([["a", 25], ["b", 25], ["c", 50]], [["a", 25], ["c", 75]]),
        ([["a", 25]], [["b", 75]]),
    ],
)
def test_weights_may_change_and_parts_may_be_added_at_the_end(before: list[Any], after: list[Any]) -> None:
    change(before, after)


def test_the_order_in_which_variants_are_defined_puts_nobody_anywhere() -> None:
    """And a record of jsonb does not keep it: a file could not be imported twice."""
    from migctl.flags.changes import check

    one, other = (
        {**GOOD, "variants": variants}
        for variants in ({"realtime": 1, "websocket": 2}, {"websocket": 2, "realtime": 1})
    )
    check(read({"flags": {"f": one}}), read({"flags": {"f": other}}))
