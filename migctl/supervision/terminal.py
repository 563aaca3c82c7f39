"""Terminal: whether SIGHUP means that the terminal is gone, or that somebody asks for keys to be read again."""

from __future__ import annotations

import os
import termios
from collections.abc import Sequence


class Terminal:
    """The one that this process was started at, if any. descriptors: where it may be."""

    def __init__(self, descriptors: Sequence[int] = (0, 1, 2)) -> None:
        self._descriptors = [one for one in descriptors if _is_terminal(one)]

    def is_gone(self) -> bool:
        """True once it has hung up; False for who never had one."""
        return any(not _is_terminal(one) for one in self._descriptors)


def _is_terminal(descriptor: int) -> bool:
    try:
        termios.tcgetattr(descriptor)
    except (termios.error, OSError):
        return False
    return os.isatty(descriptor)
