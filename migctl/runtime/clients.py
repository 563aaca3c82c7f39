"""Clients: every known process asked who its subscribers are and were, all at once. Who does not answer may have any number."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from migctl.config import Settings, secret
from migctl.errors import MigctlError, Transient
from migctl.flags.disk import Process, ProcessesFile
from migctl.rollout.completing import Asked
from migctl.runtime.flagging import file_is_record
from migctl.runtime.rollout import Control, control
from migctl.serve_client import NotRunning, ServeHttp
from migctl.serve_client.control import announced, reached
from migctl.server.routes.clients import CLIENTS
from migctl.status.clients import ClientsStatus

WITHIN_S = 5.0
RECORD_S = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One process. status: None where it did not answer, and why."""

    id: str | None
    name: str
    status: ClientsStatus | None
    why: str | None = None

    @property
    def asked(self) -> Asked:
        """For the rules of completing."""
        if self.status is None:
            return Asked(process=self.name, remembers_from=None)
        return Asked(
            process=self.name,
            remembers_from=self.status.remembers_from,
            clients=tuple(self.status.clients),
            mode=self.status.mode,
        )


@dataclass(frozen=True, slots=True)
class Asking:
    """What became of asking everybody. target: whose processes; None without one, where only the serve of this folder is known.

    unlisted: the record could not be asked who else there is; in words.
    """

    target: str | None
    processes: tuple[Answered, ...]
    unlisted: str | None = None

    @property
    def asked(self) -> tuple[Asked, ...]:
        """For the rules of completing."""
        listed = tuple(one.asked for one in self.processes)
        return (
            listed if self.unlisted is None else (*listed, Asked(process=self.unlisted, remembers_from=None))
        )


@dataclass
class _Round:
    found: dict[str, Answered] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)


async def clients_of(
    settings: Settings, notify: Callable[[str], None], *, within_s: float = WITHIN_S
) -> Asking:
    """Of every process that is known here, or that the record lists. Raises nothing for who is away."""
    token = secret("MIGCTL_TOKEN")
    if file_is_record(settings):
        return Asking(None, await ask_clients(settings.state, (), token, within_s=within_s))
    async with control(settings, notify, start=False) as at:
        return await clients_at(at, within_s=within_s)


async def clients_at(at: Control, *, within_s: float = WITHIN_S) -> Asking:
    """Of one target."""
    known = {one.id: one for one in ProcessesFile(at.settings.state).read(at.name).known}
    unlisted = None
    if at.record is not None:
        try:
            # What the record does not list any more ended as it should.
            async with asyncio.timeout(RECORD_S):
                known = {one.id: one for one in (await at.record.read()).processes}
        except TimeoutError:
            unlisted = f"a process that only the record knows (no answer from it within {RECORD_S:g} s)"
        except MigctlError as error:
            unlisted = f"a process that only the record knows ({error.what})"
    found = await ask_clients(at.settings.state, tuple(known.values()), at.token, within_s=within_s)
    return Asking(at.where, found, unlisted)


async def ask_clients(
    folder: Path, known: Sequence[Process], token: str | None, *, within_s: float
) -> tuple[Answered, ...]:
    """The serve of this folder by its control socket, and each known process by its address. By name."""
    asked = _Round()
    await asyncio.gather(
        _here(asked, folder, known, within_s), *(_there(asked, process, token, within_s) for process in known)
    )
    found = [one for id_, one in asked.found.items() if one.status is not None or id_ not in asked.ended]
    return tuple(sorted(found, key=lambda one: one.name))


async def _here(asked: _Round, folder: Path, known: Sequence[Process], within_s: float) -> None:
    async def ask() -> ClientsStatus:
        async with reached(folder, timeout_s=within_s) as http:
            return await _status(http)

    announcement = announced(folder)
    # Who is registered is asked by its address too, and named once.
    listed = announcement is not None and any(
        one.name == f"{socket.gethostname()}:{announcement.pid}" for one in known
    )
    try:
        async with asyncio.timeout(within_s):
            status = await ask()
    except TimeoutError:
        if not listed:
            why = f"no answer within {within_s:g} s"
            asked.found[""] = Answered(None, f"the serve of {folder}", None, why)
        return
    except NotRunning as error:
        # Nothing was ever started here, or what was ended as it should.
        if announcement is not None and not listed:
            asked.found.setdefault(
                "", Answered(None, f"the serve of {folder} (pid {announcement.pid})", None, error.what)
            )
        return
    except (MigctlError, ValueError) as error:
        asked.found[""] = Answered(None, f"the serve of {folder}", None, str(error).splitlines()[0])
        return
    name = next((one.name for one in known if one.id == status.process), status.name)
    asked.found[status.process] = Answered(status.process, name, status)


async def _there(asked: _Round, process: Process, token: str | None, within_s: float) -> None:
    if process.url is None:
        asked.found.setdefault(process.id, Answered(process.id, process.name, None, "it has no address"))
        return

    async def ask(url: str) -> ClientsStatus:
        http = ServeHttp(url, token=token, timeout_s=within_s)
        try:
            return await _status(http)
        finally:
            await http.aclose()

    why = f"no answer within {within_s:g} s"
    try:
        async with asyncio.timeout(within_s):
            status = await ask(process.url)
    except TimeoutError:
        pass
    except (MigctlError, ValueError) as error:
        why = str(error).splitlines()[0]
    else:
        if status.process == process.id:
            asked.found[process.id] = Answered(process.id, process.name, status)
            return
        asked.found.setdefault(status.process, Answered(status.process, status.name, status))
        if status.name.rpartition(":")[0] == process.name.rpartition(":")[0]:
            # Another one has its address on the same machine: it is gone.
            asked.ended.add(process.id)
            return
        why = f"{status.name} answers at {process.url} from here"
    asked.found.setdefault(process.id, Answered(process.id, process.name, None, why))


async def _status(http: ServeHttp) -> ClientsStatus:
    """Raises NotRunning, and Transient for what is no such answer."""
    answer = await http.get(CLIENTS)
    if answer.status in (401, 403):
        raise Transient(
            f"it does not answer us: {answer.words()}", do="set MIGCTL_TOKEN to a token with purpose admin"
        )
    if answer.status != 200:
        raise Transient(f"{answer.where}: {answer.words()}", do="is it a migctl of this version?")
    return answer.decode(ClientsStatus)
