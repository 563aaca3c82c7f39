"""Flags: what a client says of a user, and rules of any shape."""

from __future__ import annotations

import json
from typing import Any

from migctl.events.jsontext import dumps, loads
from migctl.flags.assignment import Assignments, Switch
from migctl.flags.definitions import Invalid
from migctl.flags.definitions import read as read_flags
from migctl.flags.documents import flag_document
from migctl.flags.evaluator import Compiled, context_of
from migctl.flags.shares import shares_of
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.printable import shown
from migctl.server.routes.ofrep import BadContext, context_in, evaluated_all
from tests.fuzz.mutating import mutated_json
from tests.fuzz.target import Target
from tests.fuzz.targets.events import refused
from tests.fuzz.targets.files import RULES
from tests.kit.walked import SWITCH

HELD = Snapshot(target="t").with_row(Row(n=7, id="r7", document=json.loads(RULES)))
OF = Assignments(SWITCH, HELD)


def a_context(data: bytes) -> bool:
    try:
        context = context_in(data)
    except BadContext as error:
        assert error.status in (400, 413)
        refused(str(error))
        return False
    dumps(evaluated_all(OF, context, 1_769_860_800))
    return True


CONTEXTS: tuple[dict[str, Any], ...] = (
    {"targetingKey": "ann", "email": "ann@x", "age": 7, "tags": ["a", {"b": 1}], "version": "1.2.3"},
    {},
    {"targetingKey": "\ud800", "age": float("inf"), "tags": {"a": None}},
)


def a_flag_set(data: bytes) -> bool:
    """A rule of any shape is refused, or evaluates for anybody: to a variant, or an error that says so."""
    try:
        document = loads(data)
    except ValueError:
        return False
    try:
        found = read_flags(document)
    except Invalid as error:
        assert error.do
        shown(str(error)).encode()
        return False
    assert read_flags(found.document()).flags == found.flags
    held = Snapshot(target="t").with_row(Row(n=1, id="r", document=found.document()))
    for each in (held, held.with_brake(Brake(id="b", flag="f", max_percent=5))):
        assert Assignments(Switch("f", "b", "a"), each).assign("ann").variant in ("a", "b")
    compiled = Compiled(found)
    for key in found.flags:
        shares_of(found.flags[key], "b", "a")
        dumps(flag_document(found, key))
        for context in CONTEXTS:
            evaluation = compiled.evaluate(key, context_of(None, context, flag_key=key, timestamp=1))
            assert evaluation.variant is None or evaluation.variant in found.flags[key].variants
    return True


RULES_OF_FLAGS = tuple(
    json.dumps(
        {
            "flags": {
                "f": {
                    "state": "ENABLED",
                    "variants": {"a": 1, "b": 2.5},
                    "defaultVariant": "a",
                    "targeting": rule,
                }
            }
        }
    ).encode()
    for rule in (
        {"if": [{"in": [{"var": "email"}, ["x"]]}, "a", {"fractional": [["a", 25], ["b", 75]]}]},
        {"if": [{"sem_ver": [{"var": "version"}, ">=", "1.2.0"]}, "b", None]},
        {"if": [{"<": [1, {"+": [{"var": "age"}, 2, "3"]}, 9]}, "b"]},
        {
            "fractional": [
                {"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]},
                ["a", 1],
                ["b", {"%": [{"var": "age"}, 3]}],
            ]
        },
        {"if": [{"some": [{"var": "tags"}, {"==": [{"var": ""}, "a"]}]}, "a", {"missing": ["x"]}, "b"]},
        {"if": [{"reduce": [{"var": "tags"}, {"+": [{"var": "accumulator"}, 1]}, 0]}, "a"]},
        {
            "if": [
                {
                    "merge": [
                        {"substr": ["abc", -2, 1]},
                        {"max": [1, {"var": "age"}]},
                        {"/": [1, {"var": "age"}]},
                    ]
                },
                "a",
                "b",
            ]
        },
    )
)
OPERATORS = (
    b"if", b"and", b"or", b"!", b"!!", b"==", b"===", b"!=", b"<", b"<=", b">", b"+", b"-", b"*", b"/", b"%", b"min", b"max",
    b"in", b"cat", b"substr", b"merge", b"map", b"filter", b"reduce", b"all", b"some", b"none", b"missing", b"missing_some",
    b"var", b"fractional", b"sem_ver", b"starts_with", b"ends_with", b"$ref", b"accumulator", b"current", b"targetingKey",
    b"$flagd.timestamp", b"tags.1.b", b"a", b"b",
)  # fmt: skip


TARGETS = (
    Target(
        "OFREP body",
        a_context,
        (
            b'{"context":{"targetingKey":"ann","n":1.5}}',
            b"{}",
            b'{"context":{"targetingKey":"\\ud800","email":"x"}}',
        ),
        words=(b"context", b"targetingKey", b"$flagd"),
        mutate=mutated_json,
    ),
    Target("flag set", a_flag_set, (RULES, *RULES_OF_FLAGS), words=OPERATORS, mutate=mutated_json),
)
