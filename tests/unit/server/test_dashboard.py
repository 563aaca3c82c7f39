"""The dashboard's files: what is served, and to whom."""

from __future__ import annotations

import re

import pytest

from migctl.server.access.rules import Asking, Denied, Rules
from migctl.server.access.tokens import Tokens, mint_token
from migctl.server.routes.dashboard import POLICY, STATIC, path_of, wants_page

INDEX = (STATIC / "index.html").read_text()


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
    ],
)
def test_the_page_is_for_who_takes_html(accept: str, wanted: bool) -> None:
    assert wants_page(accept) is wanted


@pytest.mark.parametrize(
    "name", ["../building.py", "vendor/../../building.py", "vendor/stamp.json", "", "/etc/passwd"]
)
def test_what_is_no_file_of_the_page_is_not_served(name: str) -> None:
    assert path_of(name) is None


def test_the_page_runs_nothing_inline_and_loads_nothing_of_others() -> None:
    assert "'unsafe" not in POLICY
    assert re.findall(r"<script(?![^>]* src=)|\sstyle=|\son[a-z]+=", INDEX) == []
    for path in STATIC.glob("*.*"):
        assert re.findall(r"""(?:src|href|from|import)[ =(]*["']https?:""", path.read_text()) == [], path.name


def test_its_own_script_and_the_library_are_below_400_kb() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*.js")) < 400_000


def test_the_files_ask_for_no_token_and_the_figures_do() -> None:
    rules = Rules(tokens=Tokens((mint_token("admin", "ops")[1],)))

    def decide(method: str, path: str) -> object:
        return rules.decide(Asking(method=method, path=path, host="h", origin=None, peer="10.0.0.1"))

    assert not isinstance(decide("GET", "/dashboard/app.js"), Denied)
    for method, path in (("POST", "/dashboard/app.js"), ("GET", "/api/rollout"), ("POST", "/api/rollout")):
        assert isinstance(decide(method, path), Denied), (method, path)
