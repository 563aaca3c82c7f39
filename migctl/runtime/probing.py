"""Probing: what each known process holds of flags, asked by its socket or its address, all at once and for a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from migctl.errors import MigctlError, TokenRefused, Usage
from migctl.flags.disk import Process
from migctl.flags.shares import Shares
from migctl.flags.snapshot import Snapshot
from migctl.resilience import within
from migctl.runtime.flags import TRANSPORT
from migctl.serve_client import ServeHttp
from migctl.serve_client.control import reached
from migctl.serve_client.errors import NotUnderstood
from migctl.serve_client.status import status_by
from migctl.status.flags import FlagsStatus


@dataclass(frozen=True, slots=True)
class Probed:
    """One process. flags: what it holds; None where it did not answer, and why. answered: somebody is there all the same."""

    id: str
    name: str
    url: str | None
    flags: FlagsStatus | None
    why: str | None = None
    answered: bool = False

    @property
    def shares(self) -> Shares | None:
        """What its users get, under the brakes that it knows."""
        shares = self.flags.effective if self.flags is not None else None
        if shares is None:
            return None
        return Shares(TRANSPORT.opened, TRANSPORT.otherwise, segments=shares.segments, percent=shares.percent)


def why_not(probed: Probed, known: Snapshot) -> str | None:
    """Why a process does not agree with what is known; None where it does.

    | it                                     | agrees |
    |----------------------------------------|--------|
    | did not answer                         | no     |
    | is overridden by its kill switch       | no     |
    | has not reached the record yet         | no     |
    | uses an older flag set                 | no     |
    | does not know of a brake in force      | no     |
    | uses a newer flag set than is known    | yes    |
    """
    flags = probed.flags
    if flags is None:
        return probed.why or "it did not answer"
    if flags.override is not None:
        return f"its kill switch says {flags.override}"
    if flags.blind:
        return "it has not reached the record since its start"
    if flags.n < known.n:
        return f"it uses n {flags.n}, and {known.n} is the newest"
    lacking = {brake.id for brake in known.live_brakes(TRANSPORT.flag)} - {one.id for one in flags.brakes}
    if lacking and flags.n <= known.n:
        return f"it does not know of brake {min(lacking)}"
    return None


async def probe(
    folder: Path, known: Sequence[Process], token: str | None, *, within_s: float
) -> tuple[Probed, ...]:
    """Ask the serve of this folder, and each known process. By name."""
    found: dict[str, Probed] = {}

    async def here() -> None:
        async with reached(folder, timeout_s=within_s) as http:
            status = (await status_by(http)).status
        if status.flags is not None:
            name = next((one.name for one in known if one.id == status.flags.process), f"pid {status.pid}")
            found[status.flags.process] = Probed(status.flags.process, name, status.url, status.flags)

    async def there(process: Process, url: str) -> None:
        http = ServeHttp(url, token=token, timeout_s=within_s)
        try:
            flags = (await status_by(http)).status.flags
        finally:
            await http.aclose()
        if flags is not None and flags.process == process.id:
            found[process.id] = Probed(process.id, process.name, url, flags)
        elif process.id not in found:
            found[process.id] = Probed(process.id, process.name, url, None, f"another serve answers at {url}")

    async def ask(process: Process) -> None:
        if process.url is None:
            found.setdefault(process.id, Probed(process.id, process.name, None, None, "it has no address"))
            return
        why, answered = f"no answer within {within_s:g} s", False
        try:
            await within(within_s, there(process, process.url))
        except (Usage, TokenRefused, NotUnderstood) as error:  # it wants a token, or is of another version
            why, answered = error.what, True
        except MigctlError as error:
            why = error.what
        found.setdefault(process.id, Probed(process.id, process.name, process.url, None, why, answered))

    async def ask_here() -> None:
        # What runs here is among those that are known, or has registered nowhere yet.
        with suppress(MigctlError):
            await within(within_s, here())

    async with asyncio.TaskGroup() as group:
        group.create_task(ask_here())
        for process in known:
            group.create_task(ask(process))
    return tuple(sorted(found.values(), key=lambda one: one.name))
