"""Logs (structured, JSON lines on stderr) and metrics."""

from migctl.telemetry.logs import Logger, configure, flush, get_logger, lost_lines, remark, set_level

__all__ = ["Logger", "configure", "flush", "get_logger", "lost_lines", "remark", "set_level"]
