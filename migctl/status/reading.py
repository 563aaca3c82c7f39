"""Reading a status from somewhere else: typed, tolerant of keys that only the other side knows, and its published schema."""

from __future__ import annotations

from typing import Any

import msgspec

from migctl.events.jsontext import typed
from migctl.status.document import ServeStatus


def read(text: bytes) -> ServeStatus:
    """Raises ValueError where it is no status, or one that can't be read here; it says which field, or where the text breaks."""
    return typed(_decoder, text)


def json_schema() -> dict[str, Any]:
    """Of `/api/status`, JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "migctl.status/1",
        **msgspec.json.schema(ServeStatus),
    }


_decoder = msgspec.json.Decoder(ServeStatus)
