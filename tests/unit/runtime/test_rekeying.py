"""Keys and tokens read again: what changed is taken, what can't be used is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config import Settings, from_environment
from migctl.runtime.rekeying import Rekeying
from migctl.server.access.held import HeldTokens
from migctl.server.access.tokens import Tokens, mint_token, parse_tokens

HOSTED = Settings.model_validate({"supabase": {"url": "https://project.supabase.co"}})
TOKEN = mint_token("admin", "ops")[1]


class Site:
    """An environment whose secrets are in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {}
        self.write("SUPABASE_SECRET_KEY", "sb_secret_first_one")
        self.write("SUPABASE_JWT_SECRET", "the first secret of thirty-two characters")
        self.write("MIGCTL_TOKENS", TOKEN.entry)
        target = from_environment(HOSTED, self.environ)
        assert target is not None
        self.target, self.tokens = target, HeldTokens(Tokens((TOKEN,)))
        self.changes: list[tuple[str, ...]] = []
        self.rekeying = Rekeying(
            HOSTED, target, self.tokens, changed=self.changes.append, environ=self.environ
        )

    def write(self, name: str, value: str) -> None:
        (self.folder / name).write_text(value)
        self.environ[f"{name}_FILE"] = str(self.folder / name)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_changed_is_taken_and_named_and_nothing_where_nothing_did(site: Site) -> None:
    site.rekeying.read()
    assert site.changes == []
    site.write("SUPABASE_SECRET_KEY", "sb_secret_second_one")
    site.rekeying.read()
    assert site.target.service_role_key == "sb_secret_second_one"
    assert site.changes == [("SUPABASE_SECRET_KEY",)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_SECRET_KEY", ""),
        ("SUPABASE_SECRET_KEY", "two\nlines"),
        ("SUPABASE_SECRET_KEY", "sb_publishable_for_clients"),
        ("SUPABASE_SIGNING_KEY", "no key"),
    ],
    ids=["blank", "two lines", "a client's", "no key"],
)
def test_what_can_not_be_used_changes_nothing(site: Site, name: str, value: str) -> None:
    if name == "SUPABASE_SIGNING_KEY":
        del site.environ["SUPABASE_JWT_SECRET_FILE"]
    site.write(name, value)
    site.rekeying.read()
    assert (site.target.service_role_key, site.changes) == ("sb_secret_first_one", [])


def test_a_list_of_tokens_that_can_not_be_used_keeps_no_key_out(site: Site) -> None:
    site.write("MIGCTL_TOKENS", "nothing of the kind")
    site.write("SUPABASE_SECRET_KEY", "sb_secret_second_one")
    site.rekeying.read()
    assert site.target.service_role_key == "sb_secret_second_one"
    assert site.tokens.now.known == (TOKEN,)


def test_a_list_that_is_gone_opens_no_door(site: Site) -> None:
    del site.environ["MIGCTL_TOKENS_FILE"]
    site.rekeying.read()
    assert site.tokens.now.known == (TOKEN,)


def test_another_list_is_taken(site: Site) -> None:
    other = mint_token("ingest", "host")[1]
    site.write("MIGCTL_TOKENS", other.entry)
    site.rekeying.read()
    assert site.tokens.now.known == parse_tokens(other.entry).known
