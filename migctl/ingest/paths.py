"""Field paths: where in a foreign event a field stands. `.` is the whole event, `.a.b` a member of a member, `.["any key"]` a key
that is no plain word; they mix (`.a["b c"].d`), and `|` stands between alternatives.
"""

from __future__ import annotations

import json
import re

Path = tuple[str, ...]
"""Keys from the outside in; the empty path is the whole event."""

WHOLE: Path = ()
MOST_KEYS = 100

# A plain key is what needs no quoting anywhere: nothing that means something in a path.
_PLAIN = re.compile(r"[^\s.|\[\]\"'(){}*?,]+")
_SPACE = re.compile(r"\s*")


class BadPath(ValueError):
    """A path that can't be read; the message says where and what was expected."""


def parse_paths(text: str) -> tuple[Path, ...]:
    """The alternatives of `PATH[|PATH...]`, in order. Raises BadPath."""
    paths: list[Path] = []
    at = _space(text, 0)
    while True:
        path, at = _path(text, at)
        paths.append(path)
        at = _space(text, at)
        if at == len(text):
            return tuple(paths)
        if text[at] != "|":
            raise BadPath(f"unexpected {text[at]!r} at character {at + 1} of {text!r}{_hint(text, at)}")
        at = _space(text, at + 1)


def format_path(path: Path) -> str:
    """The text that parse_paths reads as this path."""
    if not path:
        return "."
    text = "".join(f".{key}" if _PLAIN.fullmatch(key) else f"[{json.dumps(key)}]" for key in path)
    return text if text.startswith(".") else "." + text


def _path(text: str, at: int) -> tuple[Path, int]:
    if text[at : at + 1] != ".":
        found = repr(text[at]) if at < len(text) else "nothing"
        raise BadPath(
            f"expected a path that begins with a dot at character {at + 1} of {text!r}, got {found}"
        )
    keys: list[str] = []
    if text[at + 1 : at + 2] == "[":
        at += 1
    elif not _PLAIN.match(text, at + 1):
        return WHOLE, at + 1
    while at < len(text):
        if text[at] == "[":
            key, at = _quoted(text, at)
        elif text[at] == ".":
            if text[at + 1 : at + 2] == "[":  # `.a.["b"]`, as jq also takes it
                at += 1
                continue
            match = _PLAIN.match(text, at + 1)
            if match is None:
                raise BadPath(
                    f"expected a key after the dot at character {at + 1} of {text!r}{_hint(text, at + 1)}"
                )
            key, at = match[0], match.end()
        else:
            break
        keys.append(key)
        if len(keys) > MOST_KEYS:
            raise BadPath(f"a path of more than {MOST_KEYS} keys, at character {at}")
    return tuple(keys), at


def _quoted(text: str, at: int) -> tuple[str, int]:
    if text[at + 1 : at + 2] != '"':
        raise BadPath(f'expected ["key"] at character {at + 1} of {text!r}{_hint(text, at + 1)}')
    try:
        key, end = json.JSONDecoder().raw_decode(text, at + 1)
    except ValueError:
        raise BadPath(
            f"the quoted key at character {at + 2} of {text!r} does not end, or is no JSON string"
        ) from None
    if text[end : end + 1] != "]":
        raise BadPath(f"expected ] at character {end + 1} of {text!r}")
    return key, end + 1


def _hint(text: str, at: int) -> str:
    here = text[at : at + 1]
    if here.isdigit() or here == "-":
        return "; items of arrays have no path"
    if here == "'":
        return '; a key is quoted with "'
    return ""


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
