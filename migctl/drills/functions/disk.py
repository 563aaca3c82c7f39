"""The disk of the journal: full for real, and with room again."""

from __future__ import annotations

from migctl.drills.functions.odd import TAKEN, post, sized
from migctl.drills.functions.registry import Armed, Nothing, fault
from migctl.drills.world.deployment import Deployment, NotReady

# From what fits into no log that SQLite has made already down to an event of the smallest.
_SIZES = (1_000_000, 250_000, 60_000, 15_000, 4_000, 500)
# The log has some MiB of its own, which are used up first.
_MOST_EACH = 200


@fault("fill-disk", Nothing)
def fill_disk(on: Deployment, _: Nothing) -> Armed:
    """The disk of the journal is full, to where the smallest event is refused; `configuration.disk_mib` is needed for it."""
    disk = on.disk
    if disk is None:
        raise NotReady(
            "the disk of the journal can't be filled: the drill's file lacks `configuration: { disk_mib: 64 }`"
        )
    taken = disk.fill()
    # What SQLite has of its own is room too: until that is used up, events are stored, and rightly taken.
    events = sum(_until_refused(on, size) for size in _SIZES)
    return Armed(disk.empty, f"{taken >> 20} MiB taken, then {events} events until one was refused")


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
