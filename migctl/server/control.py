"""The control socket's listening end: `serve.sock` in the state folder, HTTP for whoever may open the file: its owner alone."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migctl.config.files import make_state_folder
from migctl.errors import Refused, Usage
from migctl.serve_client.control import SOCKET, near


@contextmanager
def bound(folder: Path) -> Iterator[socket.socket]:
    """The listening end, for as long as the block lasts. Raises Refused where another `serve` answers there already."""
    make_state_folder(folder)
    with near(folder) as path:
        _clear(path, folder)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Before it has a name: nobody can come in between.
            os.fchmod(listening.fileno(), 0o600)
            listening.bind(path)
            ours = Path(path).stat().st_ino
        except BaseException:
            listening.close()
            raise
        listening.setblocking(False)
    try:
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(OSError):
            if (folder / SOCKET).stat().st_ino == ours:
                (folder / SOCKET).unlink()


def _clear(path: str, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise Usage(
                    f"{folder / SOCKET}: {error.strerror}",
                    do="remove it, or name another folder: MIGCTL_STATE_DIR",
                ) from None
            Path(path).unlink(missing_ok=True)  # left behind by a process that was killed
            return
    raise Refused(
        f"another serve uses {folder}", do="stop it, or name another folder for this one: MIGCTL_STATE_DIR"
    )
