"""Keys of readers: what a reader of the project signs its tokens with, and reaches it by. A file that may change while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from migctl.config.files import write_whole


class ReaderKeys(msgspec.Struct, frozen=True):
    """In a drill's folder. No key is in its repr."""

    anon_key: str
    jwt_secret: str

    def __repr__(self) -> str:
        return "ReaderKeys(...)"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises OSError, ValueError: who started us has written it."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        """Whole or not at all, for the owner alone. Raises OSError."""
        write_whole(path, msgspec.json.encode(self))
