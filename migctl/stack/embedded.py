"""EmbeddedStack: the three parts as children of this process, in one folder, on ports of their own.

Promises: all parts up or none; one owner a folder; no part outlives the owner, however it dies; a part that is killed stays down
until `start_part`, and comes back on its port with its data.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from migctl import clock
from migctl.config import Target
from migctl.config.database import forget_shell
from migctl.config.files import make_private_folder, mend_private_tree, open_own, read_own
from migctl.errors import Refused, Transient
from migctl.events.jsontext import loads
from migctl.stack.keys import Keys, Kind
from migctl.stack.launcher import any_free_port, first_free_port, not_writable, port_is_free, write_private
from migctl.stack.postgres import Postgres
from migctl.stack.process import Process, wait_until
from migctl.stack.running import Running
from migctl.stack.standin_process import StandinOptions, StandinProcess
from migctl.stack.valkey import Valkey

Part = Literal["postgres", "valkey", "standin"]
PARTS: tuple[Part, ...] = get_args(Part)  # in the order of their start
_LEFTOVER_S = 15.0
_LOCK_S = 1.0
_ATTEMPTS = 5
# What a stack of before its first start may have in its folder.
OURS = frozenset({*PARTS, "supervisor.log", "supervisor.log.1", "standin.json", "stopped.json"})
_PART = re.compile(r"\.(?:standin|stopped|keys|processes)\.json\.\d+\.part")
_IN_USE = "address already in use"


@dataclass(frozen=True, slots=True)
class Ports:
    """A port for each part."""

    standin: int = 54321
    postgres: int = 54322
    valkey: int = 54323

    @classmethod
    def any_free(cls) -> Ports:
        found: list[int] = []
        while len(found) < 3:
            port = any_free_port()
            if port not in found:
                found.append(port)
        return cls(*found)

    def or_next_free(self, shift: int = 0) -> Ports:
        """Each of these (and `shift`), or the first free one after it."""
        standin = first_free_port(self.standin + shift)
        postgres = first_free_port(self.postgres + shift, but=frozenset({standin}))
        return Ports(
            standin, postgres, first_free_port(self.valkey + shift, but=frozenset({standin, postgres}))
        )


@dataclass(frozen=True, slots=True)
class PartStatus:
    """What is known of a part; `process` is None where it was never started."""

    part: Part
    up: bool
    port: int
    process: Process | None


class EmbeddedStack:
    """Started and stopped in the main thread (see launcher). A context manager: `with EmbeddedStack(folder) as stack`."""

    def __init__(
        self,
        folder: Path,
        *,
        ports: Ports | None = None,
        standin: StandinOptions | None = None,
        keys: Kind | None = None,
        any_free: Callable[[], Ports] = Ports.any_free,
        is_free: Callable[[int], bool] = port_is_free,
    ) -> None:
        """folder: data, logs and keys; kept by `stop`, removed by `discard`.

        ports: each of them, or the next free one after it; None: those of `any_free`, which is asked anew after a clash.
        is_free: whether a port can be had now.
        standin: what the stand-in is started with. keys: those that are shown; None: as before, and old ones at first.
        """
        forget_shell()
        self.folder = folder.absolute()
        self._wanted = ports
        self._any_free = any_free
        self._is_free = is_free
        self._standin = standin or StandinOptions()
        self._kind = keys
        self._lock: int | None = None
        self._parts: dict[Part, Running] = {}
        self._target: Target | None = None

    @property
    def target(self) -> Target:
        """Addresses and keys. Raises Transient before the stack was started."""
        if self._target is None:
            raise Transient("the embedded stack was not started", do="call start() first")
        return self._target

    @property
    def admin_url(self) -> str:
        """Of the database's superuser. Raises Transient before the stack was started."""
        postgres = self._parts.get("postgres")
        if not isinstance(postgres, Postgres):
            raise Transient("the embedded stack was not started", do="call start() first")
        return postgres.admin_url()

    @property
    def note(self) -> str | None:
        """What the operator must know about where it keeps its data and who runs it, if anything."""
        postgres = self._parts.get("postgres")
        return postgres.note if isinstance(postgres, Postgres) else None

    def start(self) -> Target:
        """Bring all parts up and return the target; nothing is left running where one doesn't come up.

        Raises Refused where the folder has an owner, Transient where a part doesn't start, Usage where the folder can't be written.
        """
        self._take_folder()
        try:
            self._mend_modes()
            self._end_leftovers()
            keys = Keys.kept(self._keys_path, self._kind)
            for attempt in range(_ATTEMPTS):
                # Somewhere else after a clash: stacks that start at the same moment would clash again in step.
                shift = 0 if attempt == 0 else 3 * (1 + secrets.randbelow(100))
                try:
                    self._target = self._start_on(
                        keys, self._wanted.or_next_free(shift) if self._wanted else self._any_free()
                    )
                    break
                except _PortTaken:  # somebody was quicker than we between looking and listening
                    self._stop_parts()
                    if attempt == _ATTEMPTS - 1:
                        raise
        except BaseException:
            self.stop()
            raise
        return self.target

    def _start_on(self, keys: Keys, ports: Ports) -> Target:
        postgres = Postgres(
            self.folder / "postgres",
            ports.postgres,
            admin_password=keys.admin_password,
            password=keys.database_password,
        )
        valkey = Valkey(self.folder / "valkey", ports.valkey, password=keys.valkey_password)
        standin = StandinProcess(
            self.folder / "standin",
            ports.standin,
            database_url=postgres.url(),
            credentials=keys.credentials,
            options=self._standin,
        )
        self._parts = {"postgres": postgres, "valkey": valkey, "standin": standin}
        self._bring_up(PARTS)
        return Target(
            supabase_url=standin.url,
            **keys.shown._asdict(),
            database_url=postgres.url(),
            redis_url=valkey.url,
            embedded=True,
        )

    @property
    def standin_options(self) -> StandinOptions:
        """What the stand-in was started with, or will be."""
        return self._standin

    def change_standin(self, options: StandinOptions) -> None:
        """Stop the stand-in where it runs with other options; `start_part` starts it with these."""
        if options != self._standin:
            self._standin = options
            standin = self._standin_process()
            standin.stop()
            standin.options = options

    def rotate_keys(self) -> Target:
        """Other API keys, and another key that signs users' tokens, in place of all from before: the stand-in refuses those.

        The file has them first: whoever is killed in between starts with the new ones. Raises Transient where the stand-in does not
        come up; `start_part` then starts it with the new ones, too.
        """
        return self._take(Keys.kept(self._keys_path).rotated(clock.now()))

    def show_keys(self, kind: Kind) -> Target:
        """Keys of this kind, made where there are none; those of the other kind stay good. Raises as `rotate_keys`."""
        return self._take(Keys.kept(self._keys_path, kind))

    def add_secret_key(self) -> str:
        """One more; the others stay good. Raises as `rotate_keys`."""
        keys = Keys.kept(self._keys_path).with_secret_key()
        self._take(keys)
        return keys.secret_keys[-1]

    def delete_secret_key(self, key: str) -> Target:
        """This one alone is refused from now on. Raises Usage where it is none or the last, and as `rotate_keys`."""
        return self._take(Keys.kept(self._keys_path).without_secret_key(key))

    def _take(self, keys: Keys) -> Target:
        keys.keep(self._keys_path)
        self.change_keys()
        self.start_part("standin")
        return self.target

    def change_keys(self) -> None:
        """Stop the stand-in where it goes by other keys than the file has now; `start_part` starts it with these."""
        keys = Keys.kept(self._keys_path)
        self._target = replace(self.target, **keys.shown._asdict())
        standin = self._standin_process()
        if standin.credentials != keys.credentials:
            standin.stop()
            standin.credentials = keys.credentials

    def _standin_process(self) -> StandinProcess:
        standin = self._parts["standin"]
        assert isinstance(standin, StandinProcess)
        return standin

    def start_part(self, part: Part) -> None:
        """Start a part on its port; nothing happens where it is up. Raises Transient where it doesn't come up."""
        if not self._parts[part].alive:
            self._bring_up((part,))

    def _bring_up(self, parts: tuple[Part, ...]) -> None:
        # All begin before the first is waited for: the stand-in's imports take as long as the database's start. It asks for the
        # database only when it is asked itself, which is after the database is ready.
        try:
            for part in reversed(parts):
                # Looked at first, or whoever has the port would be taken for ours.
                if not self._is_free(self._parts[part].port):
                    raise _PortTaken(part, self._parts[part].port)
                self._parts[part].begin()
            self._note_processes()
            for part in parts:
                self._wait_ready(part)
        finally:
            self._note_processes()

    def _wait_ready(self, part: Part) -> None:
        running = self._parts[part]
        try:
            running.wait_ready()
        except Transient as error:
            # Who was quicker may be gone again by now; the part's own words still show it.
            if self._is_free(running.port) and _IN_USE not in error.what.lower():
                raise
            raise _PortTaken(part, running.port) from error

    def stop_part(self, part: Part) -> None:
        """Ask it to end, as `stop` does; `start_part` starts it again, on its port and with its data."""
        self._parts[part].stop()

    def kill(self, part: Part, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a part a signal; after SIGKILL, return when it is gone."""
        running = self._parts[part]
        running.send(sig)
        if sig == signal.SIGKILL:
            running.wait(10)

    def status(self) -> list[PartStatus]:
        """Each part in the order of its start."""
        return [PartStatus(part, of.alive, of.port, of.process) for part, of in self._parts.items()]

    def stop(self) -> None:
        """Stop the parts in order, the one that uses others first. Data and keys stay."""
        self._stop_parts()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _stop_parts(self) -> None:
        for part in reversed(PARTS):
            if part in self._parts:
                self._parts[part].stop()

    def discard(self) -> None:
        """Stop, and remove everything the stack has on disk."""
        postgres = self._parts.get("postgres")
        self.stop()
        if isinstance(postgres, Postgres):
            postgres.discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_folder(self) -> None:
        path = self.folder / "lock"
        try:
            self._check_folder()
            make_private_folder(self.folder)
            lock = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise not_writable(self.folder, error) from None

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        # A moment of patience: an owner that was killed holds it until the kernel has closed its files.
        if not wait_until(taken, _LOCK_S):
            owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise Refused(
                f"{self.folder} belongs to a stack that is running (pid {owner})",
                do="use that one (`migctl stack status`), or another folder with MIGCTL_STATE_DIR",
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _check_folder(self) -> None:
        """What is in it is mended, ended and discarded as ours, so it must be."""
        there = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        # What a killed writer left of one of them is ours too, and is taken away when the next is written.
        foreign = sorted(name for name in there - OURS if _PART.fullmatch(name) is None)
        if foreign and not there & {"lock", "keys.json"}:
            raise Refused(
                f"{self.folder}: is no folder of a stack: {foreign[0]} is in it",
                do="name another state folder with MIGCTL_STATE_DIR, or move what is in the way",
            )

    def _mend_modes(self) -> None:
        try:
            mend_private_tree(self.folder, but=("data", "data.part"))  # that is the database's own
        except OSError as error:
            raise not_writable(self.folder, error) from None

    @property
    def _keys_path(self) -> Path:
        return self.folder / "keys.json"

    @property
    def _processes_path(self) -> Path:
        return self.folder / "processes.json"

    def _note_processes(self) -> None:
        known = {
            part: {"pid": process.pid, "born": process.born}
            for part, running in self._parts.items()
            if (process := running.process) is not None
        }
        write_private(self._processes_path, json.dumps(known))

    def _end_leftovers(self) -> None:
        """Parts of an owner that was killed: they are about to end by themselves, and must have ended before ours start."""
        try:
            known = loads(read_own(self._processes_path))
            left = [Process(int(entry["pid"]), str(entry["born"])) for entry in known.values()]
        except FileNotFoundError:
            return
        except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
            self._processes_path.unlink(missing_ok=True)
            return
        for process in left:
            if not process.wait_gone(_LEFTOVER_S):
                process.signal(signal.SIGKILL)
                process.wait_gone(_LEFTOVER_S)


class _PortTaken(Transient):
    def __init__(self, part: Part, port: int) -> None:
        super().__init__(
            f"{part} of the embedded stack can't start: port {port} on 127.0.0.1 is taken",
            do=f"end what listens there (ss -ltnp 'sport = :{port}'), or bring the stack down and up again",
        )
