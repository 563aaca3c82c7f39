"""Following: the flags of one process on a thread of its own, so that who evaluates neither waits nor needs an event loop.

The thread runs a `FlagService` as `serve` does, with record, Redis and disk. Its process is not listed in the record: it has no
address where it could be handed a brake, so nobody waits for it to confirm one. It hears of brakes as it hears of anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from migctl.config import Settings, Target, flag
from migctl.config.assets import config_file
from migctl.config.files import make_private_folder, open_own
from migctl.errors import Usage
from migctl.experiments.document import read_experiments
from migctl.experiments.keeping import Keeping
from migctl.flags.assignment import Assignments
from migctl.flags.service import FlagService
from migctl.resilience import within
from migctl.runtime.flags import EXPERIMENTS_FILE, TRANSPORT, make_flags
from migctl.server.routes.assignment import kill_switch
from migctl.telemetry import get_logger

# How often it looks whether the record is away: changes wake it.
WATCH_EVERY_S = 0.5
MOST_FOLDERS = 1000

log = get_logger("openfeature")


class Following:
    """changed: called in the thread with what held, what holds, and whether the record is away, whenever one of them changed."""

    def __init__(
        self,
        settings: Settings,
        target: Target | None,
        folder: Path,
        changed: Callable[[Assignments, Assignments, bool], None],
    ) -> None:
        """Raises Usage for a kill switch that is no transport."""
        self._override = kill_switch("dual", flag(TRANSPORT.flag))
        self._settings = settings
        self._target = target
        self._folder = folder
        self._on_change = changed
        self._begun: Future[FlagService] = Future()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="migctl-flags", daemon=True)

    def begin(self) -> FlagService:
        """Once the disk was read and the record was asked, for no longer than a moment. Raises MigctlError."""
        self._thread.start()
        return self._begun.result()

    def end(self) -> None:
        """Returns when the thread has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            with own_folder(self._folder) as folder:
                asyncio.run(self._follow(folder))
        except BaseException as error:  # it belongs to whoever waits for the beginning
            if not self._begun.done():
                self._begun.set_exception(error)
            else:
                log.exception("flags are followed no more: what was held last holds")

    async def _follow(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        settings = self._settings.model_copy(update={"state_dir": str(folder)})
        async with AsyncExitStack() as stack:
            service = make_flags(
                settings, "dual", self._target, override=self._override, stack=stack, listed=False
            )
            await service.begin()
            keeping = Keeping(settings.state, read_experiments(config_file(EXPERIMENTS_FILE)))
            if keeping.is_on:
                await asyncio.to_thread(keeping.begin)
                service.keep_variants(keeping)
            began = service.assignments
            self._begun.set_result(service)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(service.run(), name="flags"),
                    group.create_task(self._watch(service, began), name="flags-watched"),
                    group.create_task(keeping.run(), name="kept"),
                ]
                await self._stop.wait()
                for task in tasks:
                    task.cancel()
            await keeping.end()

    async def _watch(self, service: FlagService, before: Assignments) -> None:
        was_away = False
        while True:
            # First the wait: the SDK says READY of its own once the beginning has returned. Nothing is missed: each round compares.
            await within(WATCH_EVERY_S, service.changed.wait())
            now, away = service.assignments, is_away(service)
            if now is not before or away != was_away:
                self._on_change(before, now, away)
                before, was_away = now, away


def is_away(service: FlagService) -> bool:
    """Nobody says now whether what is held is what the record says."""
    tiers = service.status().tiers
    return any(tiers[name].state != "running" for name in ("record", "file") if name in tiers)


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The first of `folder`/0, `folder`/1, ... that no other process has, for as long as the block lasts.

    Two in one would overwrite each other's brakes; a restart gets what it kept. Raises Usage.
    """
    with ExitStack() as stack:
        for number in range(MOST_FOLDERS):
            own = folder / str(number)
            try:
                make_private_folder(own)
                file = stack.enter_context(
                    os.fdopen(open_own(own / "lock", os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")
                )
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Usage(f"{own}: {os.strerror(error.errno or 0)}", do="make it writable") from None
            yield own
            return
        raise Usage(
            f"{folder}: {MOST_FOLDERS} processes have one each", do="give this application another folder"
        )
