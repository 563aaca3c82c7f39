"""The stack of a state folder, as commands use it: bring it up, down, and ask what runs, from any process.

Two commands that want it up at the same time take turns; the second finds it up, also where the first was killed in the middle.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from migctl.config import Target
from migctl.config.database import forget_shell
from migctl.config.files import make_private_folder, make_state_folder, open_own, open_private_log
from migctl.errors import KINDS, MigctlError, Refused, Transient
from migctl.stack import state
from migctl.stack.embedded import PARTS, Part, PartStatus
from migctl.stack.keys import Keys, Kind, have_passwords
from migctl.stack.launcher import not_writable, port_is_free
from migctl.stack.process import wait_until
from migctl.stack.standin_process import Rates, StandinOptions

_UP_S = 120.0
_DOWN_S = 45.0
_TURN_S = 150.0


@dataclass(frozen=True, slots=True)
class Up:
    """started: the whole stack, now; restarted: the parts that were down.

    changed: the stand-in was up, and runs anew with these options. keys: the kind that is shown now, and was not before.
    """

    target: Target
    started: bool
    restarted: tuple[Part, ...] = ()
    changed: StandinOptions | None = None
    keys: Kind | None = None

    @property
    def words(self) -> str | None:
        """What was done, in a line; None where all was up as it was wanted."""
        if self.started:
            return f"started {self.target.name}; `migctl stack down` stops it"
        words = []
        if self.restarted:
            words.append(f"started again: {', '.join(self.restarted)}")
        if self.changed is not None:
            schemas = ", ".join(self.changed.schemas)
            words.append(f"restarted the stand-in, with schemas {schemas} and rates {self.changed.rates}")
        if self.keys is not None:
            words.append(f"its keys are {self.keys} ones now, and those of before stay good")
        return "; ".join(words) or None


@dataclass(frozen=True, slots=True)
class Status:
    """target is None where no stack runs; then `parts` are all down. stopped: those that stay down until `start_part`."""

    target: Target | None
    supervisor_pid: int | None
    parts: tuple[PartStatus, ...]
    note: str | None = None
    standin: StandinOptions | None = None
    stopped: tuple[Part, ...] = ()

    @property
    def up(self) -> bool:
        """All of it."""
        return self.target is not None and all(part.up for part in self.parts)


def up(
    state_dir: Path, *, schemas: Sequence[str] = (), rates: Rates | None = None, keys: Kind | None = None
) -> Target:
    """The folder's stack, brought up where it, or a part of it, is down. For schemas, rates and keys see `bring_up`."""
    return bring_up(state_dir, schemas=schemas, rates=rates, keys=keys).target


def ensure(
    state_dir: Path, *, schemas: Sequence[str] = (), rates: Rates | None = None
) -> tuple[Target, bool]:
    """The folder's stack, and whether anything had to be started."""
    outcome = bring_up(state_dir, schemas=schemas, rates=rates)
    return outcome.target, outcome.words is not None


def bring_up(
    state_dir: Path, *, schemas: Sequence[str] = (), rates: Rates | None = None, keys: Kind | None = None
) -> Up:
    """As `up`, and what was done for it.

    schemas: REST exposes these too, from now on. rates: the limits that the stand-in keeps; None leaves them as they were.
    keys: of which kind those are that the stack shows; None leaves them as they were, and makes old ones at first.
    A stand-in that runs otherwise is started anew.
    Raises Usage where the folder can't be written, Refused where another owner has it, Transient where a part doesn't start.
    """
    forget_shell()
    state_dir = state_dir.absolute()
    with _turn(state_dir) as turn:
        record = _running(state_dir)
        options = state.read_wanted(state_dir).with_schemas(schemas)
        options = replace(options, rates=rates or options.rates)
        kept = state_dir / "stack" / "keys.json"
        if record is None:
            _want(state_dir, options)
            if keys is not None:
                Keys.kept(kept, keys)
            _spawn(state_dir, turn)
            record = _running(state_dir)
            if record is None:
                raise _gone(state_dir)
            return Up(record.target, started=True)
        if not have_passwords(kept):
            raise Refused(
                f"the stack in {state_dir} was started by a version whose servers let every user of this machine in",
                do="migctl stack down, then migctl stack up: its data and keys stay, and its servers get passwords",
            )
        missing = record.missing()
        other = options != record.standin
        rekeyed = keys is not None and keys != _kind(record)
        if rekeyed:
            Keys.kept(kept, keys)
        if missing or other or rekeyed:
            _want(state_dir, options)
            record = _ask_for_missing(state_dir, record)
        if record.standin != options or (keys is not None and keys != _kind(record)):
            raise Transient(
                f"the supervisor of the stack in {state_dir} is of another version, and leaves the stand-in as it is",
                do="migctl stack down, then migctl stack up",
            )
        changed = options if other and "standin" not in missing else None
        return Up(
            record.target,
            started=False,
            restarted=tuple(missing),
            changed=changed,
            keys=keys if rekeyed else None,
        )


def _kind(record: state.Record) -> Kind:
    return "old" if record.target.signing_key is None else "new"


def _want(state_dir: Path, options: StandinOptions) -> None:
    state.write_wanted(state_dir, options)


def down(state_dir: Path) -> bool:
    """Stop the folder's stack; False where it was not up. Data, keys and ports are kept."""
    state_dir = state_dir.absolute()
    if not state_dir.is_dir():
        return False
    with _turn(state_dir):
        record = state.read(state_dir)
        if record is None:
            return False
        was_up = record.supervisor.signal(signal.SIGTERM)
        if not record.supervisor.wait_gone(_DOWN_S):
            record.supervisor.signal(signal.SIGKILL)
        for process in record.parts.values():
            if not process.wait_gone(_DOWN_S):
                process.signal(signal.SIGKILL)
        return was_up


def status(state_dir: Path) -> Status:
    """What runs. A part is up when its process lives and its port is served."""
    record = state.read(state_dir.absolute())
    if record is None:
        return Status(None, None, ())
    owned = record.supervisor.alive
    parts = tuple(
        PartStatus(
            part,
            up=(process := record.parts.get(part)) is not None
            and process.alive
            and not port_is_free(getattr(record.ports, part)),
            port=getattr(record.ports, part),
            process=process,
        )
        for part in PARTS
    )
    return Status(
        record.target if owned else None,
        record.supervisor.pid if owned else None,
        parts,
        record.note,
        record.standin,
        (record.stopped or ()) if owned else (),
    )


def _running(state_dir: Path) -> state.Record | None:
    record = state.read(state_dir)
    return record if record is not None and record.supervisor.alive else None


def _spawn(state_dir: Path, turn: int) -> None:
    # The supervisor holds our turn until it has come up: where we are killed meanwhile, the next command waits for it.
    log = state_dir / "stack" / "supervisor.log"
    try:
        make_private_folder(log.parent)
        with open_private_log(log) as output:
            popen = subprocess.Popen(
                # -P and cwd: a file in the operator's folder that is named like a module must not be imported.
                [sys.executable, "-P", "-m", "migctl.stack.supervisor", str(state_dir), str(turn)],
                pass_fds=(turn,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd="/",
                start_new_session=True,
                umask=0o077,
            )
    except OSError as error:
        raise not_writable(log.parent, error) from None
    # The first process detaches the real one and ends; the pipe ends when the start has succeeded or failed.
    try:
        answer, _ = popen.communicate(timeout=_UP_S)
    except subprocess.TimeoutExpired:
        popen.kill()
        raise Transient(f"the embedded stack did not come up in {_UP_S:.0f} s", do=f"see {log}") from None
    try:
        report = json.loads(answer)
    except ValueError:
        raise _gone(state_dir) from None
    if "error" in report:
        raise KINDS.get(report["exit_code"], MigctlError)(report["error"], do=report["do"])


def stop_part(state_dir: Path, part: Part) -> bool:
    """Stop one part, which stays down until `start_part` or the next start of the whole stack; False where it was stopped already.

    Raises Transient where the stack is down, or the part does not end.
    """
    return _change(state_dir, part, stopped=True)


def start_part(state_dir: Path, part: Part) -> bool:
    """Start a part that is down, stopped or not; False where it was up. Raises Transient where the stack is down, or it fails."""
    return _change(state_dir, part, stopped=False)


def _change(state_dir: Path, part: Part, *, stopped: bool) -> bool:
    state_dir = state_dir.absolute()
    if not state_dir.is_dir():
        raise _down(state_dir)
    with _turn(state_dir):
        record = _running(state_dir)
        if record is None:
            raise _down(state_dir)
        if record.stopped is None:
            raise Transient(
                f"the supervisor of the stack in {state_dir} is of another version, and stops no single part",
                do="migctl stack down, then migctl stack up",
            )
        is_down, others = part in record.down(), {*record.stopped} - {part}
        if (part in record.stopped) == stopped and is_down == stopped:
            return False
        wish = state.Wish(stopped=(*others, part)) if stopped else state.Wish((*others,), start=(part,))
        state.write_wish(state_dir, wish)
        record = _ask(state_dir, record, signal.SIGUSR1)
        if (part in record.down()) != stopped:
            raise Transient(
                f"{part} of the embedded stack is {'up' if stopped else 'down'} all the same",
                do=f"see {state_dir / 'stack' / 'supervisor.log'}",
            )
        return True


def _down(state_dir: Path) -> MigctlError:
    return Transient(f"the embedded stack in {state_dir} is down", do="migctl stack up")


def _ask_for_missing(state_dir: Path, record: state.Record) -> state.Record:
    now = _ask(state_dir, record, signal.SIGHUP)
    if now.missing():
        raise Transient(
            f"{', '.join(now.missing())} of the embedded stack did not come back",
            do=f"see {state_dir / 'stack' / 'supervisor.log'}",
        )
    return now


def _ask(state_dir: Path, record: state.Record, sig: signal.Signals) -> state.Record:
    """What the supervisor has written after this signal. Raises Transient where a part did not start, or it went away."""
    before = record.revision
    record.supervisor.signal(sig)

    def answered() -> bool:
        now = _running(state_dir)
        return now is None or now.revision > before

    wait_until(answered, _UP_S)
    now = _running(state_dir)
    if now is None:
        raise _gone(state_dir)
    if now.errors:
        part, why = next(iter(now.errors.items()))
        raise Transient(why, do=f"see {state_dir / 'stack'}/{part}, or bring the stack down and up again")
    return now


def _gone(state_dir: Path) -> MigctlError:
    log = state_dir / "stack" / "supervisor.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    last = lines[-1] if lines else "no word"
    return Transient(f"the supervisor of the embedded stack ended: {last}", do=f"see {log}")


@contextlib.contextmanager
def _turn(state_dir: Path) -> Iterator[int]:
    """Yields the descriptor that holds the turn."""
    make_state_folder(state_dir)
    try:
        lock = open_own(state_dir / "stack.lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise not_writable(state_dir, error) from None

    def taken() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        if not wait_until(taken, _TURN_S, every_s=0.05):
            raise Transient(
                f"another command has been starting or stopping the stack in {state_dir} for {_TURN_S:.0f} s",
                do="wait for it, or end it",
            )
        yield lock
    finally:
        os.close(lock)
