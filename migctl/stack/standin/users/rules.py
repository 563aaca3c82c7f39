"""What Auth takes from a request, and what becomes of a refresh token. Pure.

A refresh token that comes:

| it is | since | it is the parent of the active one | what becomes of it |
|---|---|---|---|
| active | - | - | swapped: revoked, and another is given |
| revoked | any time | yes | the active one is given again: the client did not get it |
| revoked | less than the reuse interval | no | swapped once more |
| revoked | longer | no | refused, and the whole session's tokens are revoked |
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from migctl.stack.standin.users import errors, passwords

Refresh = Literal["swap", "again", "refuse"]
_REFRESH_TOKEN = re.compile(r"[a-z0-9]{12}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of a body that Auth reads. data, user_metadata: None where they were not given."""

    email: str = ""
    phone: str = ""
    password: str = ""
    refresh_token: str = ""
    data: dict[str, Any] | None = field(default=None)
    user_metadata: dict[str, Any] | None = field(default=None)


def asked(body: bytes) -> Asked:
    """Raises AuthError for what is no JSON object, or has a field of another type. null counts as not given."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise errors.bad_json("invalid character looking for beginning of value") from None
    if not isinstance(document, dict):
        raise errors.bad_json("cannot unmarshal into an object")
    texts = {}
    for name in ("email", "phone", "password", "refresh_token"):
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise errors.bad_json(f"cannot unmarshal into field {name} of type string")
        texts[name] = value or ""
    for name in ("data", "user_metadata"):
        if document.get(name) is not None and not isinstance(document[name], dict):
            raise errors.bad_json(f"cannot unmarshal into field {name} of type object")
    return Asked(**texts, data=document.get("data"), user_metadata=document.get("user_metadata"))


def check_signup(wish: Asked) -> None:
    """Of a signup that is not anonymous. Raises AuthError, in the order of the real one."""
    if not wish.password:
        raise errors.invalid("Signup requires a valid password")
    check_password(wish.password)
    if wish.email and wish.phone:
        raise errors.invalid("Only an email address or phone number should be provided on signup.")
    if wish.phone:
        raise errors.AuthError(400, "phone_provider_disabled", "Phone signups are disabled")


def check_login(wish: Asked) -> None:
    if wish.email and wish.phone:
        raise errors.invalid("Only an email address or phone number should be provided on login.")
    if wish.phone:
        raise errors.AuthError(422, "phone_provider_disabled", "Phone logins are disabled")
    if not wish.email:
        raise errors.invalid("missing email or phone")


def check_password(password: str) -> None:
    if len(password.encode("utf-8", "surrogatepass")) > passwords.MAX_BYTES:
        raise errors.invalid(f"Password cannot be longer than {passwords.MAX_BYTES} characters")
    if len(password) < passwords.MIN_LENGTH:
        raise errors.weak_password(f"Password should be at least {passwords.MIN_LENGTH} characters.")


def mail_address(text: str) -> str:
    """As it is kept: in lower case. Raises AuthError for what is none."""
    if len(text) > 255:
        raise errors.invalid("An email address is too long")
    if _EMAIL.fullmatch(text) is None:
        raise errors.invalid("Unable to validate email address: invalid format")
    return text.lower()


def check_refresh_token(token: str) -> None:
    if _REFRESH_TOKEN.fullmatch(token) is None:
        raise errors.invalid("Refresh token is not valid")


def refresh(*, revoked: bool, age_s: float, parent_of_active: bool, reuse_s: float) -> Refresh:
    """The table above. age_s: since it was revoked."""
    if not revoked:
        return "swap"
    if parent_of_active:
        return "again"
    return "swap" if age_s <= reuse_s else "refuse"
