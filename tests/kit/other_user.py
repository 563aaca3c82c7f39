"""Another user of this machine, who may do what any user may."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

NOBODY = 65534


def as_nobody(attempt: Callable[[], str], *, most: int = 4096) -> str:
    """What `attempt` returns, or the error it ends with, run in a process of user nobody. Where we are not root: as us.

    most: bytes of it.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            said = attempt()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        with os.fdopen(writer, "wb") as out:
            out.write(said.encode("utf-8", "replace")[:most])
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(pid, 0)
    return said
