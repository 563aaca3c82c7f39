"""The ways in which a line fails: a chunk in, a decision out."""

from __future__ import annotations

import pytest

from migctl.faults import TcpProxy
from migctl.faults.ways import WORDS, Ways

POST = b"POST /events HTTP/1.1"


def test_healed_ways_pass_everything() -> None:
    ways = Ways(delay_s=0.1)
    ways.refusing = True
    ways.lose_next_answer_to(b"POST", then_refuse=True)
    ways.lose_answers_to(b"POST")
    ways.refuse_requests(b"POST")
    ways.cut_after(1)
    ways.heal()
    assert not ways.refusing
    assert not ways.loses_answer_to(POST)
    assert not ways.answer_lost()
    assert not ways.refuses(POST)
    assert ways.passes_of(b"an answer") is None
    assert ways.delay_s == 0.1


def test_the_next_answer_is_lost_once_and_each_until_told_otherwise() -> None:
    ways = Ways()
    ways.lose_next_answer_to(b"POST")
    assert [ways.loses_answer_to(text) for text in (b"GET /", POST, POST)] == [False, True, False]
    ways.lose_answers_to(b"POST")
    assert [ways.loses_answer_to(text) for text in (b"GET /", POST, POST)] == [False, True, True]
    ways.lose_answers_to(None)
    assert not ways.loses_answer_to(POST)


def test_nobody_is_let_in_after_the_one_lost_answer_that_was_to_end_it() -> None:
    ways = Ways()
    assert not ways.answer_lost()
    assert not ways.refusing
    ways.lose_next_answer_to(b"POST", then_refuse=True)
    assert ways.answer_lost()
    assert ways.refusing
    ways.refusing = False
    assert not ways.answer_lost()  # once
    assert not ways.refusing


@pytest.mark.parametrize(
    ("count", "answers", "passes"),
    [
        (7, [b"four\n", b"five\n", b"six\n"], [None, 2, None]),
        (5, [b"four\n", b"five\n"], [5, None]),
        (0, [b"four\n"], [0]),
    ],
)
def test_a_cut_falls_after_so_many_bytes_and_once(
    count: int, answers: list[bytes], passes: list[int | None]
) -> None:
    ways = Ways()
    ways.cut_after(count)
    assert [ways.passes_of(answer) for answer in answers] == passes


def test_every_word_is_obeyed_and_no_other() -> None:
    values = {"delay": 0.5, "lose_answers": "POST", "cut_after": 3}
    for word in WORDS:
        assert TcpProxy(9).do(word, values.get(word)).connections == 0
    slow = TcpProxy(9)
    slow.do("delay", 1)
    assert slow.delay_s == 1
    with pytest.raises(ValueError, match="the words are delay, refuse"):
        slow.do("explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'delay' with 'long'"):
        slow.do("delay", "long")
