"""Rekeying: keys and tokens of a running `serve`, read again at SIGHUP, and where a file that `NAME_FILE` names has changed.

What can't be used is said, and what was there before goes on. The environment itself never changes under a process: what stands in
variables is of the start.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from migctl.config import Settings, Target, from_environment, secret
from migctl.config.showing import SECRETS
from migctl.errors import MigctlError, Refused
from migctl.server.access.held import HeldTokens
from migctl.server.access.tokens import parse_tokens
from migctl.target.authenticated import authenticated_of
from migctl.telemetry import get_logger

EVERY_S = 1.0

log = get_logger("keys")

Print = tuple[tuple[str, object], ...]


class Rekeying:
    """`run` until cancelled. target: None in mode websocket. changed: is told which variables of the target have another value."""

    def __init__(
        self,
        settings: Settings,
        target: Target | None,
        tokens: HeldTokens,
        *,
        changed: Callable[[tuple[str, ...]], None] = lambda _: None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._target = target
        self._tokens = tokens
        self._changed = changed
        self._environ = environ
        self._asked = asyncio.Event()
        self._files = self._fingerprint()

    def ask(self) -> None:
        """Read all of them again, changed or not."""
        self._asked.set()

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._asked.wait()
            except TimeoutError:
                pass
            files = await asyncio.to_thread(self._fingerprint)
            if self._asked.is_set() or files != self._files:
                self._asked.clear()
                self._files = files
                self.read()

    def read(self) -> None:
        """Each kind apart: a list of tokens that can't be used keeps no key out."""
        for kind, take in (("keys", self._take_keys), ("tokens", self._take_tokens)):
            try:
                take()
            except MigctlError as error:
                log.error(f"{kind} not replaced: those from before go on", reason=error.what, do=error.do)

    def _take_keys(self) -> None:
        target = self._target
        if target is None or target.embedded:
            return
        found = from_environment(self._settings, self._environ)
        if found is None:
            return
        found.need("service_role_key")
        authenticated_of(found, self._settings)
        names = target.take(found)
        if names:
            log.warning("keys replaced", keys=list(names))
            self._changed(names)

    def _take_tokens(self) -> None:
        text = secret("MIGCTL_TOKENS", self._environ)
        if text is None:
            if self._tokens.listed:
                raise Refused(
                    "MIGCTL_TOKENS is not set any more", do="start serve again for it to ask for no token"
                )
            return
        added, gone = self._tokens.take(parse_tokens(text))
        if added or gone:
            log.warning("tokens replaced", added=added, gone=gone)

    def _fingerprint(self) -> Print:
        """Of each file: what another one at the same place would not have. Links are followed: a mounted secret is one."""
        found: list[tuple[str, object]] = []
        for name in SECRETS:
            path = self._environ.get(f"{name}_FILE")
            if path and not self._environ.get(name):
                try:
                    of = Path(path).stat()
                    found.append((name, (of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns)))
                except (OSError, ValueError):
                    found.append((name, None))
        return tuple(found)
