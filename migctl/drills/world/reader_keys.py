"""Keys of readers: what a reader of the project signs its tokens with, and reaches it by. A file that may change while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from migctl.config import Target
from migctl.config.files import write_whole
from migctl.config.roles import AUTHENTICATED
from migctl.target.signing import need_signer


class ReaderKeys(msgspec.Struct, frozen=True):
    """In a drill's folder. No key is in its repr."""

    anon_key: str
    jwt_secret: str | None = None
    signing_key: str | None = None

    def __repr__(self) -> str:
        return "ReaderKeys(...)"

    @classmethod
    def of(cls, target: Target) -> Self:
        return cls(target.need("anon_key"), target.jwt_secret, target.signing_key)

    def mint(self, ttl_s: float) -> str:
        """A token of role authenticated that ends after so many seconds. Raises Usage for keys that can't sign."""
        target = Target("", jwt_secret=self.jwt_secret, signing_key=self.signing_key)
        return need_signer(target).mint(AUTHENTICATED, ttl_s).text

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises OSError, ValueError: who started us has written it."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        """Whole or not at all, for the owner alone. Raises OSError."""
        write_whole(path, msgspec.json.encode(self))
