"""The keys of `migctl top`: nothing is done without a reason and a word, and Escape leaves from everywhere."""

from __future__ import annotations

import pytest

from migctl.cli.top_keys import IDLE, NOTHING, Keys, Wanted


def fed(*typed: str) -> tuple[Keys, object]:
    keys, last = Keys(), None
    for one in typed:
        last = keys.feed(one)
    return keys, last


@pytest.mark.parametrize(("key", "act"), [("p", "pause"), ("a", "abort"), ("t", "throttle")])
def test_an_act_wants_a_reason_and_a_word(key: str, act: str) -> None:
    keys, last = fed(key, "shakes", "\r")
    assert last is None and "(shakes)?" in keys.prompt
    assert keys.feed("y") == Wanted(act, "shakes")  # type: ignore[arg-type]
    assert keys.prompt == IDLE


def test_without_a_reason_it_is_asked_again() -> None:
    keys, last = fed("a", " ", "\r")
    assert last is None and "a reason is needed" in keys.hint
    assert keys.prompt.startswith("ABORT") and "Why?" in keys.prompt
    assert keys.feed("y") is None  # a letter of the reason, no word


@pytest.mark.parametrize("word", ["n", "Y", "\r", " ", "\x1b", "\x03", "q"])
def test_any_word_but_y_does_nothing(word: str) -> None:
    keys, last = fed("a", "why", "\r", word)
    assert (last, keys.hint, keys.prompt) == (None, NOTHING, IDLE)
    assert keys.feed("y") is None


@pytest.mark.parametrize("leaving", ["\x1b", "\x03"])
def test_escape_leaves_the_reason_and_the_next_one_begins_anew(leaving: str) -> None:
    keys, last = fed("p", "one", leaving)
    assert (last, keys.prompt) == (None, IDLE)
    assert fed("p", "one", leaving, "p", "two", "\r", "y")[1] == Wanted("pause", "two")


def test_a_lift_wants_no_reason_but_a_word() -> None:
    keys, last = fed("n")
    assert last is None and keys.prompt.endswith("y: do it, any other key: don't")
    assert keys.feed("y") == Wanted("no-throttle", "")


def test_letters_may_come_together_and_are_taken_back_by_backspace() -> None:
    assert fed("axy", "\x7f\x7f", "why\r", "y")[1] == Wanted("abort", "why")
    assert (fed("q")[1], fed("\x03")[1]) == ("quit", "interrupt")


def test_a_key_of_several_bytes_is_no_escape_and_no_text() -> None:
    keys, last = fed("a", "w", "\x1b[A", "\x1bOP", "\t", "\x00")
    assert last is None and keys.prompt.endswith("Why? w_")


def test_afar_nothing_is_said_of_a_throttle_and_its_keys_do_nothing() -> None:
    keys = Keys(afar=True)
    assert "throttle" not in keys.prompt and "abort" in keys.prompt
    for key in ("t", "n"):
        assert keys.feed(key) is None
        assert "control socket" in keys.hint and keys.prompt == Keys(afar=True).prompt
    keys.feed("a")
    assert keys.feed("gaps\r") is None
    assert keys.feed("y") == Wanted("abort", "gaps")
