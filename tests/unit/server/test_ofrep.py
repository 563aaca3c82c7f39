"""OFREP without a socket: which contexts are taken, and how an evaluation is said."""

from __future__ import annotations

import msgspec
import pytest

from migctl.flags.assignment import Assignments
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.server.routes.ofrep import (
    MAX_BODY_BYTES,
    BadContext,
    EvaluationFailure,
    EvaluationSuccess,
    context_in,
    evaluated,
    evaluated_all,
    is_known,
)
from tests.unit.flags.test_shares import SWITCH, document, shares

MENU = {"state": "ENABLED", "variants": {"a": 1, "b": 2.5}, "defaultVariant": "a"}
FLAGS = document(shares(100))
FLAGS["flags"] |= {
    "menu": MENU,
    "off": {**MENU, "state": "DISABLED"},
    "code": {**MENU, "defaultVariant": None},
    "rule": {**MENU, "targeting": {"var": "x"}},
}
HELD = Snapshot(target="t").with_row(Row(n=7, id="r7", document=FLAGS))
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split="everything")


@pytest.mark.parametrize(
    ("body", "context"),
    [
        (b"{}", {}),
        (b'{"context":{}}', {}),
        (b'{"context":{"targetingKey":"ann","n":1.50},"more":1}', {"targetingKey": "ann", "n": 1.5}),
        (b'{"context":{"targetingKey":"\\ud83d"}}', {"targetingKey": "\ud83d"}),
    ],
)
def test_context_is_taken(body: bytes, context: object) -> None:
    assert context_in(body) == context


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "PARSE_ERROR"),
        (b"null", 400, "PARSE_ERROR"),
        (b'"{}"', 400, "PARSE_ERROR"),
        (b"[" * 101, 400, "PARSE_ERROR"),
        (b"\xff", 400, "PARSE_ERROR"),
        (b'{"context":{"n":Infinity}}', 400, "PARSE_ERROR"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "INVALID_CONTEXT"),
        (b'{"context":null}', 400, "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":null}}', 400, "INVALID_CONTEXT"),
    ],
)
def test_what_is_no_context_is_refused_with_a_code(body: bytes, status: int, code: str) -> None:
    with pytest.raises(BadContext) as refused:
        context_in(body)
    assert (refused.value.status, refused.value.code) == (status, code)


def said(of: Assignments, key: str, **context: object) -> EvaluationSuccess | EvaluationFailure:
    return evaluated(of, key, context, 0)


def test_a_value_is_left_out_where_the_code_decides_and_a_number_beside_a_fraction_is_one() -> None:
    of = Assignments(SWITCH, HELD)
    assert b'"value":1.0' in msgspec.json.encode(said(of, "menu"))
    for key, reason in (("off", "DISABLED"), ("code", "DEFAULT")):
        found = said(of, key)
        assert isinstance(found, EvaluationSuccess)
        assert (found.variant, found.reason) == ("", reason)
        assert b"value" not in msgspec.json.encode(found)


def test_failures_have_their_codes() -> None:
    of = Assignments(SWITCH, HELD)
    for key, context, code in (
        ("transport", {}, "TARGETING_KEY_MISSING"),
        ("nothing", {}, "FLAG_NOT_FOUND"),
        ("rule", {"x": "c"}, "GENERAL"),
    ):
        found = said(of, key, **context)
        assert isinstance(found, EvaluationFailure)
        assert (found.error_code, found.key) == (code, key)
        assert found.error_details


def test_reasons_of_ours_are_said_as_standard_ones_with_ours_beside() -> None:
    braked = said(Assignments(SWITCH, HELD.with_brake(BRAKE)), "transport", targetingKey="ann")
    decided = said(Assignments(SWITCH, HELD, override="websocket"), "transport")
    stale = said(Assignments(SWITCH, HELD, blind=True), "transport")
    found = [
        (one.reason, one.metadata.get("migctl_reason"), one.value)
        for one in (braked, decided, stale)
        if isinstance(one, EvaluationSuccess)
    ]
    assert found == [
        ("TARGETING_MATCH", "BRAKED", "w"), ("STATIC", "OVERRIDE", "w"), ("STALE", None, "w"),
    ]  # fmt: skip


def test_all_flags_come_in_order_with_the_number_of_their_set() -> None:
    bulk = evaluated_all(Assignments(SWITCH, HELD), {}, 0)
    assert [one.key for one in bulk.flags] == ["code", "menu", "off", "rule", "transport"]
    assert bulk.metadata["n"] == 7
    assert evaluated_all(Assignments(SWITCH, Snapshot(target="t")), {}, 0).flags == []


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (['"a"'], True),
        (["a"], True),
        (['W/"a"'], True),
        (['"b", "a"'], True),
        (['"b"', '"a"'], True),
        ([], False),
        (["*"], False),
        (['"ab"'], False),
    ],
)
def test_a_tag_is_known_however_it_is_spelled(given: list[str], known: bool) -> None:
    assert is_known('"a"', given) == known
