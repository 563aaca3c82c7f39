"""What an answer of a `serve` means, and a stranger's."""

from __future__ import annotations

import pytest

from migctl.errors import MigctlError, Refused, Transient, Usage, Wanting
from migctl.serve_client import Answer, Wrong
from migctl.serve_client.answers import LONGEST_WAIT_S

REFUSAL = (
    b'{"errors":[{"index":3,"id":"x","field":"data","code":"large","reason":"too large"},{"reason":"more"}]}'
)


def test_refusal_of_ours_is_read_item_by_item() -> None:
    answer = Answer("http://h/events", 413, REFUSAL)
    assert answer.wrong() == [Wrong(3, "x", "data", "large", "too large"), Wrong(reason="more")]
    assert answer.words() == "HTTP 413 too large"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "HTTP 502"),
        (b"<html>\n  Bad   Gateway", "HTTP 502 <html> Bad Gateway"),
        (b"\xff\xfe", "HTTP 502 \ufffd\ufffd"),
        (b'{"errors": []}', 'HTTP 502 {"errors": []}'),
        (b'{"errors": ["x"]}', 'HTTP 502 {"errors": ["x"]}'),
        (b"x" * 5000, "HTTP 502 " + 200 * "x"),
    ],
)
def test_stranger_is_quoted_and_not_understood(content: bytes, words: str) -> None:
    answer = Answer("http://h/", 502, content)
    assert answer.words() == words
    assert answer.wrong() == []
    assert answer.failure() is None


@pytest.mark.parametrize(
    ("exit_code", "kind"), [(1, Wanting), (2, Usage), (3, Transient), (4, Refused), (70, MigctlError)]
)
def test_failure_comes_out_as_the_error_that_the_command_would_have_raised(
    exit_code: int, kind: type[MigctlError]
) -> None:
    answer = Answer("x", 409, b'{"what":"w","do":"d","exit_code":%d}' % exit_code)
    error = answer.failure()
    assert type(error) is kind
    assert (error.what, error.do) == ("w", "d")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5), ("0.5", 0.5), ("-3", 0), ("86400", LONGEST_WAIT_S), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)],
)
def test_waiting_is_asked_for_in_seconds_and_within_reason(header: str, seconds: float) -> None:
    assert Answer("x", 503, headers={"retry-after": header}).retry_after_s == seconds
    assert Answer("x", 503).retry_after_s == 0


def test_what_was_cut_off_is_never_taken_for_an_answer() -> None:
    with pytest.raises(ValueError, match="above 2 bytes"):
        Answer("x", 200, b"[]", whole=False).decode(list[int])
    with pytest.raises(ValueError):
        Answer("x", 200, b"[1,").decode(list[int])
    assert Answer("x", 200, b"[1]").decode(list[int]) == [1]
