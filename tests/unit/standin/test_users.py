"""What Auth takes and refuses, how a password is kept, and what becomes of a refresh token."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from migctl.stack.standin.users import passwords, rules, shapes
from migctl.stack.standin.users.errors import AuthError, version_for

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_password_fits_what_was_made_of_it_and_nothing_else_does() -> None:
    kept = passwords.hashed("correct horse", b"0123456789abcdef")
    assert kept.startswith("$scrypt$ln=14,r=8,p=1$")
    assert len(kept) <= 255
    assert "horse" not in kept
    assert passwords.fits("correct horse", kept)
    assert not passwords.fits("correct horsf", kept)
    assert passwords.hashed("correct horse", b"another salt, 16") != kept


@pytest.mark.parametrize(
    "kept", [None, "", "$2a$10$abcdefghijklmnopqrstuv", "$scrypt$a$b$c", "$scrypt$ln$!$!", "x"]
)
def test_what_is_no_hash_of_ours_fits_no_password(kept: str | None) -> None:
    assert not passwords.fits("", kept)
    assert not passwords.fits("x", kept)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "bad_json"),
        ("[]", 400, "bad_json"),
        ('{"email": 1}', 400, "bad_json"),
        ('{"data": []}', 400, "bad_json"),
        ('{"user_metadata": []}', 400, "bad_json"),
        ('{"email": "a@b.c"}', 400, "validation_failed"),
        ('{"email": "a@b.c", "phone": "1", "password": "123456"}', 400, "validation_failed"),
        ('{"email": "a@b.c", "password": "12345"}', 422, "weak_password"),
        (json.dumps({"email": "a@b.c", "password": "1" * 73}), 400, "validation_failed"),
        ('{"phone": "1", "password": "123456"}', 400, "phone_provider_disabled"),
    ],
)
def test_a_signup_is_refused_for_the_first_thing_that_is_wrong(body: str, status: int, code: str) -> None:
    with pytest.raises(AuthError) as found:
        rules.check_signup(rules.asked(body.encode()))
    assert (found.value.status, found.value.code) == (status, code)


def test_null_is_not_given() -> None:
    assert rules.asked(b'{"email": null, "data": null, "gotrue_meta_security": {}}') == rules.Asked()


@pytest.mark.parametrize(
    ("text", "kept"), [("A.b+c@Example.COM", "a.b+c@example.com"), ("a@localhost", "a@localhost")]
)
def test_an_address_is_kept_in_lower_case(text: str, kept: str) -> None:
    assert rules.mail_address(text) == kept


@pytest.mark.parametrize(
    "text", ["a", "@b.c", "a@", "a b@c.d", "a@b.c\n", "a@-b.c", "é@b.c", "a@" + "b" * 254]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AuthError, match="address"):
        rules.mail_address(text)


@pytest.mark.parametrize("body", ["{}", '{"phone": "1"}', '{"email": "a@b.c", "phone": "1"}'])
def test_a_login_needs_an_address(body: str) -> None:
    with pytest.raises(AuthError):
        rules.check_login(rules.asked(body.encode()))


@pytest.mark.parametrize("token", ["", "short", "ABCDEFGHIJKL", "abcdefghijkl\n", "a" * 13])
def test_what_is_no_refresh_token_is_refused_before_it_is_looked_up(token: str) -> None:
    with pytest.raises(AuthError, match="Refresh token is not valid"):
        rules.check_refresh_token(token)


@pytest.mark.parametrize(
    ("revoked", "age_s", "parent_of_active", "becomes"),
    [
        (False, 999, False, "swap"),
        (True, 999, True, "again"),
        (True, 9, False, "swap"),
        (True, 11, False, "refuse"),
    ],
)
def test_a_refresh_token_that_comes_goes_by_the_table(
    revoked: bool, age_s: float, parent_of_active: bool, becomes: str
) -> None:
    found = rules.refresh(revoked=revoked, age_s=age_s, parent_of_active=parent_of_active, reuse_s=10)
    assert found == becomes


def test_an_error_has_the_shape_of_the_version_that_was_asked_for() -> None:
    error = AuthError(422, "weak_password", "too short", {"weak_password": {"reasons": ["length"]}})
    more = {"weak_password": {"reasons": ["length"]}}
    assert error.body("2024-01-01") == {"code": "weak_password", "message": "too short", **more}
    assert version_for("2025-06-01") == "2024-01-01"
    assert [version_for(wanted) for wanted in (None, "", "2023-12-31", "next")] == [None] * 4
    assert error.body(None) == {"code": 422, "error_code": "weak_password", "msg": "too short", **more}


def test_a_user_is_shown_without_secrets_and_without_moments_that_did_not_come() -> None:
    identity = shapes.Identity("i", "u", "email", {"sub": "u", "email": "a@b.c"}, NOW, NOW, NOW)
    user = shapes.User(
        *("u", "authenticated", "authenticated", "a@b.c", "", "$scrypt$...", NOW, None),
        *({"provider": "email"}, {"name": "Ann"}, NOW, NOW, None, False, [identity]),
    )
    shown = user.shown()
    assert "scrypt" not in json.dumps(shown)
    assert "last_sign_in_at" not in shown
    assert shown["confirmed_at"] == "2026-01-02T03:04:05.678901Z"
    assert shown["identities"][0]["identity_id"] == "i"
    session = shapes.Session("s", "password", NOW, "token")
    claims = user.claims(session, "http://x/auth/v1", 100, 3600)
    assert (claims["sub"], claims["aud"], claims["role"]) == ("u", "authenticated", "authenticated")
    assert (claims["iat"], claims["exp"], claims["session_id"], claims["aal"]) == (100, 3700, "s", "aal1")
    answer = shapes.session_answer(user, session, "jwt", 100, 3600)
    assert (answer["expires_in"], answer["expires_at"], answer["refresh_token"]) == (3600, 3700, "token")
