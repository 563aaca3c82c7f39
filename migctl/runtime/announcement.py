"""`serve.json` in the state folder, for as long as the process serves: who listens where."""

from __future__ import annotations

import json
import os
from pathlib import Path

from migctl.clock import now
from migctl.config import Mode
from migctl.config.files import make_private_folder, write_whole
from migctl.events import format_time

NAME = "serve.json"


class Announcement:
    """folder: the state folder."""

    def __init__(self, folder: Path, *, url: str, mode: Mode) -> None:
        self._path = folder / NAME
        self._url = url
        self._mode = mode

    def __enter__(self) -> None:
        document = {
            "schema": "migctl.serve/1",
            "pid": os.getpid(),
            "url": self._url,
            "mode": self._mode,
            "started_at": format_time(now()),
        }
        make_private_folder(self._path.parent)
        write_whole(self._path, json.dumps(document, indent=2) + "\n")

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
