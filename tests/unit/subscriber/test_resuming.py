"""What a stream makes of a hello and of a frame's seq, a test for each cell of the tables in gateway/resuming.py."""

from __future__ import annotations

from typing import Literal

import pytest

from migctl.events import Position
from migctl.subscriber.gateway.frames import Hello
from migctl.subscriber.gateway.resuming import Begin, accept, begin

HEAD = Position("a", 50)
TAIL = 20


def hello(
    resume: Literal["fresh", "recovered", "unrecoverable"], reason: str | None = None, *, tail: int = TAIL
) -> Hello:
    return Hello(2, HEAD.epoch, HEAD.seq, tail, resume, reason)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("wanted", [None, Position("", 0)])
@pytest.mark.parametrize("resume", ["fresh", "recovered", "unrecoverable"])
def test_who_stands_nowhere_starts_at_the_head(
    alone: bool, wanted: Position | None, resume: Literal["fresh", "recovered", "unrecoverable"]
) -> None:
    assert begin(hello(resume), top=None, wanted=wanted, alone=alone) == Begin(start=HEAD)


@pytest.mark.parametrize("alone", [False, True])
def test_who_is_resumed_goes_on(alone: bool) -> None:
    assert begin(hello("recovered"), top=Position("a", 30), wanted=None, alone=alone) == Begin()


@pytest.mark.parametrize("reason", ["trimmed", "epoch", "ahead"])
def test_with_tables_beside_it_what_the_gateway_lacks_is_theirs_to_fill(reason: str) -> None:
    top = Position("b" if reason == "epoch" else "a", 5)
    assert begin(hello("unrecoverable", reason), top=top, wanted=None, alone=False) == Begin()


def test_alone_and_ahead_of_the_head_it_goes_on_after_the_head_on_this_socket() -> None:
    found = begin(hello("unrecoverable", "ahead"), top=Position("a", 60), wanted=None, alone=True)
    assert found == Begin(go_to=HEAD, reason="ahead")


def test_alone_and_below_the_tail_it_loses_what_was_trimmed_and_takes_a_new_socket() -> None:
    found = begin(hello("unrecoverable", "trimmed"), top=Position("a", 5), wanted=None, alone=True)
    assert found == Begin(lose_to=TAIL - 1, reason="trimmed", keep=False)


def test_where_nothing_lies_between_tail_and_head_the_socket_is_good() -> None:
    empty = hello("unrecoverable", "trimmed", tail=HEAD.seq + 1)
    found = begin(empty, top=Position("a", 5), wanted=None, alone=True)
    assert found == Begin(lose_to=HEAD.seq, reason="trimmed", keep=True)


@pytest.mark.parametrize(("tail", "keep"), [(TAIL, False), (HEAD.seq + 1, True)])
def test_alone_and_in_another_epoch_it_goes_on_before_the_tail(tail: int, keep: bool) -> None:
    found = begin(hello("unrecoverable", "epoch", tail=tail), top=Position("b", 5), wanted=None, alone=True)
    assert found == Begin(go_to=Position("a", tail - 1), reason="epoch", keep=keep)


def test_position_that_was_wanted_stands_for_the_top_before_there_is_one() -> None:
    wanted = Position("a", 5)
    assert begin(hello("recovered"), top=None, wanted=wanted, alone=True) == Begin(start=wanted)
    found = begin(hello("unrecoverable", "trimmed"), top=None, wanted=wanted, alone=True)
    assert found == Begin(start=wanted, lose_to=TAIL - 1, reason="trimmed", keep=False)


@pytest.mark.parametrize(
    ("seq", "alone", "verdict"),
    [
        (9, False, "take"),
        (10, False, "take"),
        (11, False, "take"),
        (12, False, "take"),
        (9, True, "take"),
        (10, True, "take"),
        (11, True, "take"),
        (12, True, "hole"),
    ],
)
def test_a_hole_that_nobody_else_fills_is_not_taken(seq: int, alone: bool, verdict: str) -> None:
    assert accept(seq, top=Position("a", 10), alone=alone) == verdict


@pytest.mark.parametrize("alone", [False, True])
def test_before_the_start_nothing_is_known_to_be_missing(alone: bool) -> None:
    assert accept(12, top=None, alone=alone) == "take"
