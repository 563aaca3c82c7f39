"""What Auth refuses, in the words and the two shapes of the real one: since 2024-01-01 `code` and `message`, before that `msg`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

VERSION_HEADER = "X-Supabase-Api-Version"
_SINCE = "2024-01-01"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class AuthError(Exception):
    """status: of HTTP. code: one of Auth's error codes. more: what else its body has."""

    def __init__(self, status: int, code: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.more = dict(more or {})

    def body(self, version: str | None) -> dict[str, Any]:
        """version: by `version_for`."""
        if version is not None:
            return {"code": self.code, "message": self.message, **self.more}
        return {"code": self.status, "error_code": self.code, "msg": self.message, **self.more}


def version_for(wanted: str | None) -> str | None:
    """The version that a client is answered in, and that the answer names; None for the first one, which has no name."""
    return _SINCE if wanted is not None and _DATE.fullmatch(wanted) and wanted >= _SINCE else None


def bad_json(why: str) -> AuthError:
    return AuthError(400, "bad_json", f"Could not parse request body as JSON: {why}")


def invalid(message: str) -> AuthError:
    return AuthError(400, "validation_failed", message)


def wrong_credentials() -> AuthError:
    return AuthError(400, "invalid_credentials", "Invalid login credentials")


def weak_password(message: str) -> AuthError:
    return AuthError(422, "weak_password", message, {"weak_password": {"reasons": ["length"]}})


def user_exists() -> AuthError:
    return AuthError(422, "user_already_exists", "User already registered")


def email_exists() -> AuthError:
    return AuthError(422, "email_exists", "A user with this email address has already been registered")


def not_admin() -> AuthError:
    return AuthError(403, "not_admin", "User not allowed")


def no_such_refresh_token() -> AuthError:
    return AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")


def refresh_token_used() -> AuthError:
    return AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")


def bad_jwt(why: str) -> AuthError:
    return AuthError(403, "bad_jwt", why)
