"""Cuts SQL text into its statements, so that a failure can be named by number and line.

Knows what a semicolon can hide in: strings, quoted names, dollar quotes, both kinds of comment. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escape>\b[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*")
    | (?P<dollar>(?<![A-Za-z0-9_$])\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Statement:
    """number: from 1 within its file; line: where its first word is, from 1; text: without the semicolon."""

    number: int
    line: int
    text: str

    @property
    def first_line(self) -> str:
        """For messages."""
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


def split(sql: str) -> list[Statement]:
    """The statements of a file, comments before them left out."""
    found: list[Statement] = []
    start = position = 0
    first: int | None = None  # where the first word of the current statement is

    def first_word(upto: int, at: int) -> int | None:
        gap = sql[upto:at]
        bare = gap.lstrip()
        return upto + len(gap) - len(bare) if bare else None

    def close(end: int) -> None:
        if first is not None and sql[first:end].strip():
            found.append(Statement(len(found) + 1, sql.count("\n", 0, first) + 1, sql[first:end].rstrip()))

    while (token := _TOKEN.search(sql, position)) is not None:
        if first is None:
            first = first_word(max(start, position), token.start())
        kind = token.lastgroup
        position = token.end()
        if kind == "end":
            close(token.start())
            start, first = position, None
            continue
        if kind == "block":
            position = _block_end(sql, position)
        elif kind == "dollar":
            closing = sql.find(token.group(), position)
            position = len(sql) if closing < 0 else closing + len(token.group())
        if kind not in ("line", "block") and first is None:
            first = token.start()
    if first is None:
        first = first_word(max(start, position), len(sql))
    close(len(sql))
    return found


def _block_end(sql: str, position: int) -> int:
    """The end of a block comment, which may hold others."""
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(sql, position)) is not None:
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return len(sql) if depth else position
