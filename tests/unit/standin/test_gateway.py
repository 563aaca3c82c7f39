"""What becomes of a key at the gateway, each row of its table."""

from __future__ import annotations

import jwt
import pytest

from migctl.stack.standin.auth import Tokens
from migctl.stack.standin.gateway import Admitted, Refused, admit
from migctl.stack.standin.keyring import Keyring

SECRET = "a secret that is long enough for HS256"
ANON = jwt.encode({"role": "anon"}, SECRET, "HS256")
USER = jwt.encode({"role": "authenticated", "exp": 2000}, SECRET, "HS256")
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
TOKENS = Tokens(
    Keyring(
        SECRET,
        {"sb_publishable_1": "anon", "sb_secret_1": "service_role", "sb_secret_2": "service_role"},
    )
)


def asked(key: str | None, authorization: str | None = None, browser: str = "") -> Admitted | Refused:
    return admit(TOKENS, key, authorization, browser, 1000)


@pytest.mark.parametrize(
    ("key", "role"),
    [("sb_publishable_1", "anon"), ("sb_secret_1", "service_role"), ("sb_secret_2", "service_role")],
)
@pytest.mark.parametrize("said", [False, True], ids=["alone", "said twice"])
def test_a_new_key_is_a_token_for_its_role_that_ends_after_a_day(key: str, role: str, said: bool) -> None:
    found = asked(key, f"Bearer {key}" if said else None)
    assert isinstance(found, Admitted)
    for token in (found.key, found.token):
        identity = TOKENS.for_realtime(token, 1000)
        assert (identity.role, identity.sub, identity.exp) == (role, "", 1000 + 86400)


def test_a_user_beside_a_new_key_is_who_asks_and_the_socket_keeps_the_key() -> None:
    found = asked("sb_publishable_1", f"Bearer {USER}")
    assert isinstance(found, Admitted)
    assert found.token == USER
    assert TOKENS.for_rest(found.key, 1000).role == "anon"


def test_another_new_key_in_authorization_is_no_token() -> None:
    found = asked("sb_publishable_1", "Bearer sb_secret_1")
    assert isinstance(found, Admitted)
    assert found.token == "sb_secret_1"


@pytest.mark.parametrize(
    ("key", "browser", "message"),
    [
        (None, "", "No API key found in request"),
        ("", "", "No API key found in request"),
        ("nonsense", "", "Invalid API key"),
        (USER, "", "Invalid API key"),
        ("sb_secret_3", "", "Unregistered API key"),
        ("sb_publishable_", "", "Unregistered API key"),
        ("sb_secret_1", CHROME, "Forbidden use of secret API key in browser"),
    ],
    ids=["none", "empty", "no key", "a user", "deleted", "half", "browser"],
)
def test_a_key_that_is_none_is_refused(key: str | None, browser: str, message: str) -> None:
    found = asked(key, browser=browser)
    assert isinstance(found, Refused)
    assert found.message == message


def test_a_publishable_key_is_made_for_browsers() -> None:
    assert isinstance(asked("sb_publishable_1", browser=CHROME), Admitted)


def test_old_keys_work_beside_new_ones() -> None:
    assert asked(ANON) == Admitted(ANON, ANON, False)
    assert asked(ANON, f"Bearer {USER}") == Admitted(ANON, USER, True)
