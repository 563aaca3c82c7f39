"""Wording: what has come to be of a rollout, for people. Pure."""

from __future__ import annotations

from migctl.rollout.walk import PauseKind, Phase, State


def words(state: State) -> str:
    """What has come to be, for people."""
    return state.reason or _WORDS[state.phase]


_WORDS: dict[Phase, str] = {
    "moving": "the stage begins",
    "settling": "everybody has moved, or had the time to",
    "soaking": "the marker came out of both transports",
    "judged": "every gate passed",
    "paused": "it waits",
    "aborted": "it was taken back",
    "done": "every stage has passed",
}
PAUSED_BY: dict[PauseKind, str] = {
    "person": "a person",
    "no_data": "missing evidence",
    "gate": "a gate",
    "brake": "a brake",
    "settling": "a marker that did not come",
}
