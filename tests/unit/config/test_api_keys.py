"""API keys, by their text alone."""

from __future__ import annotations

import jwt
import pytest

from migctl.config import Settings, from_environment
from migctl.config.api_keys import is_token, kind_of
from migctl.errors import Usage
from tests.kit.jwts import with_payload

SECRET = "a secret of thirty-two characters or more"
ANON = jwt.encode({"role": "anon"}, SECRET)
SERVICE = jwt.encode({"role": "service_role"}, SECRET)
PUBLISHABLE = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH"
SERVERS = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"
HOSTED = Settings.model_validate({"supabase": {"url": "https://project.supabase.co"}})


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (PUBLISHABLE, "client"),
        (SERVERS, "server"),
        (ANON, "client"),
        (SERVICE, "server"),
        (jwt.encode({"role": "authenticated"}, SECRET), None),
        (with_payload(b'{"role": ["anon"]}'), None),
        (with_payload(b"[]"), None),
        (with_payload(b"\xff"), None),
        ("a key of a gateway", None),
        ("a.b.c", None),
    ],
    ids=["publishable", "secret", "anon", "service", "user", "list", "no object", "no text", "word", "dots"],
)
def test_a_key_tells_whose_it_is(key: str, kind: str | None) -> None:
    assert kind_of(key) == kind


def test_keys_of_today_are_no_tokens() -> None:
    assert [is_token(key) for key in (PUBLISHABLE, SERVERS, ANON, SERVICE)] == [False, False, True, True]


def test_keys_of_today_count_before_those_of_older_projects() -> None:
    environ = {
        "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
        "SUPABASE_ANON_KEY": ANON,
        "SUPABASE_SECRET_KEY": SERVERS,
        "SUPABASE_SERVICE_ROLE_KEY": SERVICE,
    }
    target = from_environment(HOSTED, environ)
    assert target is not None
    assert (target.anon_key, target.service_role_key) == (PUBLISHABLE, SERVERS)
    older = {
        name: value
        for name, value in environ.items()
        if name in ("SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    }
    target = from_environment(HOSTED, older)
    assert target is not None
    assert (target.anon_key, target.service_role_key) == (ANON, SERVICE)


@pytest.mark.parametrize("environ", [
    {"SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE, "SUPABASE_SECRET_KEY": SERVERS},
    {"SUPABASE_ANON_KEY": ANON, "SUPABASE_SERVICE_ROLE_KEY": SERVICE},
    {"SUPABASE_ANON_KEY": PUBLISHABLE, "SUPABASE_SERVICE_ROLE_KEY": SERVERS},
], ids=["today", "older", "today's under older names"])  # fmt: skip
def test_a_process_of_ours_is_told_the_same_target(environ: dict[str, str]) -> None:
    target = from_environment(
        HOSTED, {**environ, "SUPABASE_SIGNING_KEY": "{}", "DATABASE_URL": "postgresql://u@h/d"}
    )
    assert target is not None
    again = from_environment(HOSTED, target.variables())
    assert again == target


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        (variable, key)
        for variables, keys in (
            (("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY"), (SERVERS, SERVICE)),
            (("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"), (PUBLISHABLE, ANON)),
        )
        for variable in variables
        for key in keys
    ],
    ids=[f"{variable}-{kind}" for variable in ("publishable", "anon", "secret", "service") for kind in ("today", "older")],
)  # fmt: skip
def test_a_key_in_the_variable_of_the_other_is_refused_and_not_quoted(variable: str, key: str) -> None:
    with pytest.raises(Usage, match=variable) as refused:
        from_environment(HOSTED, {variable: key})
    assert key not in str(refused.value)
