"""Digest: of the settings that decide how events are delivered, and how subscribers fall back and return.

A drill that passed says something of the configuration that it was run with, and of no other.
"""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType

from migctl.config.settings import Settings

# Sections, and what of them says nothing of that: what would reach outside, and the plan's limit, which a drill has of its own.
SECTIONS = ("gateway", "relay", "realtime", "resilience", "fallback")
_LEFT_OUT = MappingProxyType({"realtime": frozenset({"token_command", "messages_per_second"})})
_CHARS = 12


def delivery_settings(settings: Settings) -> dict[str, dict[str, object]]:
    """Section to key to value, as YAML would have them."""
    whole = settings.model_dump(mode="json", by_alias=True, include=set(SECTIONS))
    return {
        name: {key: value for key, value in whole[name].items() if key not in _LEFT_OUT.get(name, ())}
        for name in SECTIONS
    }


def delivery_digest(settings: Settings) -> str:
    """Twelve hexadecimal characters; the same for settings that say the same, however they are written.

    The order of keys is that of the sections; of `relay.classes` it is the file's, where it counts.
    """
    text = json.dumps(delivery_settings(settings), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_CHARS]
