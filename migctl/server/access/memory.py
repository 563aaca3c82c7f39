"""Memory: how much of it this process may still take, by the limits that stand over it, and what is not begun for lack of it.

| limit                                         | what is used                                     |
|-----------------------------------------------|--------------------------------------------------|
| `RLIMIT_AS`, `RLIMIT_DATA`                     | of /proc/self/statm: the whole, the data         |
| `memory.max` of each control group above it   | `memory.current` without files that can go       |
| the machine's                                 | what is not `MemAvailable`                       |

Work is refused before the limit: at it Python itself may end, and the kernel ends whom it likes. Without /proc nothing is known.
"""

from __future__ import annotations

import contextlib
import mmap
import resource
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from migctl import clock
from migctl.telemetry import get_logger

# A byte of a body takes up to so many while it is read, checked and written: eight were seen.
COST = 8
# Left to who sends on what was taken, for a body above a few KiB; and for what is less.
KEPT_BYTES = 32 << 20
KEPT_FROM_LITTLE = 6 << 20
LITTLE_BYTES = 64 << 10
FRESH_S = 0.02
# More than a request needs that is refused, some of them at once.
RESERVE_BYTES = 16 << 20
LOGGED_EVERY_S = 10.0
_PAGE = resource.getpagesize()
_GROUPS = Path("/sys/fs/cgroup")

log = get_logger("server")


class Memory:
    """Of this process. limits: each says what is left below it in bytes, or None where it is none."""

    def __init__(self, limits: Iterable[Callable[[], int | None]] | None = None) -> None:
        self._limits = list(limits) if limits is not None else [*_limits()]
        self._asked_at = float("-inf")
        self._room: int | None = None
        self._logged_at = float("-inf")

    def room(self) -> int | None:
        """Bytes that may still be taken; None where no limit is known. As it was at most a moment ago."""
        now = clock.mono()
        if now - self._asked_at >= FRESH_S:
            self._asked_at = now
            self._room = min((left for limit in self._limits if (left := limit()) is not None), default=None)
        return self._room

    def has_for(self, count: int, held: int) -> bool:
        """Whether a request may read `count` bytes more, while all of them hold `held`, and may yet take what these cost."""
        room = self.room()
        if room is None:
            return True
        kept = KEPT_BYTES if count > LITTLE_BYTES or held > LITTLE_BYTES else KEPT_FROM_LITTLE
        return room - kept >= COST * (count + held)

    def refused(self, why: str) -> None:
        """Work was refused: logged now and then."""
        now = clock.mono()
        if now - self._logged_at >= LOGGED_EVERY_S:
            self._logged_at = now
            room = self.room()
            left = None if room is None else round(room / (1 << 20), 1)
            log.warning("requests refused for lack of memory", left_mib=left, why=why)


class Reserve:
    """Address space that is held for the time when there is no other: then what is under way may end, and who asks be refused.

    Nobody writes to it, so it is no memory of the machine.
    """

    def __init__(self, size_bytes: int = RESERVE_BYTES) -> None:
        self.size_bytes = size_bytes
        self._held: mmap.mmap | None = None

    @property
    def is_held(self) -> bool:
        return self._held is not None

    def hold(self) -> None:
        """Where there is room for it; else nothing happens."""
        if self._held is None:
            with contextlib.suppress(OSError, MemoryError):
                self._held = mmap.mmap(-1, self.size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()


def is_starved(error: BaseException) -> bool:
    """Whether it is for lack of memory, or of what a thread needs."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and str(error) == "can't start new thread"
    )


def _limits() -> Iterator[Callable[[], int | None]]:
    if not Path("/proc/self/statm").exists():
        return
    yield lambda: _below_rlimit(resource.RLIMIT_AS, 0)
    yield lambda: _below_rlimit(resource.RLIMIT_DATA, 5)
    yield _of_machine
    for folder in _groups():
        yield partial(below_group, folder)


def _below_rlimit(limit: int, column: int) -> int | None:
    soft, _ = resource.getrlimit(limit)
    if soft == resource.RLIM_INFINITY:
        return None
    return soft - _PAGE * int(Path("/proc/self/statm").read_bytes().split()[column])


def _of_machine() -> int | None:
    for line in Path("/proc/meminfo").read_bytes().splitlines():
        if line.startswith(b"MemAvailable:"):
            return int(line.split()[1]) << 10
    return None


def _groups() -> list[Path]:
    """Control groups over this process that can have a limit, in either version; a container sees its own as the root."""
    found: list[Path] = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        root = _GROUPS if not controllers else _GROUPS / "memory"
        here = root / path.lstrip("/")
        found += [
            one for one in (here, *here.parents) if one.is_relative_to(root) and _files(one) is not None
        ]
    return found


def _files(folder: Path) -> tuple[Path, Path, tuple[bytes, ...]] | None:
    """The limit, what is used, and which lines of memory.stat are pages of files in it: these can go."""
    for most, used, pages in (
        ("memory.max", "memory.current", (b"inactive_file", b"active_file")),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", (b"total_inactive_file", b"total_active_file")),
    ):
        if (folder / most).exists() and (folder / used).exists():
            return folder / most, folder / used, pages
    return None


def below_group(folder: Path) -> int | None:
    """What is left to one of them; None where it has no limit, or can't be read."""
    files = _files(folder)
    if files is None:
        return None
    most, used, pages = files
    try:
        limit = most.read_bytes().strip()
        if limit == b"max" or int(limit) >= 1 << 60:
            return None
        taken = int(used.read_bytes())
        for line in (folder / "memory.stat").read_bytes().splitlines():
            name, _, count = line.partition(b" ")
            if name in pages:
                taken -= int(count)
        return int(limit) - max(taken, 0)
    except (OSError, ValueError):
        return None
