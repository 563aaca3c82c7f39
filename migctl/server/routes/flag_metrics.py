"""Metrics of flags: what is held, what of it is in force, and how old it is. Part of `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import Metric

from migctl.server.routes.families import Labels, gauge, gauges, states
from migctl.status import FlagsStatus, FlagTierState, SharesStatus

FLAG_TIER_STATES: tuple[str, ...] = get_args(FlagTierState)


def of_flags(flags: FlagsStatus) -> Iterator[Metric]:
    yield gauge("migctl_flags_version", "n of the flag set in use; 0 before the first.", flags.n)
    yield gauge(
        "migctl_flags_unreadable_version", "n of a newer one that can't be read; else 0.", flags.unreadable_n
    )
    yield gauge("migctl_flags_blind", "1 until the record was reached once.", float(flags.blind))
    yield gauge(
        "migctl_flags_confirms", "1 where a brake that is heard outlives this process.", float(flags.confirms)
    )
    yield gauges(
        "migctl_flags_share_percent",
        "Of the split, how many have Realtime: as it is written, and what brakes leave of it.",
        [*_shares("written", flags.written), *_shares("effective", flags.effective)],
    )
    yield gauges(
        "migctl_flags_assigned_users",
        "Users who are assigned to Realtime by name.",
        [({"share": name}, of.users) for name, of in _both(flags)],
    )
    yield gauges(
        "migctl_flags_brake_percent",
        "A brake in force: the most that it leaves.",
        [({"brake": one.id, "split": one.split}, one.max_percent) for one in flags.brakes],
    )
    yield states(
        "migctl_flags_tier_state",
        "1 for the state that this place of flags is in.",
        "tier",
        [(name, tier.state, FLAG_TIER_STATES) for name, tier in flags.tiers.items()],
    )
    yield gauges(
        "migctl_flags_tier_age_seconds",
        "How long ago it last said something.",
        [({"tier": name}, tier.age_s) for name, tier in flags.tiers.items() if tier.age_s is not None],
    )


def _both(flags: FlagsStatus) -> Iterator[tuple[str, SharesStatus]]:
    if flags.written is not None:
        yield "written", flags.written
    if flags.effective is not None:
        yield "effective", flags.effective


def _shares(name: str, of: SharesStatus | None) -> Iterator[tuple[Labels, float]]:
    if of is None:
        return
    yield {"share": name, "split": "all"}, of.percent
    yield {"share": name, "split": "assigned"}, of.assigned_percent
    for segment, percent in of.segments.items():
        yield {"share": name, "split": f"segment.{segment}"}, percent
