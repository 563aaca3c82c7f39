"""SUPABASE_URL as people copy it."""

from __future__ import annotations

import pytest

from migctl.config.project_url import project_url
from migctl.config.warned import SettingsWarning
from migctl.errors import Usage

REFERENCE = "abcdefghijklmnopqrst"
URL = f"https://{REFERENCE}.supabase.co"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        (f" {URL}// \n", URL),
        (URL.upper(), URL),
        ("http://LocalHost:54321", "http://localhost:54321"),
        ("http://[::1]:54321/", "http://[::1]:54321"),
        ("https://gate.example/Supabase", "https://gate.example/Supabase"),
    ],
)
def test_an_address_that_can_only_mean_one_is_that_one(text: str, url: str) -> None:
    assert project_url(text) == url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (f"{URL}/rest/v1", URL),
        (f"{URL}/rest/v1/", URL),
        (f"{URL}/realtime/v1/websocket", URL),
        ("https://gate.example/supabase/auth/v1", "https://gate.example/supabase"),
    ],
)
def test_the_path_of_an_api_is_left_out_and_named(text: str, url: str) -> None:
    with pytest.warns(SettingsWarning, match=r"^SUPABASE_URL: .*/v1.* left out"):
        assert project_url(text) == url


@pytest.mark.parametrize(
    ("text", "do"),
    [
        ("p.supabase.co", "the address of the project"),
        (f"{URL}/x", f"leave /x out: {URL}"),
        (f"https://supabase.com/dashboard/project/{REFERENCE}/settings/api", f"address is {URL}"),
        ("https://app.supabase.com", "https://PROJECT.supabase.co"),
        (f"https://db.{REFERENCE}.supabase.co:5432", URL),
        ("ftp://h", "the address of the project"),
        ("https://a b", "the address of the project"),
    ],
)
def test_what_is_no_address_of_a_project_is_refused_with_the_way_out(text: str, do: str) -> None:
    with pytest.raises(Usage, match=r"^SUPABASE_URL: expected https://PROJECT") as refused:
        project_url(text)
    assert do in refused.value.do


@pytest.mark.parametrize("text", ["https://h?apikey=hunter2", "https://h/#hunter2", "https://u:hunter2@h"])
def test_what_may_hold_a_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(Usage, match=r"^SUPABASE_URL: expected https://PROJECT") as refused:
        project_url(text)
    assert "hunter2" not in str(refused.value)
