"""Logs (structured, JSON lines on stderr or in a file) and, later, metrics."""

from migctl.telemetry.logs import configure, get_logger

__all__ = ["configure", "get_logger"]
