"""A rehearsal: stack, `serve` and a subscriber for each transport, all real, each in a process of its own, in a folder of its own.

Whatever happens, nothing is left running: every process dies with this one. The captures, the journal's export and the logs stay
in `out`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from migctl.clock import mono
from migctl.config import Mode, Target
from migctl.config.files import make_private_folder, whole_file, write_whole
from migctl.errors import MigctlError, Refused, Transient, Usage
from migctl.events import Position
from migctl.events.codec import encode_entry
from migctl.events.jsontext import dumps
from migctl.ingest.losses import lost_before
from migctl.runtime.journals import read_file
from migctl.serve_client import NotRunning, ServeHttp
from migctl.serve_client.status import status_by
from migctl.stack import EmbeddedStack
from migctl.stack.keys import Kind
from migctl.stack.launcher import Child, any_free_port, launch
from migctl.stack.standin_process import StandinOptions
from migctl.status import ServeStatus
from migctl.status.losses import SourceLosses
from migctl.transports.protocol import TransportName
from migctl.validate.inputs import BEFORE_NAME
from migctl.validate.result import Report

READY_S = 30.0
SETTLE_S = 30.0
POLL_S = 0.1
ANSWERS_WITHIN_S = 10.0
# Well below what the stand-in allows by default, well above what a rehearsal sends.
STACK_MESSAGES_PER_SECOND = "500"

_OURS = ("MIGCTL_", "SUPABASE_", "DATABASE_URL", "REDIS_URL")


def transports_of(mode: Mode) -> tuple[TransportName, ...]:
    """The transports of a mode, in the order in which they are shown."""
    if mode == "dual":
        return ("websocket", "realtime")
    return (mode,)


def _is_ready(capture: Child) -> bool:
    return "ready:" in capture.log_tail(lines=50)


@dataclass(slots=True)
class Progress:
    """How far it is: counts of events. `table` is None where the mode has no table."""

    published: int = 0
    table: int | None = None
    received: dict[TransportName, int] = field(default_factory=dict)


class Rehearsal:
    """`async with Rehearsal(...) as it: await it.start(); ...; await it.finish()`. In the main thread."""

    def __init__(
        self,
        out: Path,
        *,
        mode: Mode,
        target: Target | None = None,
        journal: Path | None = None,
        source: Sequence[str] = (),
        schema: str = "public",
        config: Path | None = None,
        keys: Kind = "old",
        notify: Callable[[str], None],
    ) -> None:
        """out: a folder that is not there or empty; target: None for a stack of its own; source: options of `serve`.
        keys: which the stack of its own has.

        journal: of the target, which knows its writer by it; None for one of its own, that ends with the rehearsal.
        schema: of the tables. config: the file of settings that its parts read; None for the one that is found here, if any.

        Raises Refused where `out` has something in it.
        """
        self.out = out.absolute()
        self.mode = mode
        self.transports = transports_of(mode)
        self.stack: EmbeddedStack | None = None
        self.url = ""
        self._target = target
        self._journal = journal
        self._before = Position("", 0)
        self._source = source
        self._schema = schema
        self._config = config
        self._keys: Kind = keys
        self._notify = notify
        self._work = Path()
        self._serve: Child | None = None
        self._captures: dict[TransportName, Child] = {}
        self._counted: dict[TransportName, tuple[int, int]] = {}
        self._http: ServeHttp | None = None
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise Refused(
                f"{out}: is there already, and is not an empty folder", do="name another with --out"
            )

    async def __aenter__(self) -> Self:
        try:
            if not self.out.exists():
                make_private_folder(self.out)
            make_private_folder(self.out / "logs")
        except OSError as error:
            raise Usage(
                f"{self.out}: {error.strerror}", do="name a folder that can be made with --out"
            ) from None
        self._work = Path(tempfile.mkdtemp(prefix="migctl-"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in (*self._captures.values(), self._serve):
            if child is not None:
                child.stop(signal.SIGKILL, 5.0)
        if self.stack is not None:
            self.stack.discard()
        if self._http is not None:
            await self._http.aclose()
        shutil.rmtree(self._work, ignore_errors=True)

    async def start(self) -> None:
        """Bring everything up: stack, schema, serve, subscribers; the source begins with `begin`."""
        from migctl import schema

        if self._target is None and self.mode != "websocket":
            self._notify("starting PostgreSQL, Valkey and a stand-in for Supabase")
            options = StandinOptions().with_schemas([self._schema])
            self.stack = EmbeddedStack(self._work / "stack", standin=options, keys=self._keys)
            self._target = self.stack.start()
            self._notify("applying the schema")
            await schema.apply(self._target.need("database_url"), self._schema, who="rehearsal")
        self._notify(f"starting serve in mode {self.mode}")
        gate = ["--gate"] if self._source else []
        # The port is chosen here, so that subscribers start up beside serve rather than after it; they wait for it.
        self.url = f"http://127.0.0.1:{any_free_port()}"
        self._http = ServeHttp(self.url, timeout_s=ANSWERS_WITHIN_S, explain=self._unanswered)
        listen = self.url.removeprefix("http://")
        self._serve = self._launch(
            "serve", ["serve", "--mode", self.mode, "--listen", listen, *self._source, *gate]
        )
        for name in self.transports:
            self._notify(f"subscribing over {name}")
            where = ["--url", self.url]
            self._captures[name] = self._launch(
                f"capture-{name}",
                ["capture", "--transport", name, "--out", str(self.out), "--wait", f"{READY_S:.0f}", *where],
            )
        await self._wait((self._work / "serve" / "serve.json").exists, "serve", self._serve)
        for name, child in self._captures.items():
            await self._wait(partial(_is_ready, child), f"the {name} subscriber", child)
        journal = (await self.status()).journal
        self._before = Position(journal.epoch, journal.head)

    @property
    def _journal_path(self) -> Path:
        return self._journal or self._work / "serve" / "journal.db"

    def _launch(self, name: str, arguments: list[str]) -> Child:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        environ["MIGCTL_STATE_DIR"] = str(self._work / name)
        environ["MIGCTL_WITNESS"] = "off"  # its captures are the witnesses
        # Named to all of them: a file of settings has those of the operator's own `serve`.
        environ["MIGCTL_JOURNAL"] = str(self._journal_path.absolute())
        environ["MIGCTL_SCHEMA"] = self._schema
        if self._target is not None:
            environ.update(dataclasses.replace(self._target, redis_url=None).variables())
        if self.stack is not None:
            environ["MIGCTL_MESSAGES_PER_SECOND"] = STACK_MESSAGES_PER_SECOND
        config = ["--config", str(self._config.absolute())] if self._config is not None else []
        program = [sys.executable, "-m", "migctl", *arguments, *config]
        return launch(program, log=self.out / "logs" / f"{name}.log", death=signal.SIGTERM, environ=environ)

    async def _wait(self, condition: Callable[[], bool], what: str, child: Child) -> None:
        deadline = mono() + READY_S
        while not condition():
            if not child.alive:
                raise Transient(
                    f"{what} ended with exit code {child.exit_code}:\n{child.log_tail()}",
                    do=f"see {child.log}",
                )
            if mono() > deadline:
                raise Transient(
                    f"{what} is not ready after {READY_S:.0f} s:\n{child.log_tail()}", do=f"see {child.log}"
                )
            await asyncio.sleep(POLL_S)

    def begin(self) -> None:
        """Let the source of `serve` begin."""
        assert self._serve is not None
        self._serve.send(signal.SIGUSR1)

    def end(self) -> None:
        """Let the source of `serve` end."""
        assert self._serve is not None
        self._serve.send(signal.SIGUSR2)

    async def publish(self, lines: bytes) -> None:
        """POST /events with NDJSON. Raises Transient where serve doesn't take it, Usage where it refuses an event."""
        answer = await self._asked().post("/events", lines, {"Content-Type": "application/x-ndjson"})
        if answer.status in (409, 422):
            raise Usage(
                f"serve refuses an event: {answer.words()}", do="mend the recording, or leave the event out"
            )
        if answer.status != 201:
            raise Transient(f"serve: {answer.words()}", do=f"see {self._serve_log}")

    async def status(self) -> ServeStatus:
        """What serve says of itself. Raises Transient where it does not answer."""
        return (await status_by(self._asked())).status

    def _asked(self) -> ServeHttp:
        if self._http is None:
            raise RuntimeError("start() comes first")
        return self._http

    def _unanswered(self, error: Exception) -> NotRunning:
        return NotRunning(
            f"serve does not answer: {error or type(error).__name__}", do=f"see {self._serve_log}"
        )

    @property
    def _serve_log(self) -> Path:
        return self.out / "logs" / "serve.log"

    async def progress(self) -> Progress:
        """Counts as they are now. Raises Transient where a process of the rehearsal has died."""
        self._all_alive()
        status = await self.status()
        relay = status.relay
        return Progress(
            published=status.journal.head - self._before.seq,
            table=max(relay.table_head - self._before.seq, 0) if relay else None,
            received={name: self._lines(name) for name in self.transports},
        )

    def _all_alive(self) -> None:
        children: dict[str, Child | None] = {
            "serve": self._serve,
            **{f"capture-{n}": c for n, c in self._captures.items()},
        }
        for name, child in children.items():
            if child is not None and not child.alive:
                raise Transient(
                    f"{name} ended with exit code {child.exit_code}:\n{child.log_tail()}",
                    do=f"see {child.log}",
                )

    def _lines(self, name: TransportName) -> int:
        """Lines of a capture so far; reads only what is new."""
        offset, count = self._counted.get(name, (0, 0))
        path = self.out / f"{name}.ndjson"
        if path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                while block := file.read(1 << 20):
                    offset += len(block)
                    count += block.count(b"\n")
        self._counted[name] = (offset, count)
        return count

    async def settle(self, watch: Callable[[Progress], None]) -> bool:
        """Wait until the source is done and everything published is in the table and with each subscriber.

        Returns False where that did not happen in time; the report then says what is missing.
        """
        deadline = mono() + SETTLE_S
        while mono() < deadline:
            done = (await self.status()).source_done or not self._source
            now = await self.progress()
            watch(now)
            counts = [*now.received.values(), *([now.table] if now.table is not None else [])]
            if done and all(count >= now.published for count in counts):
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def finish(self, beside: SourceLosses | None = None) -> Path:
        """End subscribers, serve and stack, in this order; write the journal's export, and what was lost before it. Returns `out`.

        beside: what was lost on the way to serve.
        """
        for child in self._captures.values():
            child.send(signal.SIGTERM)
        for name, child in self._captures.items():
            await self._ended(
                child, f"the {name} subscriber", also=1
            )  # not complete: its summary says so, and the report reads that
        assert self._serve is not None
        self._serve.send(signal.SIGTERM)
        await self._ended(self._serve, "serve")
        if self.stack is not None:
            self.stack.stop()
        with whole_file(self.out / "journal.ndjson", durable=False) as part, part.open("wb") as file:
            for entry in read_file(self._journal_path):
                if entry.epoch == self._before.epoch and entry.seq > self._before.seq:
                    file.write(encode_entry(entry) + b"\n")
        lost = lost_before(self._work / "serve", None, None) or SourceLosses()
        if beside is not None:
            lost = replace(
                lost,
                rejected=lost.rejected + beside.rejected,
                unmapped_fields=lost.unmapped_fields + beside.unmapped_fields,
            )
        write_whole(self.out / BEFORE_NAME, dumps(lost), durable=False)
        return self.out

    async def _ended(self, child: Child, what: str, *, also: int = 0) -> None:
        """also: an exit code that is no failure."""
        deadline = mono() + SETTLE_S
        while child.alive:
            if mono() > deadline:
                raise Transient(f"{what} does not end:\n{child.log_tail()}", do=f"see {child.log}")
            await asyncio.sleep(POLL_S / 2)
        if child.exit_code not in (0, also):
            raise MigctlError(
                f"{what} ended with exit code {child.exit_code}:\n{child.log_tail()}", do=f"see {child.log}"
            )


async def compare(out: Path, transports: tuple[TransportName, ...]) -> Report:
    """The consistency report of a finished rehearsal, from the files in `out`; it is kept there as report.json."""
    from migctl.validate import report

    captures: dict[str, Path] = {name: out / f"{name}.ndjson" for name in transports}
    made = await asyncio.to_thread(
        report, journal=out / "journal.ndjson", captures=captures, window="journal"
    )
    write_whole(out / "report.json", made.text())
    return made
