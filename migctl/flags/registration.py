"""Registration: a process that evaluates flags says so in the record, so that whoever changes one knows who did not confirm.

Each start has an id of its own. One that was killed is taken out of the record by the next start of the same state folder; after a
clean stop nobody is listed.
"""

from __future__ import annotations

from collections.abc import Sequence

from migctl.errors import MigctlError
from migctl.flags.disk import Process, Processes, ProcessesFile, same_processes
from migctl.flags.record import Record
from migctl.telemetry import get_logger

# So often the record hears that it still lives.
RENEW_EVERY_S = 30.0

log = get_logger("flags")


class Registration:
    """Of one process. record: None where there is none; then nobody is told. id: of this start. name: for people, `host:pid`.

    file: without one an entry is left behind by a kill.
    """

    def __init__(self, record: Record | None, process_id: str, name: str, file: ProcessesFile | None) -> None:
        self.id = process_id
        self.name = name
        self.url: str | None = None  # where its `serve` listens
        self._record = record
        self._file = file
        kept = file.read(record.name) if file is not None and record is not None else Processes("")
        self.known: tuple[Process, ...] = kept.known
        self._earlier = kept.mine
        self._renewed_at: float | None = None
        self._registered_url: str | None = None

    async def renew(self, now: float) -> None:
        """Register where it is due and can be reached, and take earlier starts out. now: monotonic seconds.

        Raises Transient, Systemic.
        """
        if self._record is None or self.url is None:
            return
        at = self._renewed_at
        if at is not None and now - at < RENEW_EVERY_S and self._registered_url == self.url:
            return
        if at is None:
            self._keep(
                self.known, (*self._earlier, self.id)
            )  # before: a kill in between leaves what is known
        url = self.url
        known = await self._record.register(self.id, self.name, url)
        ended, self._earlier = self._earlier, ()
        try:
            for earlier in ended:
                await self._record.deregister(earlier)
        except MigctlError:
            self._earlier = ended
            raise
        self._renewed_at, self._registered_url = now, url
        self.known = tuple(one for one in known if one.id not in ended)
        if at is None or ended:
            self._keep(self.known, (self.id,))

    def heard(self, known: Sequence[Process]) -> None:
        """All that the record lists now."""
        is_news = not same_processes(known, self.known)
        self.known = tuple(known)
        if is_news:
            self._keep(self.known, (*self._earlier, self.id))

    async def end(self) -> None:
        """A clean stop. Raises Transient, Systemic; the next start takes it out then."""
        if self._record is None or self._renewed_at is None:
            return
        await self._record.deregister(self.id)
        self._renewed_at = None
        self._keep([one for one in self.known if one.id != self.id], self._earlier)

    def _keep(self, known: Sequence[Process], mine: Sequence[str]) -> None:
        if self._file is None or self._record is None:
            return
        try:
            self._file.write(Processes(self._record.name, tuple(known), tuple(mine)))
        except MigctlError as error:
            log.warning("the list of processes can't be kept", reason=error.what, do=error.do)
