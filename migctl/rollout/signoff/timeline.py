"""Timeline: what happened, by whom, and why; and how many had Realtime from when on. Pure.

A share that rises in the same write as the rollout's state is one entry with it, as is the lower row that a brake leaves.
"""

from __future__ import annotations

import msgspec

from migctl.flags.shares import ALL, EVERYTHING
from migctl.rollout.signoff.document import Entry, SharePoint
from migctl.rollout.signoff.moves import ROLLOUT, Move, Moves
from migctl.rollout.walk import State
from migctl.rollout.wording import PAUSED_BY

_WHAT = {
    "begin": "{stage} begins",
    "settling": "everybody has moved, or had the time to",
    "soaking": "the soak begins",
    "judged": "{stage} has passed: every gate holds",
    "done": "every stage has passed",
    "promote": "{stage} begins, by promotion",
    "promote-forced": "{stage} begins, by force",
    "without_drills": "{stage} begins, without the drills of the stage before",
    "set": "a share was set by hand; the rollout waits in {stage}",
    "revert": "back to {stage}",
    "resume": "{stage} goes on, with a soak of its own",
    "pause": "the walk pauses, by {paused}",
    "abort": "aborted",
    "complete-forced": "switching the WebSocket off begins, by force",
    "complete-rampdown": "switching the WebSocket off begins: it is still fed",
    "complete-draining": "the WebSocket drains",
    "complete-completed": "the WebSocket is switched off",
    "reopen": "the WebSocket is open again, or stays so",
}


def timeline_of(moves: Moves) -> list[Entry]:
    """In order."""
    found: list[Entry] = []
    stage: str | None = None
    last: Move | None = None
    for move in moves.moves:
        if move.state is not None:
            stage = move.state.stage
        if found and last is not None and _belongs(move, last):
            before = found.pop()
            what = before.what if last.brake is not None else f"{before.what}; {_share(move)}"
            found.append(msgspec.structs.replace(before, what=what))
        elif not _only_opens(move):
            found.append(
                Entry(
                    at=move.at, kind=_kind(move), stage=stage, what=_what(move), who=move.who, why=_why(move)
                )
            )
        last = move
    return sorted(found, key=lambda one: one.at)


def points_of(moves: Moves) -> list[SharePoint]:
    """Each change of the share of all in force, in order; of more at one moment the last."""
    found: list[SharePoint] = []
    for move in sorted(moves.moves, key=lambda one: one.at):
        if found and found[-1].at == move.at:
            found.pop()
        if not found or found[-1].percent != move.share:
            found.append(SharePoint(move.at, move.share))
    return found


def _belongs(move: Move, last: Move) -> bool:
    """Whether a row of flags came in the same write as what stands before it."""
    if move.words is None or move.state is not None:
        return False
    if last.brake is not None:
        return move.action == "flags.down" and (move.who, move.why) == (last.who, last.why)
    return last.state is not None and (move.at, move.who) == (last.at, last.who)


def _only_opens(move: Move) -> bool:
    """The walker's own raise: the write in which its share came, after the one in which the stage began."""
    state, before = move.state, move.before
    return (
        move.action == "rollout.begin"
        and state is not None
        and before is not None
        and (state.step_id, state.phase, before.phase) == (before.step_id, "moving", "moving")
    )


def _kind(move: Move) -> str:
    return move.action.removeprefix(ROLLOUT).removeprefix("flags.")


def _what(move: Move) -> str:
    if move.brake is not None:
        split = {ALL: "all", EVERYTHING: "everything"}.get(move.brake.split, f"segment {move.brake.split}")
        return f"a brake: {split} at most {move.brake.max_percent:g} %"
    if move.state is None:
        return _share(move)
    text = _WHAT.get(_kind(move))
    if text is None:
        return _kind(move)
    if _kind(move) == "soaking":
        text = _soaking(move.before, move.state)
    elif _kind(move) == "settling" and move.state.marker is not None:
        text = f"a marker is placed at {move.state.marker}"
    return text.format(stage=move.state.stage, paused=PAUSED_BY[move.state.paused or "person"])


def _soaking(before: State | None, state: State) -> str:
    if before is None or before.phase == "settling":
        return "the marker is out of both transports; the soak begins"
    again = before.soak_from != state.soak_from
    return "the soak begins again" if again else "the soak goes on"


def _share(move: Move) -> str:
    parts = [f"{move.words[0]} -> {move.words[1]}"] if move.words is not None else []
    if move.lifted:
        parts.append(f"{len(move.lifted)} brake{'s' if len(move.lifted) != 1 else ''} lifted")
    if move.note is not None:
        parts.append(move.note)
    return ", ".join(parts) or "the flags were written"


def _why(move: Move) -> str | None:
    """The walker's own words, where it had some: else the reason of whoever let it walk."""
    return move.why or (move.state.reason if move.state is not None else None)
