"""Structured logs: one JSON object a line on stderr or in a file. A line that speaks of an event carries its id or seq.

Library code asks for a logger and logs; nothing is printed until an edge calls `configure`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(*, level: str = "info", stream: TextIO | None = None, pretty: bool = False) -> None:
    """Send logs to `stream` (default stderr) from `level` (debug, info, warning, error) on.

    pretty: for a terminal, instead of JSON.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty())]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


# Until then: structlog's own default would print to stdout, where results go. A service that configured
# it for itself keeps what it has.
if not structlog.is_configured():
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(room: str) -> Any:
    """A logger that says which room speaks: `log.info("batch written", first=1, last=50)`."""
    return structlog.get_logger(room=room)
