"""A deployment to be measured: a stack of its own, the proxy before it, `serve`, producers and subscribers, each a process.

Everything is in one temporary folder, on free ports of this machine, and ends with us, however we end. Serve and every subscriber
reach the stack through the proxy; producers and WebSocket subscribers reach serve directly.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from migctl.config import Target
from migctl.faults import ProxyProcess, proxy_process
from migctl.stack import EmbeddedStack
from migctl.stack.launcher import Child, any_free_port, launch
from migctl.status import ServeStatus, read

BENCHMARKS = Path(__file__).resolve().parent
READY_S = 60.0
_OURS = ("MIGCTL_", "SUPABASE_", "DATABASE_URL", "REDIS_URL")
Assigned = Literal["websocket", "realtime"]


class NotReady(Exception):
    """Something did not come up, or ended too early; the message has its last words."""


@dataclass
class Subscriber:
    """A process that writes what it is handed out to `path`, as a capture does.

    kind: realtime, changes (Realtime by postgres_changes) or websocket, a capture of that transport alone; whole:realtime or
    whole:websocket, a migctl.Subscriber that is assigned it.
    """

    name: str
    kind: str
    child: Child
    path: Path

    @property
    def is_whole(self) -> bool:
        return self.kind.startswith("whole:")

    @property
    def summary(self) -> dict[str, Any] | None:
        """What it says of itself once it has ended; None where it could not."""
        path = self.path.with_suffix(".summary.json")
        return json.loads(path.read_text()) if path.exists() else None


class Deployment:
    """Made by `deployed`."""

    def __init__(
        self,
        folder: Path,
        stack: EmbeddedStack,
        proxy: ProxyProcess,
        rtt_s: float,
        messages_per_second: float,
    ) -> None:
        self.folder = folder
        self.stack = stack
        self.proxy = proxy
        self.rtt_s = rtt_s
        self.direct = stack.target
        self.target: Target = replace(stack.target, supabase_url=proxy.url)
        self.port = any_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.serve: Child | None = None
        self.subscribers: dict[str, Subscriber] = {}
        self.producer: Child | None = None
        self.children: list[Child] = []
        self._messages_per_second = messages_per_second
        # The kill switch of serve; None: who has what is said by the record.
        self.flag: str | None = "realtime"
        # Its migctl.yaml.
        self.settings = ""

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.db"

    @property
    def serve_log(self) -> Path:
        return self.folder / "serve.log"

    def start_serve(self, *, log_level: str = "info") -> None:
        """Start it on its port, and return when it answers."""
        self.begin_serve(log_level=log_level)
        assert self.serve is not None
        self.wait(lambda: self.status() is not None, "serve", self.serve)

    def begin_serve(self, *, log_level: str = "info") -> None:
        """Start it, and wait for nothing."""
        settings = self.folder / "migctl.yaml"
        settings.write_text(self.settings)
        arguments = [
            "serve",
            "--config",
            str(settings),
            "--mode",
            "dual",
            "--listen",
            f"127.0.0.1:{self.port}",
            "--log-level",
            log_level,
        ]
        self.serve = self.launch("serve", ["-m", "migctl", *arguments])

    def status(self) -> ServeStatus | None:
        """What serve says of itself; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/status", timeout=2) as answer:
                return read(answer.read())
        except (OSError, ValueError):
            return None

    def subscribe(self, name: str, kind: str, *, token_s: float = 3600.0) -> Subscriber:
        """Start a subscriber; `ready` waits for all of them. token_s: life of its access tokens."""
        folder = self.folder / name
        words = [str(BENCHMARKS / "subscriber.py"), "--kind", kind, "--url", self.url, "--out", str(folder)]
        child = self.launch(name, [*words, "--token-seconds", str(token_s)])
        made = Subscriber(name, kind, child, folder / "dual.ndjson")
        self.subscribers[name] = made
        return made

    def ready(self) -> None:
        """Wait until each subscriber is. Raises NotReady."""
        for each in self.subscribers.values():
            self.wait(lambda each=each: "ready:" in each.child.log_tail(lines=50), each.name, each.child)  # type: ignore[misc]

    def produce(self, *, rate: float, seconds: float | None, workers: int, batch: int) -> Child:
        """Start the producer; it ends after `seconds`, or at SIGTERM, once all it sent is acknowledged."""
        words = [str(BENCHMARKS / "producer.py"), "--url", self.url, "--out", str(self.acknowledged)]
        words += ["--rate", str(rate), "--workers", str(workers), "--batch", str(batch)]
        self.producer = self.launch("producer", [*words, *(["--seconds", str(seconds)] if seconds else [])])
        return self.producer

    @property
    def acknowledged(self) -> Path:
        """What the producer was told is durable: a line of JSON a request."""
        return self.folder / "acknowledged.ndjson"

    def end_subscribers(self, within_s: float = 30.0) -> None:
        """Ask all to end, which they do once they have everything; who does not end is killed, and has no summary."""
        for each in self.subscribers.values():
            each.child.send(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        for each in self.subscribers.values():
            while each.child.alive and time.monotonic() < deadline:
                time.sleep(0.02)
            if each.child.alive:
                each.child.stop(signal.SIGKILL, 5)

    def wait(
        self, condition: Callable[[], Any], what: str, child: Child | None = None, within_s: float = READY_S
    ) -> None:
        """Return once it holds. Raises NotReady where `child` ends before, or time is over."""
        deadline = time.monotonic() + within_s
        while not condition():
            if child is not None and not child.alive:
                raise NotReady(f"{what} ended with exit code {child.exit_code}:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{what}: not within {within_s:g} s" + (f":\n{child.log_tail()}" if child else "")
                )
            time.sleep(0.02)

    def environ(self) -> dict[str, str]:
        """What each of its processes has, and no other setting of ours."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        found = {
            **clean,
            "MIGCTL_STATE_DIR": str(self.folder / "state"),
            "MIGCTL_WITNESS": "off",
            "MIGCTL_MESSAGES_PER_SECOND": str(self._messages_per_second),
            "SUPABASE_URL": self.target.supabase_url,
            "SUPABASE_ANON_KEY": self.target.need("anon_key"),
            "SUPABASE_SERVICE_ROLE_KEY": self.target.need("service_role_key"),
            "SUPABASE_JWT_SECRET": self.target.need("jwt_secret"),
            "DATABASE_URL": self.target.need("database_url"),
        }
        return found if self.flag is None else {**found, "MIGCTL_FLAG_TRANSPORT": self.flag}

    def launch(self, name: str, program: Sequence[str]) -> Child:
        """A process with its log in our folder."""
        log = self.folder / f"{name}.log"
        child = launch([sys.executable, *program], log=log, death=signal.SIGTERM, environ=self.environ())
        self.children.append(child)
        return child


@contextmanager
def deployed(
    *, rtt_s: float = 0.0, messages_per_second: float = 500.0, keep: Path | None = None
) -> Iterator[Deployment]:
    """The stack is up behind the proxy and has the schema; nothing else runs yet. In the main thread.

    messages_per_second: the plan's limit that serve keeps. keep: a new folder that stays, for logs and captures.
    """
    from migctl import schema

    with ExitStack() as cleanup:
        if keep is None:
            folder = Path(tempfile.mkdtemp(prefix="migctl-bench-"))
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        else:
            folder = keep.absolute()
            folder.mkdir(parents=True)
        # SIGTERM unwinds as an interrupt does; what could not be unwound dies with our main thread.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        stack = EmbeddedStack(folder / "stack")
        cleanup.callback(stack.discard)
        stack.start()
        asyncio.run(schema.apply(stack.target.need("database_url"), "public", who="benchmark"))
        standin_port = int(stack.target.supabase_url.rpartition(":")[2])
        proxy = cleanup.enter_context(proxy_process(standin_port, delay_s=rtt_s / 2))
        made = Deployment(folder, stack, proxy, rtt_s, messages_per_second)
        cleanup.callback(_end, made)
        yield made


def _end(made: Deployment) -> None:
    # All at once, before anybody is waited for: a second Ctrl-C may come while we wait.
    for child in made.children:
        child.send(signal.SIGKILL)
    for child in made.children:
        child.stop(signal.SIGKILL, 5)
