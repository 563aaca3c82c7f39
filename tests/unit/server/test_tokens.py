"""Tokens as text: what the list may say, and that nothing of it is quoted."""

from __future__ import annotations

import hashlib

import pytest

from migctl.errors import Usage
from migctl.server.access.tokens import mint_token, parse_tokens, presented_in

HASH = hashlib.sha256(b"t0ken").hexdigest()


def test_minted_token_is_matched_by_its_entry_and_by_no_other() -> None:
    text, token = mint_token("ingest", "billing")
    _, other = mint_token("ingest", "billing")
    tokens = parse_tokens(f"{other.entry},{token.entry}")
    assert tokens.match(text) == (token,)
    assert text not in token.entry
    assert tokens.match(token.digest) == ()
    assert tokens.match(text[:-1]) == ()


def test_file_may_part_entries_by_lines_and_say_what_they_are() -> None:
    tokens = parse_tokens(
        f"# producers\ningest:a:{HASH}\n\nsubscribe:b:{HASH.upper()}, admin:c:{HASH} # me\n"
    )
    assert [(token.purpose, token.name) for token in tokens.match("t0ken")] == [
        ("ingest", "a"),
        ("subscribe", "b"),
        ("admin", "c"),
    ]


def test_without_a_list_there_are_no_tokens() -> None:
    assert not parse_tokens(None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no token"),
        ("# none\n,,", "no token"),
        (f"ingest:a:{HASH},{HASH}", "entry 2 is not purpose:name:sha256hex"),
        (f"publish:a:{HASH}", "entry 1: the purpose is none of ingest, subscribe, evaluate, admin"),
        (f"ingest:a b:{HASH}", "entry 1: the name"),
        (f"ingest::{HASH}", "entry 1: the name"),
        ("ingest:a:t0ken", "entry 1: the hash is not 64"),
    ],
)
def test_wrong_list_is_refused_by_number_and_never_quoted(text: str, said: str) -> None:
    with pytest.raises(Usage) as refused:
        parse_tokens(text)
    assert said in refused.value.what
    assert "t0ken" not in str(refused.value)
    assert HASH not in str(refused.value)


@pytest.mark.parametrize(
    ("authorization", "subprotocols", "presented"),
    [
        ("Bearer abc", [], "abc"),
        ("bearer  abc ", ["migctl.token.other"], "abc"),
        ("Basic abc", [], None),
        ("Bearer ", [], None),
        (None, ["migctl.v2", "migctl.token.a-b_c"], "a-b_c"),
        (None, ["migctl.v2"], None),
    ],
)
def test_token_is_in_the_header_or_offered_as_subprotocol(
    authorization: str | None, subprotocols: list[str], presented: str | None
) -> None:
    assert presented_in(authorization, subprotocols) == presented
