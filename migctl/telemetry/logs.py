"""Structured logs: one JSON object a line on stderr. A line that speaks of an event carries its id or seq.

Library code asks for a logger and logs. Until an edge calls `configure`, lines go to the standard library's logger `migctl.ROOM`,
where nothing is printed unless the application wants it; nobody else's configuration is touched. Afterwards they go to a queue and
from there to the stream, together with what other libraries log. No line holds a secret, and to log never blocks and never fails.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

from migctl import printable, redaction
from migctl.telemetry.lines import Lines, descriptor_writer

Level = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[Level, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# How long an end waits for a stream that takes nothing.
FLUSH_S = 1.0

Fields = MutableMapping[str, Any]  # as structlog's processors have it
Trace = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None

logging.getLogger("migctl").addHandler(logging.NullHandler())


class Logger:
    """Says which room speaks: `log.info("batch written", first=1, last=50)`."""

    __slots__ = ("_library", "_room")

    def __init__(self, room: str) -> None:
        self._room = room
        self._library = logging.getLogger(f"migctl.{room}")

    def debug(self, event: str, **fields: object) -> None:
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._log(logging.ERROR, event, fields)

    def log(self, level: int, event: str, **fields: object) -> None:
        """level: of `logging`, where a rule says how loud it is."""
        self._log(level, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """With the trace of the exception that is being handled."""
        self._log(logging.ERROR, event, fields, sys.exc_info())

    def _log(self, level: int, event: str, fields: Mapping[str, object], trace: Trace = None) -> None:
        edge = _edge
        if edge is not None:
            if level >= edge.level:
                edge.put(level, self._room, event, fields, trace)
        elif self._library.isEnabledFor(level):
            text = " ".join([event, *[f"{name}={value!r}" for name, value in fields.items()]])
            self._library.log(level, "%s", printable.shown(redaction.redact(text)), exc_info=trace)


def get_logger(room: str) -> Logger:
    return Logger(room)


def configure(*, level: Level = "info", stream: TextIO | None = None, pretty: bool = False) -> None:
    """For a program, not for a library: send its logs to `stream` (default stderr) from `level` on.

    What other libraries log comes too, from warning on. pretty: for a terminal, instead of JSON.
    """
    global _edge  # noqa: PLW0603 - a process has one log
    before = _edge
    to = stream if stream is not None else sys.stderr
    _edge = _Edge(_LEVELS[level], to, _pretty(to) if pretty else _json())
    root = logging.getLogger()
    if before is None:
        atexit.register(flush)
    else:
        before.lines.flush(FLUSH_S)
        root.removeHandler(before.foreign)
    root.addHandler(_edge.foreign)


def set_level(level: Level) -> None:
    """From now on. Nothing where this process has no log of its own."""
    if _edge is not None:
        _edge.level = _LEVELS[level]
        _edge.foreign.setLevel(max(_edge.level, logging.WARNING))


def lost_lines() -> int:
    """How many lines of this process could not be written."""
    return _edge.lines.lost if _edge is not None else 0


def flush(within_s: float = FLUSH_S) -> None:
    """Wait until what was logged is written, but no longer than this."""
    if _edge is not None:
        _edge.lines.flush(within_s)


def remark(text: str, *, drawn: bool = False) -> None:
    """Text for the operator on stderr, among the log's lines where there is a log. Never fails; blocks only where there is none.

    drawn: with colours of ours in it; else whatever is no text is written out.
    """
    text = redaction.redact(text)
    if not drawn:
        text = printable.shown(text)
    if _edge is not None and _edge.is_stderr:
        _edge.lines.put(text)
    elif sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


class _Edge:
    """Where the lines of this process go."""

    def __init__(self, level: int, stream: TextIO | None, render: Callable[[Fields], str]) -> None:
        self.level = level
        self.is_stderr = stream is sys.stderr
        self.lines = Lines(_writer(stream), self._notice)
        self.foreign = _Foreign(self)
        self._render = render

    def put(
        self, level: int, room: str, event: str, fields: Mapping[str, object], trace: Trace = None
    ) -> None:
        try:
            line = self._line(level, room, event, fields, trace)
        except Exception as error:  # noqa: BLE001 - whatever the repr of a value does, who logs goes on
            line = self._line(level, room, event, {"unreadable": type(error).__name__})
        self.lines.put(line)

    def _line(
        self, level: int, room: str, event: str, fields: Mapping[str, object], trace: Trace = None
    ) -> str:
        line: dict[str, object] = {
            "room": room,
            **{name: redaction.redacted(value) for name, value in fields.items()},
            "event": redaction.redact(event),
            "level": logging.getLevelName(level).lower(),
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        if trace:
            line["exc_info"] = trace
        return self._render(line)

    def _notice(self, count: int) -> str:
        return self._line(
            logging.WARNING, "log", "lines could not be written, and are lost", {"lines": count}
        )


class _Foreign(logging.Handler):
    """What other libraries log through the standard library."""

    def __init__(self, edge: _Edge) -> None:
        super().__init__(max(edge.level, logging.WARNING))
        self._edge = edge

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._edge.put(record.levelno, record.name, record.getMessage(), {}, record.exc_info)
        except (TypeError, ValueError):  # a library that formats its own message wrongly
            self._edge.put(record.levelno, record.name, str(record.msg), {})


def _json() -> Callable[[Fields], str]:
    from structlog.processors import JSONRenderer, format_exc_info

    render = JSONRenderer()

    def line(fields: Fields) -> str:
        traced = format_exc_info(None, "", fields)
        if "exception" in traced:
            traced["exception"] = redaction.redact(str(traced["exception"]))
        return printable.shown_json(str(render(None, "", traced)))

    return line


def _pretty(stream: TextIO | None) -> Callable[[Fields], str]:
    from structlog.dev import ConsoleRenderer, plain_traceback

    def format_trace(to: TextIO, trace: Any) -> None:
        written = io.StringIO()
        plain_traceback(written, trace)
        to.write(printable.shown(written.getvalue()))

    render = ConsoleRenderer(colors=stream is not None and stream.isatty(), exception_formatter=format_trace)

    def line(fields: Fields) -> str:
        texts = {name: value if name == "exc_info" else _shown(value) for name, value in fields.items()}
        return redaction.redact(str(render(None, "", texts)))

    return line


def _shown(value: object) -> object:
    """Of what was redacted: texts, and what is made of them."""
    if isinstance(value, str):
        return printable.shown_line(value)
    if isinstance(value, Mapping):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list) else value


def _writer(stream: TextIO | None) -> Callable[[bytes], int]:
    """To the descriptor below the stream where it has one: Python's buffer would keep what could not be written."""
    if stream is None:  # a process that was started with stderr closed
        return _nowhere
    try:
        return descriptor_writer(stream.fileno())
    except (OSError, ValueError):
        pass

    def write(data: bytes) -> int:
        stream.write(data.decode())
        stream.flush()
        return len(data)

    return write


def _nowhere(_: bytes) -> int:
    raise OSError("there is no stream to write to")


_edge: _Edge | None = None
