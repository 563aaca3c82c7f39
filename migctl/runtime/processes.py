"""Processes: who is known to evaluate flags, whether each answers, and taking one out that was killed for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from migctl.config import Settings
from migctl.errors import MigctlError, Refused, Transient, Usage, Wanting
from migctl.flags.disk import Process, Processes, ProcessesFile
from migctl.runtime.probing import Probed, probe
from migctl.runtime.rollout import Control, control
from migctl.serve_client.control import announced

WITHIN_S = 3.0
# Nothing is in a hurry here, and one that is only slow must not pass for dead.
PROBE_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Known:
    """One process. seen_at: when it last registered; None where it has not registered. why: it does not."""

    id: str
    name: str
    url: str | None
    seen_at: str | None
    answers: bool
    why: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """away: why the record could not say who is known; then it is what this folder heard last."""

    where: str
    known: tuple[Known, ...]
    away: str | None = None


async def listed(settings: Settings, notify: Callable[[str], None]) -> Listed:
    """Everybody who is known, by name. Raises Refused where a file is the record: nobody registers then."""
    async with control(settings, notify, start=False) as at:
        return await _listed(at)


async def forget(
    settings: Settings, wanted: str, *, actor: str, reason: str, dry_run: bool, notify: Callable[[str], None]
) -> Listed:
    """Take the process out whose id or name this is. Who is left.

    Raises Refused where it answers, Wanting where there is none, Usage where the name is that of several, Transient, Systemic.
    """
    async with control(settings, notify) as at:
        before = await _listed(at)
        if before.away is not None or at.record is None:
            raise Transient(
                f"the record can't be reached, and only there a process is taken out: {before.away}",
                do="see what is wrong with it: `migctl status`",
            )
        one = chosen(before.known, wanted, at.where)
        if dry_run:
            return before
        known = await at.record.forget(one.id, actor=actor, reason=reason)
        _keep(at, known)
        return Listed(at.where, tuple(each for each in before.known if each.id != one.id))


def chosen(known: Sequence[Known], wanted: str, where: str) -> Known:
    """Which one is meant, and may be taken out.

    | by id, or by name     | it answers | it does not       |
    |-----------------------|------------|-------------------|
    | one                   | Refused    | it                |
    | several of that name  | Usage      | Usage             |
    | none                  | Wanting    | Wanting           |
    """
    found = [one for one in known if one.id == wanted] or [one for one in known if one.name == wanted]
    if not found:
        raise Wanting(f"no process {wanted!r} is known on {where}", do="see who is: `migctl flags processes`")
    if len(found) > 1:
        raise Usage(
            f"{len(found)} processes are named {wanted!r}",
            do="give the id: " + ", ".join(one.id for one in found),
        )
    (one,) = found
    if one.answers:
        raise Refused(
            f"{one.name} answers: it stays" + (f" ({one.why})" if one.why else ""),
            do="stop it (SIGTERM): it takes itself out then; where another one has its address, set MIGCTL_TOKEN",
        )
    return one


async def _listed(at: Control) -> Listed:
    away, known = None, ProcessesFile(at.settings.state).read(at.name).known
    if at.record is None:
        away = "the embedded stack is down"
    else:
        try:
            async with asyncio.timeout(WITHIN_S):
                known = (await at.record.read()).processes
        except TimeoutError:
            away = f"no answer within {WITHIN_S:g} s"
        except MigctlError as error:
            away = error.what
    probed = await probe(at.settings.state, known, at.token, within_s=PROBE_WITHIN_S)
    registered = {process.id: process.seen_at for process in known}
    return Listed(at.where, tuple(_known(one, registered.get(one.id)) for one in probed), away)


def _known(one: Probed, seen_at: str | None) -> Known:
    return Known(one.id, one.name, one.url, seen_at, one.flags is not None or one.answered, one.why)


def _keep(at: Control, known: tuple[Process, ...]) -> None:
    """This folder forgets it too; a serve that runs here hears it from the record."""
    file = ProcessesFile(at.settings.state)
    if announced(at.settings.state) is None:
        with suppress(MigctlError):
            file.write(Processes(at.name, known, file.read(at.name).mine))
