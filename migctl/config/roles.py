"""Roles: what Supabase calls those who ask, as far as more than one room has to know it."""

from __future__ import annotations

from typing import Final, Literal

# Every subscriber. A token of another role would show more, or nothing.
AUTHENTICATED: Final = "authenticated"

# Whom our own canary listens as; service_role where nobody here can make a token for a subscriber.
ListensAs = Literal["authenticated", "service_role"]
