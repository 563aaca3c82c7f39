"""A Service put together as the settings and the environment say: what `migctl serve` runs, and a publisher beside its own work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from migctl.config import Settings, flag, secret
from migctl.runtime.closing import closed_before, remarks
from migctl.runtime.feed import Source
from migctl.runtime.service import Service
from migctl.runtime.target import resolve
from migctl.server import kill_switch
from migctl.server.access.held import HeldTokens
from migctl.server.access.tokens import parse_tokens

if TYPE_CHECKING:
    from migctl.ingest.mapping import Mapper
    from migctl.transports.websocket import Reading


async def compose(
    settings: Settings,
    *,
    source: Source | None = None,
    mapper: Mapper | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Service:
    """mapper: of an old service's frames; default: of the settings.
    notify: is told what an operator must hear, such as that the embedded stack is started here.

    Raises Usage where the target lacks a part or a token can't be read, Transient where the embedded stack does not come up.
    """
    target, closed = None, await closed_before(settings)
    override = flag("transport")
    if closed:
        for line in remarks(settings, override):
            notify(line)
        settings = settings.model_copy(update={"mode": "realtime"})
        override = None
    if settings.mode != "websocket":
        target = await resolve(settings, need=("anon_key", "service_role_key"), notify=notify)
    return Service(
        settings=settings,
        mode=settings.mode,
        target=target,
        source=source,
        reading=_reading(settings, source, mapper, notify),
        notify=notify,
        override=kill_switch(settings.mode, override),
        tokens=HeldTokens(parse_tokens(secret("MIGCTL_TOKENS")), folder=settings.state),
    )


def _reading(
    settings: Settings, source: Source | None, mapper: Mapper | None, notify: Callable[[str], None]
) -> Reading | None:
    """None where there is no old service behind us."""
    url = settings.legacy.upstream
    if url is None or settings.mode == "realtime":
        return None
    from migctl.ingest import parse_map
    from migctl.ingest.frames import reader
    from migctl.ingest.tap import TapSource
    from migctl.transports.websocket import Reading

    mapper = mapper or parse_map([], settings.source)
    if settings.legacy.serve == "journal" and not mapper.ignore:
        notify(
            "legacy.serve is journal, and source.ignore names nothing: greetings and replies of the old service count as events, "
            "and don't reach its dashboards"
        )
    events_in = reader(mapper)
    if isinstance(source, TapSource) and source.url == url:
        return Reading(events_in, source.tapped)
    return Reading(events_in)
