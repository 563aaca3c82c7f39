"""Report: an experiment's users and figures, a verdict of whether they can be compared, and all of it in a sentence. Pure.

| verdict | when |
|---|---|
| `fail` | the users do not fit the share: whoever was drawn, something else decided, and nothing is compared |
| `inconclusive` | too few users of a variant, or too few blocks of latency |
| `pass` | the comparison holds, whichever way it went |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from migctl.experiments.comparing import ERRORS, LATENCIES, Compared
from migctl.experiments.document import Experiment
from migctl.experiments.statistics import Interval
from migctl.experiments.users import Users

SCHEMA = "migctl.experiment/1"
_P99 = LATENCIES[-1]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """minutes: of evidence; left_out: minutes without, such as an outage. missing: what there is too little of."""

    schema: str = SCHEMA
    flag: str
    since: date
    until: date
    users: Users
    minutes: int
    left_out: int
    comparisons: list[Compared]
    confidence_percent: float
    verdict: Literal["pass", "fail", "inconclusive"]
    missing: list[str]
    sentence: str


def reported(
    flag: str,
    since: date,
    until: date,
    of: Experiment,
    *,
    users: Users,
    variants: Sequence[str],
    comparisons: Sequence[Compared],
    minutes: int,
    left_out: int,
) -> Report:
    """variants: that users are counted of. comparisons: none where the flag is not about transports."""
    missing = [
        f"{users.variants.get(name, 0)} of {of.min_users} users of {name}"
        for name in variants
        if users.variants.get(name, 0) < of.min_users
    ]
    missing += [f"latency: {one.missing}" for one in comparisons if one.missing and one.figure == _P99]
    verdict: Literal["pass", "fail", "inconclusive"] = "inconclusive" if missing else "pass"
    if users.ratio.verdict == "fail":
        verdict = "fail"
        comparisons = [msgspec.structs.replace(one, interval=None) for one in comparisons]
    made = Report(
        flag=flag,
        since=since,
        until=until,
        users=users,
        minutes=minutes,
        left_out=left_out,
        comparisons=list(comparisons),
        confidence_percent=of.confidence_percent,
        verdict=verdict,
        missing=missing,
        sentence="",
    )
    return msgspec.structs.replace(made, sentence=_sentence(made))


def _sentence(of: Report) -> str:
    if of.verdict == "fail":
        worst = max(of.users.ratio.parts, key=lambda one: abs(one.opened - one.expected))
        return (
            f"Nothing is compared: the users do not fit the share ({p_in_words(of.users.ratio.p or 0.0)}). Of {worst.users} at "
            f"{worst.percent:g} % {worst.opened} have it, and about {worst.expected:.0f} were to be expected."
        )
    if of.missing:
        return f"Too little for a verdict: {'; '.join(of.missing)}."
    if not of.comparisons:
        count = sum(of.users.variants.values())
        return f"{count:,} users; nothing else is compared: the variants of {of.flag} are no transports."
    by_name = {one.figure: one for one in of.comparisons}
    percent = f"{of.confidence_percent:g} %"
    errors = by_name[ERRORS]
    words = _latency(by_name[_P99], percent)
    if errors.interval is None:
        return f"{words}; too few errors to compare ({errors.missing})."
    return f"{words}; {_errors(errors.interval, percent)}."


def _latency(one: Compared, percent: str) -> str:
    assert one.interval is not None
    way, between, p = _parts(one.interval)
    how = (
        f"{percent} CI {between}, {p}, paired t-test over {one.blocks} blocks of {one.block_minutes} minutes"
    )
    if _is_shown(one.interval):
        return f"Realtime's p99 was {abs(one.interval.difference):.1f} ms {way} ({how})"
    return (
        f"No difference of p99 was shown: Realtime's was {abs(one.interval.difference):.1f} ms {way} ({how})"
    )


def _errors(interval: Interval, percent: str) -> str:
    way, between, p = _parts(interval, digits=3)
    shown = "its error rate was" if _is_shown(interval) else "no difference of error rate was shown: it was"
    return f"{shown} {abs(interval.difference):.3f} points {way} ({percent} CI {between}, {p})"


def _parts(of: Interval, digits: int = 1) -> tuple[str, str, str]:
    """Lower or higher, the bounds in that direction, and how likely that is by chance."""
    low, high = (of.low, of.high) if of.difference >= 0 else (-of.high, -of.low)
    return (
        "higher" if of.difference >= 0 else "lower",
        f"{low:.{digits}f} to {high:.{digits}f}",
        p_in_words(of.p),
    )


def _is_shown(of: Interval) -> bool:
    return of.low > 0 or of.high < 0


def p_in_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
