"""Token command: access tokens for subscribers from a program of the operator's.

The program prints a token. Nothing that it prints is logged or told, not even what it says of its own failure: that may hold the
token too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migctl.config.roles import AUTHENTICATED
from migctl.errors import Transient, Usage
from migctl.target.minted import Minted
from migctl.target.renewed import Renewed, usable

if TYPE_CHECKING:
    from migctl.config import Settings

# What a pipe holds: a program that prints more waits for a reader that only comes when it has ended.
MAX_BYTES = 64 << 10


class TokenCommand(Renewed):
    """Runs `words` when a token is needed, once at a time, and keeps its token for 80 % of what was left of its life.

    timeout_s: how long a run may take.
    """

    name = "realtime.token_command"

    def __init__(self, words: Sequence[str], *, timeout_s: float) -> None:
        super().__init__()
        self._words = tuple(words)
        self._timeout_s = timeout_s

    async def _obtain(self) -> Minted:
        return self._read(await self._run())

    async def _run(self) -> bytes:
        # Read only when it has ended: a pipe holds more than any token, and a program that fills it waits until its time is over.
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(writing, True)
        with os.fdopen(reading, "rb", buffering=0) as printed:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=writing,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                raise self._failed(f"can't be run: {error.strerror or error}") from None
            finally:
                os.close(writing)
            try:
                async with asyncio.timeout(self._timeout_s):
                    code = await process.wait()
            except TimeoutError:
                raise self._failed(f"gave no answer in {self._timeout_s:g} s") from None
            finally:
                # Also what it has started itself.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            if code != 0:
                raise self._failed(f"ended with exit code {code}")
            return printed.read(MAX_BYTES) or b""

    def _read(self, printed: bytes) -> Minted:
        text = printed.decode("ascii", "replace").strip()
        found = usable(text)
        if isinstance(found, str):
            raise self._failed(f"printed {found}")
        return found

    def _failed(self, how: str) -> Transient:
        return Transient(
            f"realtime.token_command {how}",
            do=f"run it as the user of serve and see what it says; it must print a JWT of role {AUTHENTICATED} that has an exp",
        )


def token_command_of(settings: Settings) -> TokenCommand | None:
    """None where the settings have none. Raises Usage for what is no command line."""
    line = settings.realtime.token_command
    if line is None:
        return None
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise Usage(
            f"realtime.token_command: {error}", do="write it as in a shell, with quotes that end"
        ) from None
    if not words:
        raise Usage("realtime.token_command is empty", do="write a command, or take the key out")
    return TokenCommand(words, timeout_s=settings.realtime.token_timeout_s)
