"""Source: what `serve --source` names. One Protocol, and the place that picks.

A source runs beside the journal until it is done or cancelled; whatever can be mended by waiting it waits for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from migctl import redaction
from migctl.errors import Usage
from migctl.ingest.mapping import Mapper
from migctl.ingest.rejected import Rejected
from migctl.journal import Journal
from migctl.status import AnySource

if TYPE_CHECKING:
    from migctl.ingest.file import Follow
    from migctl.transports.dialing import Keeping


class Source(Protocol):
    """Brings events to the journal."""

    async def run(self, journal: Journal) -> None:
        """Read until the end (a file) or until cancelled (a tap, the host). A full journal or a lost upstream is waited out.

        Raises MigctlError where waiting won't help.
        """
        ...

    def status(self) -> AnySource:
        """For `/api/status`: kind, source, state, why it waits, counts."""
        ...


def open_source(
    spec: str,
    *,
    mapper: Mapper | None = None,
    state_dir: Path,
    rate: float | None = None,
    follow: Follow | None = None,
    waits: bool = False,
    keeping: Keeping | None = None,
) -> Source:
    """The source that `spec` names: `-`, `host`, `ws://...` or `wss://...`, else a file.

    rate: events per second of `host`, all types together; other sources have their own pace.
    follow, waits: of a file, as FileSource has them. keeping: of a WebSocket, when it is given up.
    Nothing is read before `run`. Raises Usage where the spec can't be meant, or names no file that can be read.
    """
    mapper = mapper or Mapper()
    rejected = Rejected(state_dir / "rejected.ndjson")
    redaction.know_address(spec if "://" in spec else None)
    if rate is not None and spec != "host":
        raise Usage(
            f"--rate has no meaning for the source {spec}", do="leave it out; only --source host has a rate"
        )
    if rate is not None and not rate > 0:
        raise Usage(
            f"--rate {rate:g}: expected more than 0 events per second", do="leave it out for the default"
        )
    if follow is not None and (spec in ("-", "host") or "://" in spec):
        raise Usage(
            f"--follow has no meaning for the source {spec}", do="leave it out; only a file is followed"
        )
    if spec == "host":
        from migctl.ingest.host import HostSource

        return HostSource(rejected=rejected, state_dir=state_dir, rate=rate)
    scheme = urlsplit(spec).scheme if "://" in spec else ""
    if scheme in ("ws", "wss"):
        from migctl.ingest.tap import TapSource

        return TapSource(spec, mapper=mapper, rejected=rejected, state_dir=state_dir, keeping=keeping)
    if scheme:
        raise Usage(
            f"--source {spec}: {scheme}:// is no source",
            do="name a WebSocket (ws:// or wss://), a file, - for stdin, or host",
        )
    from migctl.ingest.file import FileSource

    return FileSource(spec, mapper=mapper, rejected=rejected, follow=follow, waits=waits)
