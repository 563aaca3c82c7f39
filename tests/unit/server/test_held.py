"""Held tokens: read again, revoked, kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.server.access.held import FILE, HeldTokens
from migctl.server.access.tokens import Tokens, mint_token

ANN, ANN_TOKEN = mint_token("subscribe", "ann")
ANN_TOO, ANN_ADMIN = mint_token("admin", "ann")
BOB, BOB_TOKEN = mint_token("subscribe", "bob")
LISTED = Tokens((ANN_TOKEN, ANN_ADMIN, BOB_TOKEN))


def names(held: HeldTokens) -> list[str]:
    return [f"{one.purpose}:{one.name}" for one in held.now.known]


def test_without_a_list_nobody_is_asked_and_with_one_all_of_it_opens() -> None:
    assert not HeldTokens()
    held = HeldTokens(LISTED)
    assert held
    assert [one.name for one in held.match(ANN)] == ["ann"]


def test_one_purpose_of_a_name_or_all_of_it_is_revoked(tmp_path: Path) -> None:
    held = HeldTokens(LISTED, folder=tmp_path)
    assert held.revoke("ann", "admin") == [ANN_ADMIN]
    assert names(held) == ["subscribe:ann", "subscribe:bob"]
    assert held.revoke("ann") == [ANN_TOKEN]
    assert names(held) == ["subscribe:bob"]
    assert names(HeldTokens(LISTED, folder=tmp_path)) == ["subscribe:bob"]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert ANN not in (tmp_path / FILE).read_text()


@pytest.mark.parametrize(("name", "purpose"), [("carl", None), ("bob", "admin"), ("bob", "cook")])
def test_what_is_not_there_can_not_be_revoked_and_what_is_there_is_named(
    name: str, purpose: str | None
) -> None:
    with pytest.raises(Usage) as refused:
        HeldTokens(LISTED).revoke(name, purpose)
    assert ("subscribe:bob" if purpose != "cook" else "subscribe") in refused.value.do


def test_all_revoked_is_not_nobody_asked() -> None:
    held = HeldTokens(Tokens((BOB_TOKEN,)))
    held.revoke("bob")
    assert held
    assert held.match(BOB) == ()


def test_followers_hear_of_names_that_open_nothing_any_more_and_of_no_others() -> None:
    held, heard = HeldTokens(LISTED), []
    held.follow(lambda gone: heard.append(list(gone)))
    held.revoke("ann", "admin")
    assert heard == []
    assert held.take(Tokens((BOB_TOKEN, mint_token("ingest", "host")[1]))) == (
        ["ingest:host"],
        ["admin:ann", "subscribe:ann"],
    )
    assert heard == [["ann"]]


def test_one_of_our_own_is_in_no_list_and_stays_whatever_list_comes() -> None:
    held = HeldTokens(LISTED)
    text, token = mint_token("subscribe", "witness")
    held.own(token)
    held.take(Tokens((BOB_TOKEN,)))
    assert held.match(text) == (token,)
    with pytest.raises(Usage):
        held.revoke("witness")


@pytest.mark.parametrize("content", ["{}", "[1]", "half of", ""])
def test_a_file_that_is_none_of_ours_ends_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(Usage, match=FILE):
        HeldTokens(LISTED, folder=tmp_path)
