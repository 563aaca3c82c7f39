"""`serve.json` in the state folder, for as long as the process serves: who listens where."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from migctl.clock import now
from migctl.config import Mode
from migctl.config.files import make_private_folder, write_whole
from migctl.events import format_time
from migctl.serve_client.control import ANNOUNCEMENT, Announced
from migctl.telemetry import get_logger

log = get_logger("serve")


class Announcement:
    """folder: the state folder."""

    def __init__(self, folder: Path, *, url: str, mode: Mode) -> None:
        self._path = folder / ANNOUNCEMENT
        self._url = url
        self._mode = mode

    def __enter__(self) -> None:
        announced = Announced(pid=os.getpid(), url=self._url, mode=self._mode, started_at=format_time(now()))
        try:
            make_private_folder(self._path.parent)
            write_whole(self._path, msgspec.json.format(msgspec.json.encode(announced), indent=2) + b"\n")
        except OSError as error:
            # Commands that look here can be given --url; whoever is served needs no file.
            log.warning(
                "not announced",
                file=str(self._path),
                error=error.strerror,
                do=f"give commands --url {self._url}; look at the disk",
            )

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
