"""The body of a write or a call as one JSON text, by its `Content-Type`. Pure. As PostgREST: what it does not take is refused."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import parse_qsl

from migctl.stack.standin.rest.errors import RestError, invalid_body

_JSON = "application/json"


def read_body(raw: bytes, content_type: str | None) -> str:
    """content_type: None is JSON. Rows of lines are an array of objects of text, `NULL` is null. Raises RestError."""
    text = _text(raw)
    name = (content_type or _JSON).partition(";")[0].strip().lower()
    match name:
        case "application/json":
            return text
        case "text/csv":
            return json.dumps(_rows(text))
        case "application/x-www-form-urlencoded":
            return json.dumps(dict(parse_qsl(text, keep_blank_values=True)))
    raise invalid_body(f"Content-Type not acceptable: {name}")


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        message = f'invalid byte sequence for encoding "UTF8": 0x{raw[error.start]:02x}'
        raise RestError(400, "22021", message) from None
    if "\0" in text:
        raise RestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return text


def _rows(text: str) -> list[dict[str, str | None]]:
    try:
        names, *lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except ValueError:
        raise invalid_body("parse error (not enough input)") from None
    except csv.Error as error:
        raise invalid_body(f"parse error ({error})") from None
    if any(len(line) < len(names) for line in lines):
        raise invalid_body("All lines must have same number of fields")
    return [
        {name: None if value == "NULL" else value for name, value in zip(names, line, strict=False)}
        for line in lines
    ]
