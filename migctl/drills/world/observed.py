"""A deployment of the operator's that runs already, and is only listened to: its `serve`, and subscribers of ours in processes.

Nothing is published, broken or written there: we ask the status, read events, and listen as any subscriber may. All that is asked
for is serve's address, and a token where it asks who subscribes for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from migctl.drills.judging import Committed
from migctl.drills.world.around import Around, Subscriber
from migctl.drills.world.deployment import world
from migctl.errors import MigctlError, Transient
from migctl.events import Position, parse_time
from migctl.serve_client.status import status_at
from migctl.status import ServeStatus
from migctl.subscriber.gateway.serve_client import ServeClient

ANSWERS_WITHIN_S = 4.0


class _Logged(msgspec.Struct):
    """What is taken of a line of a log."""

    reason: str


class Observed(Around):
    """Made by `observed`. supabase: the address of its project, as serve says it; None where it names none."""

    supabase: str | None = None
    sample_every_s = 1.0  # others ask it too

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"serve at {self.url}" + (f", project {self.supabase}" if self.supabase else "")

    @property
    def signs(self) -> Path:
        """What was heard, a line of JSON each: `signs.Sign`."""
        return self.folder / "signs.ndjson"

    def environ(self) -> dict[str, str]:
        return dict(os.environ)

    def status(self) -> ServeStatus | None:
        """As it says itself; None while it does not answer, or with what is no status: whoever is there may be a stranger."""
        try:
            return self.need_status()
        except MigctlError:
            return None

    def need_status(self) -> ServeStatus:
        """Raises Transient where no serve answers, or not in time; Usage where it refuses the token."""
        try:
            return asyncio.run(self._status())
        except TimeoutError:
            raise Transient(
                f"{self.url}: no whole answer within {ANSWERS_WITHIN_S:g} s",
                do="give the address of a serve with --url",
            ) from None

    async def _status(self) -> ServeStatus:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            return (await status_at(self.url, self._token)).status

    def listen(self) -> None:
        """Start to write signs down."""
        words = ["--url", self.url, "--out", str(self.signs)]
        child = self.launch("signs", ["-m", "migctl.drills.world.signs", *words])
        self.wait(lambda: "ready:" in child.log_tail(lines=50), "signs", child)

    def trouble(self) -> str:
        log = self.folder / "signs.log"
        for line in reversed(log.read_bytes().splitlines() if log.exists() else []):
            with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                return msgspec.json.decode(line, type=_Logged).reason
        return ""

    def subscribe(self, name: str, kind: str) -> Subscriber:
        """Start a subscriber of one transport; `ready` waits for all of them."""
        folder = self.folder / name
        words = ["--kind", kind, "--url", self.url, "--out", str(folder), "--listen-only"]
        child = self.launch(name, ["-m", "migctl.drills.world.subscriber", *words])
        made = Subscriber(name, kind, child, folder / "dual.ndjson")
        self.subscribers[name] = made
        return made

    async def learn(self) -> None:
        """Which project it delivers to. Raises Transient, Systemic, or Usage where no serve answers there."""
        server = ServeClient(self.url, token=self._token)
        try:
            self.supabase = (await server.assignment()).supabase_url
        finally:
            await server.aclose()

    async def events(self, after: Position, until: Position) -> list[Committed] | None:
        """What the journal has between two positions of an epoch; None where it no longer has all of it. Raises Transient."""
        found: list[Committed] = []
        server = ServeClient(self.url, token=self._token)
        try:
            while after.seq < until.seq:
                page = await server.events(after)
                if page is None or not page.events:
                    return None
                for one in page.events:
                    if one.position.seq <= until.seq:
                        at = parse_time(one.committed_at or one.timestamp).timestamp()
                        found.append(Committed((one.epoch, one.position.seq), one.id, at))
                after = page.events[-1].position
        finally:
            await server.aclose()
        return found


@contextmanager
def observed(
    url: str,
    *,
    token: str | None,
    keep: Path | None = None,
    noted: Callable[[Path], Callable[[], object]] | None = None,
) -> Iterator[Observed]:
    """url: where serve listens, as http or ws. keep, noted: as for `deployed`. In the main thread."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    base = parts._replace(scheme=scheme, path=parts.path.removesuffix("/ws").rstrip("/"), query="").geturl()
    with ExitStack() as cleanup:
        folder = cleanup.enter_context(world(keep, noted))
        made = Observed(folder, base, token=token)
        cleanup.callback(made.kill)
        yield made
