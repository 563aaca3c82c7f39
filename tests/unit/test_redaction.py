"""Redaction: a secret is hidden in every spelling that a library gives it, and words that are no secret are left."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl import redaction
from migctl.errors import Transient
from migctl.redaction import Redactor

SPELLINGS = (
    str,
    repr,
    lambda text: repr(text.encode()),
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    quote,
    lambda text: quote(text, safe=""),
    quote_plus,
)


@given(
    st.text(st.characters(codec="utf-8"), min_size=redaction.LONG).filter(lambda text: text.strip() == text)
)
def test_a_secret_is_hidden_in_every_spelling(secret: str) -> None:
    redactor = Redactor()
    redactor.know(secret)
    for spelling in SPELLINGS:
        said = spelling(secret)
        assert said not in redactor.redact(f"failed at x{said}x")


def test_what_was_written_percent_encoded_is_hidden_as_it_reads_decoded() -> None:
    redactor = Redactor()
    redactor.know("p%40ssw%23rd-of-length")
    assert redactor.redact("p@ssw#rd-of-length, p%40ssw%23rd-of-length") == "***, ***"


def test_a_password_that_may_be_a_word_is_hidden_where_it_stands_alone_and_a_short_one_in_addresses_only() -> (
    None
):
    redactor = Redactor()
    redactor.know("changes")
    redactor.know("abc")
    assert redactor.redact("password 'changes' of postgres_changes") == "password '***' of postgres_changes"
    assert redactor.redact("u:abc@host has abc") == "u:***@host has abc"


def test_what_reads_as_something_that_is_no_secret_is_left() -> None:
    redactor = Redactor()
    redactor.know("postgres", but=("postgres", None))
    redactor.know(None)
    redactor.know("")
    assert redactor.redact("user postgres") == "user postgres"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYSJ9.c2ln!", "key ***!"),
        ("sb_secret_abcdefgh1234 and sb_publishable_abcdefgh", "*** and sb_publishable_abcdefgh"),
        ("Bearer migctl_ingest_AbCdEfGh-1234", "Bearer ***"),
        ("no answer from postgresql://u:p#a?s@host:5432/db", "no answer from postgresql://***@host:5432/db"),
        ("ws://host/ws?apikey=abc&vsn=1", "ws://host/ws?apikey=***&vsn=1"),
        ("http://127.0.0.1:8080/events?epoch=E&after=1", "http://127.0.0.1:8080/events?epoch=E&after=1"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden_though_nobody_made_it_known(
    text: str, expected: str
) -> None:
    assert Redactor().redact(text) == expected


def test_a_json_value_is_redacted_to_its_depth_and_numbers_stay_numbers() -> None:
    redactor = Redactor()
    redactor.know("1234567890123456")
    found = redactor.redacted(
        {"a": ["is 1234567890123456"], "n": 1234567890123456, "e": KeyError("1234567890123456")}
    )
    assert found == {"a": ["is ***"], "n": 1234567890123456, "e": "KeyError('***')"}


def test_an_error_is_redacted_when_it_is_made() -> None:
    redaction.know("the-key-of-this-test-alone")
    error = Transient("refused the-key-of-this-test-alone", do="not the-key-of-this-test-alone")
    assert (error.what, error.do, error.args) == ("refused ***", "not ***", ("refused ***",))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part", ["eyJ", "eyJa.", ":", "://", "://:", "?key", "?key=", "authorization ", "//a:", "-eyJ"]
)
def test_text_that_is_made_to_hurt_is_redacted_in_one_sweep(part: str) -> None:
    """Looked at anew from each of its characters it would take hours, in which nobody else is served."""
    text = "://" + part * (500_000 // len(part))
    assert len(Redactor().redact(text)) <= 2 * len(text)


@given(
    st.lists(st.sampled_from(["eyJ", "aaaaaaaa", ".", "ab", "a", "_-", " ", '"']), max_size=16).map("".join)
)
def test_jwt_is_hidden_wherever_its_parts_stand(text: str) -> None:
    plain = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*")
    assert Redactor().redact(text) == plain.sub("***", text)


def test_a_text_is_redacted_before_it_is_cut_wherever_the_secret_stands() -> None:
    ours = Redactor()
    secret = "sb_key_" + "".join(chr(97 + number % 26) for number in range(60))
    ours.know(secret)
    for before in range(0, 260, 3):
        shown = ours.beginning("x" * before + " " + secret + " y" * 400, 200)
        assert len(shown) <= 200
        assert not any(secret[at : at + 8] in shown for at in range(len(secret) - 8)), before


def test_a_secret_that_the_end_of_what_is_read_cuts_in_two_is_not_shown_however_short_the_rest_becomes() -> (
    None
):
    ours = Redactor()
    secret = "S3cr3t" * 40
    ours.know(secret)
    for before in range(0, 240, 7):
        assert "S3cr3t" not in ours.beginning("x" * before + secret * 2000, 4000)
