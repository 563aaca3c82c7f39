"""Around one `serve`: subscribers that write down what they are handed out, each with its log in one folder. They die with us."""

from __future__ import annotations

import signal
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from migctl.errors import Transient
from migctl.stack.launcher import Child, launch
from migctl.status import ServeStatus, read
from migctl.validate.capture_file import CaptureSummary

READY_S = 60.0
_STATUS_S = 2.0
_POLL_S = 0.02


class NotReady(Transient):
    """Something of the deployment did not come up, or ended too early; the error has its last words."""

    def __init__(self, what: str) -> None:
        super().__init__(what, do="run it again with --keep DIR, and read the logs there")


@dataclass
class Subscriber:
    """A process that writes what it is handed out to `path`, as a capture does.

    kind: realtime, changes (Realtime by postgres_changes) or websocket, a capture of that transport alone; whole, a
    migctl.Subscriber that asks which transport is its own; whole:realtime or whole:websocket, one that is assigned it; legacy, a
    client of the old protocol, which has no positions and is promised nothing but what comes while it is connected.
    """

    name: str
    kind: str
    child: Child
    path: Path

    @property
    def is_whole(self) -> bool:
        return self.kind.partition(":")[0] == "whole"

    @property
    def summary(self) -> CaptureSummary | None:
        """What became of it, once it has ended; None where it could not write that."""
        path = self.path.with_suffix(".summary.json")
        return msgspec.json.decode(path.read_bytes(), type=CaptureSummary) if path.exists() else None


class Around(ABC):
    """sample_every_s: how often its status may be asked for.

    url: of serve. token: what it asks who subscribes for, if it does. folder: of logs and captures."""

    sample_every_s = 0.1

    def __init__(self, folder: Path, url: str, *, token: str | None = None) -> None:
        self.folder = folder
        self.url = url
        self.subscribers: dict[str, Subscriber] = {}
        self.children: list[Child] = []
        self._token = token

    @abstractmethod
    def environ(self) -> dict[str, str]:
        """What each of its processes has."""

    def status(self) -> ServeStatus | None:
        """The status of serve; None while it does not answer."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(f"{self.url}/api/status", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_STATUS_S) as answer:
                return read(answer.read())
        except (OSError, ValueError):
            return None

    def ready(self) -> None:
        """Wait until each subscriber is. Raises NotReady."""
        for each in self.subscribers.values():
            child = each.child
            self.wait(lambda child=child: "ready:" in child.log_tail(lines=50), each.name, child)  # type: ignore[misc]

    def end_subscribers(self, within_s: float = 30.0) -> None:
        """Ask all to end, which they do once they have everything; who does not end is killed, and has no summary."""
        for each in self.subscribers.values():
            each.child.send(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        for each in self.subscribers.values():
            while each.child.alive and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if each.child.alive:
                each.child.stop(signal.SIGKILL, 5)

    def wait(
        self,
        condition: Callable[[], object],
        what: str,
        child: Child | None = None,
        within_s: float = READY_S,
    ) -> None:
        """Return once it holds. Raises NotReady where `child` ends before, or time is over."""
        deadline = time.monotonic() + within_s
        while not condition():
            if child is not None and not child.alive:
                raise NotReady(f"{what} ended with exit code {child.exit_code}:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                last = f":\n{child.log_tail()}" if child is not None else ""
                raise NotReady(f"{what}: not within {within_s:g} s{last}")
            time.sleep(_POLL_S)

    def launch(
        self,
        name: str,
        program: Sequence[str],
        more: Mapping[str, str] = MappingProxyType({}),
        *,
        before: Sequence[str] = (),
        cwd: Path = Path("/"),
    ) -> Child:
        """A Python process with its log in our folder. It dies with us, also while it is stopped.

        more: of its environment. before: a program that becomes it.
        """
        log = self.folder / f"{name}.log"
        environ = {**self.environ(), **more}
        words = [*before, sys.executable, *program]
        child = launch(words, log=log, death=signal.SIGKILL, environ=environ, cwd=cwd)
        self.children.append(child)
        return child

    def trouble(self) -> str:
        """Why nothing may have come, as far as is known; in words, or empty."""
        return ""

    def need_subscribers(self) -> None:
        """Raises NotReady where one has ended."""
        for each in self.subscribers.values():
            if not each.child.alive:
                raise NotReady(f"{each.name} ended with {each.child.exit_code}:\n{each.child.log_tail()}")

    def kill(self) -> None:
        """All are gone. At once, before anybody is waited for: a second Ctrl-C may come while we wait."""
        for child in self.children:
            child.send(signal.SIGKILL)
        for child in self.children:
            child.stop(signal.SIGKILL, 5)
