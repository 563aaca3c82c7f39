"""Where a subscriber begins."""

from __future__ import annotations

import pytest

from migctl.events import Position
from migctl.transports.websocket.resume import BadRequest, Start, Wish, begin, position_in, wish_in


@pytest.mark.parametrize(
    ("position", "start"),
    [
        (None, Start("fresh", None, 1300)),
        (Position("E", 1234), Start("recovered", None, 1234)),
        (Position("E", 1300), Start("recovered", None, 1300)),
        (Position("E", 199), Start("recovered", None, 199)),
        (Position("E", 198), Start("unrecoverable", "trimmed", 1300)),
        (Position("E", 1301), Start("unrecoverable", "ahead", 1300)),
        (Position("D", 1234), Start("unrecoverable", "epoch", 1300)),
    ],
)
def test_start_is_recovered_only_where_everything_after_the_position_is_held(
    position: Position | None, start: Start
) -> None:
    assert begin(position, epoch="E", head=1300, tail=200) == start


def test_empty_journal_recovers_its_own_zero_position() -> None:
    assert begin(Position("E", 0), epoch="E", head=0, tail=1) == Start("recovered", None, 0)


def test_query_gives_role_and_position() -> None:
    assert wish_in({"v": "2"}) == Wish()
    assert wish_in({"role": "standby"}) == Wish("standby")
    assert wish_in({"epoch": "E", "after": "7"}) == Wish("subscriber", Position("E", 7))
    claims = {"user": "ann", "assigned": "realtime", "fallback": "1"}
    assert wish_in(claims) == Wish(user="ann", assigned="realtime", fallback=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "7"}, "epoch"),
        ({"epoch": "E"}, "after"),
        ({"epoch": "", "after": "7"}, "epoch"),
        ({"epoch": "E", "after": "-1"}, "after"),
        ({"epoch": "E", "after": "٧"}, "after"),
        ({"epoch": "E", "after": "9" * 40}, "after"),
    ],
)
def test_half_a_position_is_refused_with_the_missing_part(query: dict[str, str], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        position_in(query)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("query", "field"),
    [({"user": ""}, "user"), ({"user": "u" * 256}, "user"), ({"assigned": "both"}, "assigned")],
)
def test_a_claim_that_can_not_be_meant_is_refused(query: dict[str, str], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        wish_in(query)
    assert refused.value.field == field


def test_unknown_role_is_refused() -> None:
    with pytest.raises(BadRequest, match="role"):
        wish_in({"role": "leader"})
