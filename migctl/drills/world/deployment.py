"""A deployment to be drilled: a stack of its own, lines with faults, `serve`, producers and subscribers, each a process.

Everything is in one folder, on free ports of this machine, and ends with us, however we end. Serve and every subscriber reach the
stack over the line `supabase`; subscribers reach serve over the line `gateway`; producers reach serve directly. In place of
the stack may stand a project of the operator's own: the line begins TLS to it, and `conducting` takes out what was written there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Literal
from urllib.parse import urlsplit

from migctl.config import Settings, Target
from migctl.config.files import PRIVATE_FOLDER
from migctl.drills.world.around import Around, NotReady, Subscriber
from migctl.drills.world.project import Project, Traces, reason_of
from migctl.drills.world.reader_keys import ReaderKeys
from migctl.errors import Refused, Usage
from migctl.faults import ProxyProcess, proxy_process
from migctl.faults.clock import SteppedClock
from migctl.faults.disk import SmallDisk
from migctl.stack import EmbeddedStack
from migctl.stack.launcher import Child, any_free_port
from migctl.stack.process import Process

FOLDER_PREFIX = "migctl-drill-"
_OURS = ("MIGCTL_", "SUPABASE_", "DATABASE_URL", "REDIS_URL")

__all__ = ["Assigned", "Deployment", "Line", "NotReady", "Subscriber", "deployed"]

Line = Literal["supabase", "gateway"]
Assigned = Literal["websocket", "realtime"]


class Deployment(Around):
    """Made by `deployed`.

    direct: the target as the stack, or the project, has it; target: over the line, with the keys that were given out last. flag:
    the kill switch of serve, None: who has what is said by the record. settings: its migctl.yaml. more: of the environment of each
    process, over everything else. without: remedies that are switched off. redis: whether its processes have the stack's Valkey.
    source: a live stream that serve taps; then there is no producer.
    """

    def __init__(
        self,
        folder: Path,
        of: EmbeddedStack | Project,
        supabase: ProxyProcess,
        gateway: ProxyProcess,
        port: int,
        *,
        rtt_s: float = 0.0,
        messages_per_second: float | None = 500.0,
    ) -> None:
        super().__init__(folder, f"http://127.0.0.1:{port}")
        self._of = of
        self.lines: dict[Line, ProxyProcess] = {"supabase": supabase, "gateway": gateway}
        self.rtt_s = rtt_s
        path = urlsplit(of.target.supabase_url).path
        self.target: Target = replace(of.target, supabase_url=supabase.url + path)
        self.epochs: list[str] | None = None  # those that it may have in the project of another
        self.port = port
        self.serve: Child | None = None
        self.producer: Child | None = None
        self.flag: Assigned | None = "realtime"
        self.settings = ""
        self.more: Mapping[str, str] = {}
        self.without: frozenset[str] = frozenset()
        self.redis = False
        self.source: str | None = None
        self.supervised = False  # serve keeps a worker, which it starts again
        self.clock: SteppedClock | None = None  # of serve, where it is to be stepped
        self.disk: SmallDisk | None = None  # of the state of serve, where it is to be full
        self._messages_per_second = messages_per_second

    @property
    def direct(self) -> Target:
        return self._of.target

    @property
    def stack(self) -> EmbeddedStack:
        """Raises NotReady in a project of the operator's own, which has none."""
        if isinstance(self._of, Project):
            raise NotReady(f"{self._of.name} has no parts that a drill could act on")
        return self._of

    @property
    def schema(self) -> str:
        return self._of.schema if isinstance(self._of, Project) else "public"

    @property
    def reason(self) -> str:
        """What a change of flags is given as its reason."""
        return reason_of(self._of.mark if isinstance(self._of, Project) else None)

    @property
    def proxy(self) -> ProxyProcess:
        """The line to Supabase."""
        return self.lines["supabase"]

    @property
    def state(self) -> Path:
        """The state folder of serve."""
        return self.folder / "state"

    @property
    def journal(self) -> Path:
        return self.state / "journal.db"

    @property
    def serve_log(self) -> Path:
        return self.folder / "serve.log"

    @property
    def acknowledged(self) -> Path:
        """What the producer was answered is durable: a line of JSON a request."""
        return self.folder / "acknowledged.ndjson"

    @property
    def no_tokens(self) -> Path:
        """While this file is there no subscriber gets a new access token."""
        return self.folder / "no-tokens"

    @property
    def reader_keys(self) -> Path:
        """What readers sign their tokens with and reach the project by, where they look for it while they run."""
        return self.folder / "reader-keys.json"

    def give_keys(self) -> bool:
        """Whom we start from now on has the project's keys of now, and so has each reader that runs. False where they had them."""
        if self.target.service_role_key == self.direct.service_role_key:
            return False
        self.target = replace(self.direct, supabase_url=self.target.supabase_url)
        if "keys" not in self.without:
            self._write_reader_keys()
        return True

    def _write_reader_keys(self) -> None:
        ReaderKeys.of(self.target).write(self.reader_keys)

    async def begin_journal(self, project: Project) -> Traces:
        """Make the journal of serve before serve does, so that what it will write is known before it is written."""
        from migctl.runtime.journals import open_journal

        state = self.disk.inside if self.disk is not None else self.state
        journal = await open_journal(Settings(state_dir=str(state)), keeping=False)
        try:
            self.epochs = [one.epoch for one in await journal.epochs()]
            return project.traces(journal.writer_id, self.epochs, self.url)
        finally:
            await journal.aclose()

    def start_serve(self, *, log_level: str = "info") -> None:
        """Start it on its port, and return when it answers. Raises NotReady."""
        serve = self.begin_serve(log_level=log_level)
        self.wait(lambda: self.status() is not None, "serve", serve)

    def begin_serve(self, *, log_level: str = "info") -> Child:
        """Start it, and wait for nothing."""
        settings = self.folder / "migctl.yaml"
        settings.write_text(self.settings, encoding="utf-8")
        arguments = ["--config", str(settings), "--mode", "dual", "--listen", f"127.0.0.1:{self.port}"]
        if self.source is not None:
            arguments += ["--source", self.source]
        more = self.clock.environ if self.clock is not None else {}
        program = ["-m", "migctl", "serve", *arguments, "--log-level", log_level]
        if self.supervised:
            program.append("--supervised")
        before = self.disk.entering if self.disk is not None else ()
        self.serve = self.launch("serve", program, more, before=before)
        return self.serve

    def worker(self) -> Process:
        """The process that serves, of a supervised `serve`. Raises NotReady where it does not answer."""
        status = self.status()
        worker = Process.of(status.pid) if status is not None else None
        if worker is None:
            raise NotReady("serve does not answer, so that its worker is not known")
        return worker

    def end_serve(self, within_s: float) -> None:
        """It has ended, and `state` has what it left."""
        if self.serve is not None:
            self.serve.stop(signal.SIGTERM, within_s)
        if self.disk is not None:
            self.disk.bring_out()

    def subscribe(self, name: str, kind: str, *, token_s: float = 3600.0) -> Subscriber:
        """Start a subscriber; `ready` waits for all of them. token_s: life of its access tokens."""
        folder = self.folder / name.replace(":", "-")
        words = ["--kind", kind, "--url", self.lines["gateway"].url, "--out", str(folder)]
        words += ["--token-seconds", str(token_s), "--no-tokens", str(self.no_tokens)]
        words += ["--keys", str(self.reader_keys), "--schema", self.schema]
        if not self.reader_keys.exists():
            self._write_reader_keys()
        program = "legacy" if kind == "legacy" else "subscriber"
        if kind == "changes" and "catch-up" in self.without:
            program = "bare"
        child = self.launch(name.replace(":", "-"), ["-m", f"migctl.drills.world.{program}", *words])
        made = Subscriber(name, kind, child, folder / "dual.ndjson")
        self.subscribers[name] = made
        return made

    def produce(
        self, *, rate: float, seconds: float | None, workers: int, batch: int, recording: Path | None = None
    ) -> Child:
        """Start the producer; it ends after `seconds`, or at SIGTERM, once all it sent is acknowledged.

        recording: events of a recorded stream, over and over, in place of made ones.
        """
        words = ["--url", self.url, "--out", str(self.acknowledged), "--rate", str(rate)]
        words += ["--workers", str(workers), "--batch", str(batch)]
        if seconds is not None:
            words += ["--seconds", str(seconds)]
        if recording is not None:
            words += ["--recording", str(recording)]
        self.producer = self.launch("producer", ["-m", "migctl.drills.world.producer", *words])
        return self.producer

    def environ(self) -> dict[str, str]:
        """What each of its processes has, and no other setting of ours."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        found = {
            **clean,
            "MIGCTL_STATE_DIR": str(self.state),
            "MIGCTL_WITNESS": "off",
            **replace(self.target, redis_url=None).variables(),
        }
        if self._messages_per_second is not None:
            found["MIGCTL_MESSAGES_PER_SECOND"] = str(self._messages_per_second)
        if self.redis:
            found["REDIS_URL"] = self.direct.need("redis_url")
        if self.flag is not None:
            found["MIGCTL_FLAG_TRANSPORT"] = self.flag
        return {**found, **self.more}


@contextmanager
def deployed(
    *,
    rtt_s: float = 0.0,
    messages_per_second: float | None = 500.0,
    keep: Path | None = None,
    noted: Callable[[Path], Callable[[], object]] | None = None,
    project: Project | None = None,
) -> Iterator[Deployment]:
    """The stack is up behind its line and has the schema; nothing else runs yet. In the main thread.

    project: of the operator's own, in place of a stack, with its own plan's limit. rtt_s: of the line to Supabase.
    messages_per_second: the plan's limit that serve keeps. keep: a new folder that stays, for logs and captures. noted: called with
    the folder before anything is made in it, and what it returns once all is undone.
    """
    from migctl import schema

    with ExitStack() as cleanup:
        folder = cleanup.enter_context(world(keep, noted))
        of: EmbeddedStack | Project
        if project is not None:
            of, messages_per_second = project, project.messages_per_second
        else:
            of = EmbeddedStack(folder / "stack")
            cleanup.callback(of.discard)
            of.start()
            asyncio.run(schema.apply(of.target.need("database_url"), "public", who="drill"))
        port = any_free_port()
        upstream = of.target.supabase_url if project is not None else urlsplit(of.target.supabase_url).port
        assert upstream is not None
        supabase = cleanup.enter_context(proxy_process(upstream, delay_s=rtt_s / 2))
        gateway = cleanup.enter_context(proxy_process(port))
        made = Deployment(
            folder, of, supabase, gateway, port, rtt_s=rtt_s, messages_per_second=messages_per_second
        )
        cleanup.callback(_end, made)
        yield made


@contextmanager
def world(keep: Path | None, noted: Callable[[Path], Callable[[], object]] | None) -> Iterator[Path]:
    """A new folder for all that one drill makes, which is removed at the end unless it is to be kept; SIGTERM unwinds it.

    noted: as for `deployed`. In the main thread. Raises Refused where the folder to keep is there already.
    """
    with ExitStack() as cleanup:
        folder = _new_folder(keep)
        if noted is not None:
            cleanup.callback(noted(folder))
        if keep is None:
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        cleanup.enter_context(_terminating())
        yield folder


def _new_folder(keep: Path | None) -> Path:
    """Raises Refused where the folder to keep is there already."""
    if keep is None:
        return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    folder = keep.absolute()
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True)
    except FileExistsError:
        raise Refused(f"{keep}: is there already", do="name a new folder: nothing is written over") from None
    except OSError as error:
        raise Usage(f"{keep}: {error.strerror}", do="name a folder that can be made") from None
    return folder


@contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM unwinds as an interrupt does; what could not be unwound dies with our main thread."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(_: int, __: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _end(made: Deployment) -> None:
    made.kill()
    if made.disk is not None:
        made.disk.discard()
