"""Signing off, composed: what the record and this folder have of a walk, made into the report, as HTML and as JSON.

The record is what it is made from: while that is away there is none. What this folder lacks is named in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

import migctl
from migctl import clock
from migctl.config import Settings
from migctl.config.files import make_private_folder, write_whole
from migctl.errors import MigctlError, Transient, Usage, Wanting
from migctl.events import format_time
from migctl.events.times import parse_time
from migctl.ingest import outages
from migctl.rollout import drills
from migctl.rollout.signoff.build import Collected, build, digest
from migctl.rollout.signoff.document import Input, Signoff
from migctl.rollout.signoff.moves import ROLLOUT
from migctl.rollout.stages import WALKED, Stage, load, path_of
from migctl.rollout.standing import state_of
from migctl.runtime.flags import TRANSPORT
from migctl.runtime.rollout import Control, control
from migctl.validate.witness.minute import Minute

HTML, JSON = "signoff.html", "signoff.json"
LATER = "`migctl rollout signoff` writes it later"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signed:
    """The report, and where it was put. unwritten: why it was not, where `complete` goes on without it."""

    where: str
    report: Signoff | None
    files: tuple[Path, ...] = ()
    unwritten: str | None = None


async def sign_off(settings: Settings, notify: Callable[[str], None], to: Path | None = None) -> Signed:
    """Make the report and write it. to: a file, .html or .json; None for both, in the state folder.

    Raises Usage where a file can't be written, Wanting before the first stage, Transient, Systemic.
    """
    if to is not None and to.suffix not in (".html", ".json"):
        raise Usage(
            f"--to {to}: a report is .html or .json", do=f"name it {to.with_suffix('.html')}, for one"
        )
    async with control(settings, notify) as at:
        report = build(await collect(at))
        if report.began_at is None:
            raise Wanting(
                f"no rollout has begun on {at.where}: there is nothing to sign off",
                do="begin it: `migctl rollout set N --reason WHY`, or `migctl rollout run`",
            )
        return Signed(at.where, report, write(report, settings.state, to))


async def signed_off(at: Control, notify: Callable[[str], None]) -> Signed:
    """The same at the end of a completion, which stands whatever becomes of it."""
    try:
        report = build(await collect(at))
        return Signed(at.where, report, write(report, at.settings.state, None))
    except MigctlError as error:
        why = f"the sign-off report is not written: {error.what}; {LATER}"
        notify(why)
        return Signed(at.where, None, unwritten=why)


async def collect(at: Control) -> Collected:
    """Raises Transient, Systemic where the record can't be read."""
    if at.record is None:
        raise Transient(
            "there is no record to ask: the embedded stack is down", do="start it: `migctl stack up`"
        )
    state = state_of((await at.record.rollout(TRANSPORT.flag)).state)
    audited = [one async for one in at.record.history(actions=("rollout.*", "flags.*"))]
    audited.reverse()
    began = next((one.at for one in audited if one.action.startswith(ROLLOUT)), None)
    minutes: list[Minute] = []
    if began is not None:
        since = format_time(parse_time(began))
        minutes = [one async for one in at.record.minutes(Minute, since=since)]
    missing, inputs = list[str](), list[Input]()
    stages = dict(_stages(inputs, missing))
    window_s, folder = at.settings.evidence.window_s, at.settings.state
    return Collected(
        version=migctl.__version__, made_at=clock.now(), target=at.where, switch=TRANSPORT, audited=audited,
        minutes=minutes, state=state,
        steps={name: stage.step(window_s) for name, stage in stages.items()},
        titles={name: stage.title for name, stage in stages.items()},
        window_s=window_s,
        outages=_of_folder(folder, outages.FILE, outages.read, inputs, missing),
        drilled=_of_folder(folder, drills.FILE, drills.read, inputs, missing),
        inputs=inputs, missing=missing,
    )  # fmt: skip


def write(report: Signoff, folder: Path, to: Path | None) -> tuple[Path, ...]:
    """Each whole or not at all, for its owner alone. Raises Usage."""
    from migctl.rollout.signoff.page import page_of

    files = (to,) if to is not None else (folder / HTML, folder / JSON)
    try:
        if to is None:
            make_private_folder(folder)
        for path in files:
            write_whole(path, page_of(report) if path.suffix == ".html" else as_json(report))
    except OSError as error:
        raise Usage(
            f"the sign-off report can't be written: {error.filename or folder}: {error.strerror}",
            do="make room, or name another place: `migctl rollout signoff --to FILE`",
        ) from None
    return files


def as_json(report: Signoff) -> bytes:
    """As a person can read it too."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def _stages(inputs: list[Input], missing: list[str]) -> Iterator[tuple[str, Stage]]:
    """Those that are walked, as their files are now; one that can't be read is missing."""
    for name in WALKED:
        try:
            stage, content = load(name), path_of(name).read_bytes()
        except (MigctlError, OSError) as error:
            missing.append(f"stage {name}: its file can't be read: {error}")
            continue
        lines = content.splitlines()
        inputs.append(Input(name=f"stage {name}, as its file is now", count=len(lines), sha256=digest(lines)))
        yield name, stage


def _of_folder(
    folder: Path, name: str, read: Callable[[Path], list[T]], inputs: list[Input], missing: list[str]
) -> list[T] | None:
    """What a file of the state folder has; None without one."""
    try:
        found, lines = read(folder), (folder / name).read_bytes().splitlines()
    except FileNotFoundError:
        return None
    except (MigctlError, OSError) as error:
        missing.append(f"{name} can't be read: {error}")
        return None
    inputs.append(Input(name=name, count=len(lines), sha256=digest(lines)))
    return found
