"""The disk of the journal: full for real, and with room again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.odd import TAKEN, post, sized
from migctl.drills.functions.registry import Armed, Nothing, fault, probe
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.faults.disk import SmallDisk

# From what fits into no log that SQLite has made already down to an event of the smallest.
_SIZES = (1_000_000, 250_000, 60_000, 15_000, 4_000, 500)
# The log has some MiB of its own, which are used up first.
_MOST_EACH = 200


class OfFill(Section):
    leave_bytes: Annotated[
        int, Field(ge=0, description="bytes that stay free; 0: none, and the smallest event is refused")
    ] = 0


@fault("fill-disk", OfFill)
def fill_disk(on: Deployment, of: OfFill) -> Armed:
    """The disk of the journal is full, or nearly; `configuration.disk_mib` is needed for it."""
    disk = _disk(on)
    if of.leave_bytes:
        taken = disk.fill(leave=of.leave_bytes)
        return Armed(disk.empty, f"{taken >> 20} MiB taken, {disk.free_bytes:,} bytes free")
    taken = disk.fill()
    # What SQLite has of its own is room too: until that is used up, events are stored, and rightly taken.
    events = sum(_until_refused(on, size) for size in _SIZES)
    return Armed(disk.empty, f"{taken >> 20} MiB taken, then {events} events until one was refused")


@probe("disk-free-bytes", Nothing)
def disk_free_bytes(on: Deployment, _: Nothing) -> int:
    """Bytes that are free on the disk of the journal."""
    return _disk(on).free_bytes


def _disk(on: Deployment) -> SmallDisk:
    """Raises NotReady where the drill has none of its own."""
    if on.disk is None:
        raise NotReady(
            "the disk of the journal can't be filled: the drill's file lacks `configuration: { disk_mib: 64 }`"
        )
    return on.disk


def _until_refused(on: Deployment, size: int) -> int:
    """How many events of this size were taken. What is never refused, or never answered, is for the drill's own probes to find."""
    for count in range(_MOST_EACH):
        try:
            status, _ = post(on, sized(size))
        except NotReady:
            return count
        if status != TAKEN:
            return count
    return _MOST_EACH
