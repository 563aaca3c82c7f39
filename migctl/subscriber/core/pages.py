"""Pages of the two tables, put together: what each seq is, and where the known part ends. Pure.

Tombstones are asked for before rows: a dead letter that is retried becomes a row first and loses its tombstone after, so in this
order one of the two is always seen. A row wins over a tombstone.
"""

from __future__ import annotations

from collections.abc import Sequence

from migctl.events.arrived import Arrived
from migctl.subscriber.core.merge import Item, Skip
from migctl.subscriber.core.release import Release, Via
from migctl.target import answers
from migctl.telemetry import get_logger

_log = get_logger("subscriber")


def merged(rows: Sequence[Item], tombstones: Sequence[Item]) -> tuple[list[Item], bool]:
    """The items of two pages by seq, as far as both are known, and whether that is the end.

    Each page is in order and begins after the same seq. An empty page is the end of its table; a short one proves nothing, since a
    project may cap rows. So what is known ends at the lower of the two last seqs.
    """
    ends = [page[-1].seq for page in (rows, tombstones) if page]
    if not ends:
        return [], True
    known = min(ends)
    found: dict[int, Item] = {item.seq: item for item in tombstones if item.seq <= known}
    found.update((item.seq, item) for item in rows if item.seq <= known)
    return [found[seq] for seq in sorted(found)], False


def read_rows(
    action: str, body: bytes, epoch: str, after: int, arrived: Arrived, via: Via = "table"
) -> list[Item]:
    """The releases of a page of events; `data` keeps the text that PostgreSQL gave it.

    action: what was asked for, for the error. Raises Systemic for a page that is not in order, or does not come after `after`, as
    for whatever else was not asked for: who went on from it would go round for ever. A row whose time no event can have is passed
    over: somebody has changed it, and the others are well.
    """
    return [
        _unreadable(epoch, row.seq, row.id)
        if answers.NO_TIME in (row.timestamp, row.committed_at)
        else Release(
            id=row.id,
            epoch=epoch,
            seq=row.seq,
            event_type=row.event_type,
            timestamp=row.timestamp,
            source=row.source,
            data=bytes(row.data),
            committed_at=row.committed_at,
            via=via,
            received_at=arrived.at,
            received_mono_ns=arrived.mono_ns,
            transport="realtime",
        )
        for row in answers.rows(action, body, after)
    ]


def read_tombstones(
    action: str, body: bytes, epoch: str, after: int, arrived: Arrived, via: Via = "table"
) -> list[Item]:
    """The items of a page of tombstones: the text that jsonb would not take, or nothing to deliver. Raises as `read_rows`."""
    items: list[Item] = []
    for row, event in answers.tombstones(action, body, after):
        if event is None:
            items.append(Skip(epoch, row.seq))
            continue
        if row.committed_at == answers.NO_TIME:
            items.append(_unreadable(epoch, row.seq, row.id))
            continue
        items.append(
            Release(
                id=row.id,
                epoch=epoch,
                seq=row.seq,
                event_type=event.event_type,
                timestamp=event.timestamp,
                source=event.source,
                data=event.data,
                committed_at=row.committed_at,
                via=via,
                received_at=arrived.at,
                received_mono_ns=arrived.mono_ns,
                transport="realtime",
                clock=event.clock,
                source_id=event.source_id,
            )
        )
    return items


def _unreadable(epoch: str, seq: int, event_id: str) -> Skip:
    _log.error(
        "a row has a time that no event can have, and is passed over", epoch=epoch, seq=seq, id=event_id
    )
    return Skip(epoch, seq)
