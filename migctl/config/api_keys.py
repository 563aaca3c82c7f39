"""API keys: which of the two kinds a key is, told by its text alone.

| kind     | today                | older projects              | who may have it                              |
|----------|----------------------|-----------------------------|----------------------------------------------|
| `client` | `sb_publishable_...` | a JWT of role anon          | everybody: it is handed to every dashboard   |
| `server` | `sb_secret_...`      | a JWT of role service_role  | nobody but servers: it passes every policy   |
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final, Literal

Kind = Literal["client", "server"]

PUBLISHABLE: Final = "sb_publishable_"
SECRET: Final = "sb_secret_"

_ROLES: Final[dict[object, Kind]] = {"anon": "client", "service_role": "server"}


def kind_of(key: str) -> Kind | None:
    """None for what says nothing of itself, such as a key of a gateway of one's own. Signatures are not looked at."""
    if key.startswith(PUBLISHABLE):
        return "client"
    if key.startswith(SECRET):
        return "server"
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    role = claims.get("role") if isinstance(claims, dict) else None
    return _ROLES.get(role) if isinstance(role, str) else None


def is_token(key: str) -> bool:
    """False for a key of today: it opens a socket and a request, and says nobody's role in a channel of its own."""
    return not key.startswith((PUBLISHABLE, SECRET))
