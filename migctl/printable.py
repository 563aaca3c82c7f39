r"""Printable: foreign text as text. What a terminal would take as an order, or would draw in another order, is written out instead.

Events, a target's errors and the answers of strangers hold whatever their senders like: `ESC ] 0 ; ...` renames the window, `CR`
writes over the line, U+202E turns the rest of it round. Here they become `\x1b`, `\r`, `\u202e`. The one place that decides it:
whatever prints or logs goes through `shown` (text, whose line ends stay) or `shown_json` (JSON, which stays the same document).
"""

from __future__ import annotations

import re
from collections.abc import Callable

# C0 but the line end, DEL, C1; marks and overrides of direction; line separators; invisible operators, tags; lone surrogates, which
# no stream takes.
_ORDERS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\t": "\\t", "\r": "\\r"}


def shown(text: str) -> str:
    """The text with every order written out. What was shown already stays as it is."""
    return _ORDERS.sub(_written, text)


def shown_line(text: str) -> str:
    """The same in one line: for what stands in the middle of a line of ours, which a line end would let it forge."""
    return shown(text).replace("\n", "\\n")


def brief(value: object, most: int = 60, *, first: Callable[[str], str] = str) -> str:
    """A foreign value as Python writes it, cut, to be quoted in a message; there is no value that can't be.

    first: done before it is cut.
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # too deep; a number of more digits than are ever written
        text = f"{type(value).__name__} that can't be shown"
    text = first(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shown_json(text: str) -> str:
    """The same for JSON that was encoded: such characters can only be in its strings, where an escape means the same."""
    return _ORDERS.sub(_escaped, text)


def _written(found: re.Match[str]) -> str:
    one = found[0]
    code = ord(one)
    return _SHORT.get(one) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
