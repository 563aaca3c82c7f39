"""Heads: what the target knows of each epoch. One row an epoch, moved by one SQL function and never down.

Readers tell *not there yet* from *never* by it, and a journal finds in it who wrote this table before.
"""

from __future__ import annotations

from migctl.config import Target
from migctl.events import format_time
from migctl.events.jsontext import dumps
from migctl.journal import EpochInfo
from migctl.target import answers, errors, schema
from migctl.target.chain import Head
from migctl.target.rest import PATIENT, Rest, Timeouts

_READ = f"{schema.HEADS}?select={schema.columns(schema.HEAD)}&order=started_at.desc,updated_at.desc"
# Some 10,000 epochs.
_MOST_BYTES = 4 << 20


class Heads:
    """Reads and moves heads as service_role."""

    def __init__(self, target: Target, schema_name: str, timeouts: Timeouts = PATIENT) -> None:
        self._rest = Rest(target, schema_name, timeouts)
        self.name = f"{schema_name}.{schema.HEADS}"

    def follow(self, timeouts: Timeouts) -> None:
        """Other bounds for the next request on."""
        self._rest.follow(timeouts)

    @property
    def timeout_s(self) -> float:
        """How long the last request was given."""
        return self._rest.timeout_s

    async def read(self) -> list[Head]:
        """All rows, the newest epoch first. Raises Transient or Systemic."""
        action = f"read {self.name}"
        return answers.heads(action, await self._rest.get(action, _READ, most_bytes=_MOST_BYTES))

    async def move(
        self, epoch: EpochInfo, *, writer_id: str, table_head: int, journal_head: int, fence: int = 0
    ) -> Head:
        """Make the epoch's row, or move it up, and return it as it is then.

        Idempotent, and never down. What an epoch follows, and what was lost before it, stays as it was said first: readers may have
        crossed it, and who comes later must cross the same. So `ownership.links` takes both from heads where they know the epoch.
        Raises Fenced for a fence below the row's, Transient, Systemic.
        """
        action = f"move {self.name} of {epoch.epoch} to table_head {table_head}, journal_head {journal_head}"
        body = dumps(
            {
                "p_epoch": epoch.epoch,
                "p_writer_id": writer_id,
                "p_fence": fence,
                "p_table_head": table_head,
                "p_journal_head": journal_head,
                "p_prev_epoch": epoch.prev_epoch,
                "p_lost_from": epoch.lost_from,
                "p_lost_to": epoch.lost_to,
                "p_started_at": format_time(epoch.started_at),
            }
        )
        answer = await self._fenced(action, schema.MOVE_HEAD, body, epoch.epoch, writer_id, fence)
        return answers.head(action, answer, epoch.epoch, table_head=table_head, journal_head=journal_head)

    async def begin_at(self, epoch: EpochInfo, *, writer_id: str, tail: int) -> Head:
        """Make the epoch's row where it is not there, and let it begin at `tail`: what was before never comes to the table.

        Idempotent; changes nothing where the table has got further. Raises as `move` does.
        """
        await self.move(epoch, writer_id=writer_id, table_head=0, journal_head=0)
        action = f"let {epoch.epoch} begin at {tail} in {self.name}"
        body = dumps({"p_epoch": epoch.epoch, "p_table_tail": tail})
        answer = await self._rest.post(action, schema.BEGIN_AT, body, prefer="return=representation")
        return answers.head(action, answer, epoch.epoch, table_head=tail - 1, journal_head=0)

    async def set_back(
        self, epoch: EpochInfo, *, writer_id: str, tail: int, head: int, reason: str, fence: int = 0
    ) -> Head:
        """Make the epoch's row where it is not there, and let it promise what lies from `tail` to `head`, and no more.

        The only one that moves a head down. Idempotent. Raises as `move` does.
        """
        await self.move(epoch, writer_id=writer_id, table_head=0, journal_head=0, fence=fence)
        action = f"set {self.name} of {epoch.epoch} back to {head}"
        body = dumps(
            {
                "p_epoch": epoch.epoch,
                "p_writer_id": writer_id,
                "p_fence": fence,
                "p_table_tail": tail,
                "p_table_head": head,
                "p_reason": reason,
            }
        )
        answer = await self._fenced(action, schema.SET_BACK, body, epoch.epoch, writer_id, fence)
        return answers.head(action, answer, epoch.epoch, table_head=head, journal_head=0)

    async def _fenced(
        self, action: str, function: str, body: bytes, epoch: str, writer_id: str, fence: int
    ) -> bytes:
        """Call a function that refuses others. That it does ends this process, so it has to be true: the row says whose it is."""
        try:
            return await self._rest.post(action, function, body, prefer="return=representation", fenced=True)
        except errors.Fenced as refusal:
            row = next((head for head in await self.read() if head.epoch == epoch), None)
            if row is None or (row.writer_id == writer_id and row.fence <= fence):
                raise errors.Nonsense(
                    f"{refusal.what}; and what {self.name} has of {epoch} is nobody else's",
                    do="run `migctl schema verify`: the function that moves heads is another, or something between answers for it",
                ) from refusal
            raise

    async def aclose(self) -> None:
        await self._rest.aclose()
