"""Passwords: what Auth takes for one, and what it keeps of it. Pure: the salt is passed in.

Kept by scrypt: Auth itself takes bcrypt, which Python has not. A hash of another kind fits no password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

MIN_LENGTH = 6
MAX_BYTES = 72
SALT_BYTES = 16
_COST, _BLOCK, _LANES = 1 << 14, 8, 1
_KIND = "scrypt"


def hashed(password: str, salt: bytes) -> str:
    """Takes about 50 ms on purpose. `$scrypt$ln=14,r=8,p=1$SALT$HASH`."""
    parts = (salt, _scrypt(password, salt))
    return f"${_KIND}$ln=14,r={_BLOCK},p={_LANES}$" + "$".join(
        base64.b64encode(part).decode() for part in parts
    )


def fits(password: str, kept: str | None) -> bool:
    """Whether this is the password of which `kept` was made."""
    _, kind, _, salt, found = (kept or "").split("$") if (kept or "").count("$") == 4 else ("",) * 5
    if kind != _KIND:
        return False
    try:
        return hmac.compare_digest(_scrypt(password, base64.b64decode(salt)), base64.b64decode(found))
    except binascii.Error:
        return False


def _scrypt(password: str, salt: bytes) -> bytes:
    text = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=1 << 26, dklen=32)
