"""Is it safe to go on? Everything that a person should look at before another step is taken. Pure.

| hinders                                                            | does not                                       |
|--------------------------------------------------------------------|------------------------------------------------|
| whatever makes the health degraded, a throttle and a drain with it | a backlog that falls                           |
| subscribers of Realtime on fallback                                | a fallback that has ended                      |
| a journal, or its disk, full within the hour at this rate          | one that is full tomorrow                      |
| no window of evidence yet, where a witness is kept                 | no witness, where none is asked for            |
| a last window that failed, or an alert that is raised              | one that had too few events to judge           |
| a rollout that was aborted, or paused by anything but a person     | a rollout that waits for evidence, or a person |

Absence is no reason to go on: what should be there and is not hinders.
"""

from __future__ import annotations

from collections.abc import Iterator

from migctl.status.document import Problem, ServeStatus

FULL_SOON_HOURS = 1.0


def hindrances(of: ServeStatus) -> list[Problem]:
    """The most serious first; empty where it is safe as far as this serve knows."""
    return [*of.health.problems, *_besides(of)]


def _besides(of: ServeStatus) -> Iterator[Problem]:
    fallback, hours = of.fallback, of.journal.full_in_hours
    if fallback is not None and fallback.active:
        yield Problem(
            part="fallback", state="subscribers of Realtime are on the WebSocket", reason=fallback.reason,
            do="wait: they go back by themselves once Realtime is well", since=fallback.since,
        )  # fmt: skip
    if of.journal.full is None and hours is not None and hours < FULL_SOON_HOURS:
        disk = of.journal.full_first == "disk"
        yield Problem(
            part="journal", state=f"{'its disk ' if disk else ''}full in {60 * hours:.0f} min at this rate", reason=None,
            do="make room on the disk now: see what grows there"
            if disk
            else "raise it now: `migctl ctl set journal.max_bytes N`; `migctl journal status` says what holds events back",
        )  # fmt: skip
    if of.witness_silent_s is not None:
        yield from _witness(of)
    rollout = of.stage.rollout if of.stage is not None else None
    if rollout is None:
        return
    if rollout.phase == "aborted":
        yield Problem(
            part="rollout", state="aborted", reason=rollout.reason, since=rollout.since,
            do="mend the cause; then `migctl rollout resume`",
        )  # fmt: skip
    elif rollout.phase == "paused" and rollout.paused_by != "person":
        yield Problem(
            part="rollout", state=f"paused by {rollout.paused_by or 'nobody knows what'}", reason=rollout.reason,
            do="see `migctl rollout status`", since=rollout.since,
        )  # fmt: skip


def _witness(of: ServeStatus) -> Iterator[Problem]:
    """Of one that this serve keeps."""
    witness = of.witness
    if witness is None or witness.window is None:
        yield Problem(
            part="witness", state="no window of evidence yet", reason=None,
            do="wait: the first closes a minute after it began",
        )  # fmt: skip
        return
    if witness.alert is not None:
        yield Problem(
            part="witness", state="alert", reason=witness.alert.reason, since=witness.alert.since,
            do="see `migctl rollout status`",
        )  # fmt: skip
    elif witness.window.fault is not None:
        yield Problem(
            part="witness", state="the last window failed", reason=witness.window.fault,
            do="wait for the next; see `migctl rollout status`", since=witness.window.started_at,
        )  # fmt: skip
