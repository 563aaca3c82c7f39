"""Requests of HTTP/1.1 on their way upstream, each given another Host: who stands behind a name is asked by that name. Pure.

Nothing else of them is changed. What is no such request, and what follows an upgrade, passes as it is.
"""

from __future__ import annotations

import re
from typing import Literal

# No server that we ask takes a longer head.
MOST_HEAD_BYTES = 256 << 10

_HOST = re.compile(rb"(?im)^host:[^\r\n]*")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:[^\r\n]*\bchunked\b")
_UPGRADE = re.compile(rb"(?im)^upgrade:[^\r\n]*\S")
_REQUEST = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]\r?\n")
_SIZE = re.compile(rb"[0-9A-Fa-f]+")

_At = Literal["head", "body", "size", "trailer", "raw"]


class Requests:
    """Of one connection. host: HOST or HOST:PORT, as a header has it."""

    def __init__(self, host: str) -> None:
        self._line = b"Host: " + host.encode("ascii")
        self._at: _At = "head"
        self._kept = b""  # of a head, or of a line of a chunk, that has not come whole
        self._left = 0  # of a body, or of a chunk with its end
        self._chunked = False

    def feed(self, data: bytes) -> bytes:
        """What goes on of what came so far; a head that is not whole is kept back."""
        out: list[bytes] = []
        rest = self._kept + data
        self._kept = b""
        while rest and self._at != "raw":
            before = len(rest)
            rest = self._step(rest, out)
            if len(rest) == before:  # it waits for more, or wants nothing any more
                break
        if self._at == "raw":
            out.append(rest)
        else:
            self._kept = rest
        return b"".join(out)

    def end(self) -> bytes:
        """The client is done: what was kept back goes on as it is."""
        kept, self._kept = self._kept, b""
        return kept

    def _step(self, rest: bytes, out: list[bytes]) -> bytes:
        match self._at:
            case "head":
                return self._head(rest, out)
            case "body":
                out.append(rest[: self._left])
                rest, self._left = rest[self._left :], max(0, self._left - len(rest))
                if not self._left:
                    self._at = "size" if self._chunked else "head"
                return rest
            case _:
                return self._line_of_chunks(rest, out)

    def _head(self, rest: bytes, out: list[bytes]) -> bytes:
        end = rest.find(b"\r\n\r\n")
        if end < 0:
            if len(rest) > MOST_HEAD_BYTES:
                self._at = "raw"
            return rest
        head, rest = rest[: end + 4], rest[end + 4 :]
        if _REQUEST.match(head) is None:
            self._at = "raw"
            return head + rest
        out.append(_HOST.sub(lambda _: self._line, head))
        length = _LENGTH.search(head)
        self._chunked = _CHUNKED.search(head) is not None
        self._left = int(length[1]) if length is not None and not self._chunked else 0
        if _UPGRADE.search(head) is not None:
            self._at = "raw"
        elif self._chunked:
            self._at = "size"
        elif self._left:
            self._at = "body"
        return rest

    def _line_of_chunks(self, rest: bytes, out: list[bytes]) -> bytes:
        """The size of a chunk, or a line after the last one; an empty one ends the request."""
        end = rest.find(b"\r\n")
        if end < 0:
            return rest
        line, rest = rest[: end + 2], rest[end + 2 :]
        out.append(line)
        if self._at == "trailer":
            self._at = "head" if line == b"\r\n" else "trailer"
            return rest
        size = _SIZE.match(line)
        if size is None:
            self._at = "raw"
        elif int(size[0], 16):
            self._at, self._left = "body", int(size[0], 16) + 2
        else:
            self._at = "trailer"
        return rest
