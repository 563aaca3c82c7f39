"""JWTs as somebody else might hand them out."""

from __future__ import annotations

import base64


def with_payload(payload: bytes) -> str:
    """One that nobody signed, whatever its payload is."""
    head, body = (base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256"}', payload))
    return b".".join((head, body, b"c2ln")).decode()
