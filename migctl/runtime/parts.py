"""What one `serve` is made of, by its mode: picked here and nowhere else, and given to each other typed.

Making them does nothing yet: no file is opened, nobody is asked. `service` starts and stops them.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migctl.config import Mode, Settings, Target
from migctl.config.assets import config_file
from migctl.errors import Usage
from migctl.experiments.document import read_experiments
from migctl.experiments.exposures import Exposures
from migctl.experiments.keeping import Keeping
from migctl.flags.service import FlagService
from migctl.journal import Journal
from migctl.runtime.change_log import ChangeLog
from migctl.runtime.connections import Connections
from migctl.runtime.flags import EXPERIMENTS_FILE, TRANSPORT, make_flags, record_of
from migctl.runtime.live_settings import LiveSettings, Origin
from migctl.runtime.staged import StagedSettings
from migctl.status import BreakersStatus
from migctl.transports import Transport, TransportName, create

if TYPE_CHECKING:
    from migctl.delivery import Relay
    from migctl.delivery.fallback import Fallback
    from migctl.target import RetryTable
    from migctl.target.authenticated import Authenticated
    from migctl.transports.realtime import Broadcast
    from migctl.transports.websocket import Gateway, Reading


@dataclass(frozen=True, slots=True)
class ToTarget:
    """What carries events to the Supabase project, in the modes that have one.

    retries: writes a dead letter's row after all, for the operator. authenticated: makes tokens of subscribers; None where clients
    bring their own.
    """

    target: Target
    relay: Relay
    broadcast: Broadcast
    retries: RetryTable
    authenticated: Authenticated | None


@dataclass(frozen=True, slots=True)
class Parts:
    """gateway: None in mode realtime. to_target: None in mode websocket. fallback: None unless there are both.

    live: the settings in force. staged: those of the rollout's stage, which lie below; None in mode websocket.
    """

    journal: Journal
    gateway: Gateway | None
    to_target: ToTarget | None
    fallback: Fallback | None
    connections: Connections
    flags: FlagService
    exposures: Exposures
    keeping: Keeping
    live: LiveSettings
    staged: StagedSettings | None = None

    @property
    def relay(self) -> Relay | None:
        return self.to_target.relay if self.to_target is not None else None

    @property
    def transports(self) -> list[Transport]:
        """Those of the mode, the gateway first."""
        broadcast = self.to_target.broadcast if self.to_target is not None else None
        return [one for one in (self.gateway, broadcast) if one is not None]


def make_parts(
    settings: Settings,
    mode: Mode,
    target: Target | None,
    *,
    journal: Journal,
    override: TransportName | None = None,
    stack: AsyncExitStack,
    origin: Origin = lambda _: "default",
    reading: Reading | None = None,
) -> Parts:
    """The parts of this mode over one journal. override: of the flag `transport`. stack: closes their connections at its end.
    origin: what each setting is from. reading: of the old service's frames, where there is one.

    Raises Usage for a mode with Realtime and no target, and where what was kept of flags, or the experiments, can't be read.
    """
    relay = retries = authenticated = None
    if mode != "websocket":
        if target is None:
            raise Usage(f"mode {mode} needs a target", do="set SUPABASE_URL, or serve in mode websocket")
        relay, retries = _relay(settings, target, journal, stack)
        authenticated = authenticated_for(target, settings)
    flags = make_flags(settings, mode, target, override=override, stack=stack)
    experiments = read_experiments(config_file(EXPERIMENTS_FILE))
    exposures, keeping = Exposures(settings.state, experiments), Keeping(settings.state, experiments)
    flags.keep_exposures(exposures)
    if keeping.is_on:
        flags.keep_variants(keeping)
    made = create(
        mode,
        settings,
        journal=journal,
        target=target,
        table=relay,
        flags=flags,
        authenticated=authenticated,
        reading=reading,
    )
    gateway, broadcast = made.gateway, made.broadcast
    changes = ChangeLog(settings.state)
    if relay is None or retries is None or target is None or broadcast is None:
        live = LiveSettings(settings, changes, origin=origin)
        _follow(live, journal, gateway)
        return Parts(
            journal, gateway, None, None, Connections(None, None, gateway), flags, exposures, keeping, live
        )
    connections = Connections(relay, broadcast, gateway)
    fallback = None
    if gateway is not None:
        from migctl.delivery.fallback import Fallback

        fallback = Fallback(
            journal,
            relay,
            connections.breakers,
            gateway.announce,
            gateway.count_v2,
            settings,
            withheld=lambda: _withheld(settings, relay),
        )
        gateway.withhold_while(lambda: _is_open(connections.breakers()))
    to_target = ToTarget(target, relay, broadcast, retries, authenticated)
    staged = StagedSettings(settings, TRANSPORT.flag, record_of(settings, target))
    stack.push_async_callback(staged.aclose)
    live = LiveSettings(settings, changes, origin=origin, stage=staged.names)
    staged.follow(live.rest_on)
    _follow(live, journal, gateway)
    for one in (relay, broadcast, fallback):
        if one is not None:
            live.follow(one.follow)
    return Parts(journal, gateway, to_target, fallback, connections, flags, exposures, keeping, live, staged)


def authenticated_for(target: Target, settings: Settings) -> Authenticated | None:
    """None where clients bring their own tokens. With keys of older projects, where nothing was ever needed for `serve` to start,
    that is only warned of. Else raises Usage where nothing makes them.
    """
    from migctl.config.api_keys import is_token
    from migctl.target.authenticated import Current, Nobody, need_authenticated
    from migctl.telemetry import get_logger

    try:
        found = need_authenticated(target, settings)
    except Nobody as error:
        if not settings.realtime.clients_bring_tokens:
            if not is_token(target.anon_key or ""):
                raise
            get_logger("serve").warning(
                "clients have to bring their own tokens", reason=error.what, do=error.do
            )
        found = None
    return Current(target, settings, found) if found is not None else None


def _follow(live: LiveSettings, journal: Journal, gateway: Gateway | None) -> None:
    """Those that every mode has."""

    def keep_by(settings: Settings) -> None:
        of = settings.journal
        journal.keep_by(
            retain_hours=of.retain_hours,
            retain_min_events=of.retain_min_events,
            max_bytes=of.max_bytes,
            min_free_bytes=of.min_free_bytes,
        )

    live.follow(keep_by)
    if gateway is not None:
        live.follow(
            lambda of: gateway.follow(of.gateway, joins_per_s=of.realtime.joins_per_s, legacy=of.legacy)
        )


def _withheld(settings: Settings, relay: Relay) -> str | None:
    """Where live events come from the table's changes, a relay that holds its writing holds them too."""
    if settings.realtime.live != "postgres_changes" or relay.throttle.held is None:
        return None
    return f"the relay is throttled: {relay.throttle.held.reason}"


def _is_open(breakers: BreakersStatus) -> bool:
    return any(of.state == "open" for _, of in breakers.parts())


def _relay(
    settings: Settings, target: Target, journal: Journal, stack: AsyncExitStack
) -> tuple[Relay, RetryTable]:
    from migctl.delivery import Relay
    from migctl.delivery.touching import Touch
    from migctl.target import Heads, RetryTable, TableWriter

    schema = settings.supabase.schema_
    timeouts = settings.resilience.request_timeout
    writer, heads = TableWriter(target, schema, timeouts), Heads(target, schema, timeouts)
    retries = RetryTable(target, schema)
    for part in (writer, heads, retries):
        stack.push_async_callback(part.aclose)
    touch = None
    if settings.realtime.live == "postgres_changes":
        touch = Touch(Heads(target, schema), journal.writer_id)
        stack.push_async_callback(touch.aclose)
    return Relay(journal, writer, heads, settings, touch=touch), retries
