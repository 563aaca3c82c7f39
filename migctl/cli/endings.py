"""Which exit codes each command can end with: declared here, shown by its --help, and run into by tests/cli/exits.

Beside `exits.ALWAYS`, which all have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migctl.exits import ALWAYS, Exit

_NOTHING: tuple[Exit, ...] = ()
_W = (Exit.WANTING,)
_S = (
    Exit.REFUSED,
)  # settings, or a state folder, that others can write to; often also what was not confirmed
_U = (Exit.UNREACHABLE,)

OWN: dict[str, tuple[Exit, ...]] = {
    "demo": _W + _U + _S,
    "stack up": _S,
    "stack down": _S,
    "stack stop": _U + _S,
    "stack start": _U + _S,
    "stack status": _W + _S,
    "stack logs": _S,
    "stack env": _S,
    "stack fault": _U + _S,
    "schema plan": _U + _S,
    "schema apply": _U + _S,
    "schema status": _W + _U + _S,
    "schema verify": _W + _U + _S,
    "schema rollback": _U + _S,
    "schema repair": _U + _S,
    "schema prune": _W + _U + _S,
    "schema export": _S,
    "config check": _NOTHING,
    "config show": _S,
    "config schema": _NOTHING,
    "map preview": _W + _U + _S,
    "serve": _W + _U + _S,
    "status": _W + _U + _S,
    "top": _S,
    "ctl get": _U + _S,
    "ctl set": _U + _S,
    "ctl unset": _U + _S,
    "ctl throttle": _U + _S,
    "ctl no-throttle": _U + _S,
    "ctl history": _S,
    "clients": _W + _U + _S,
    "sources": _U + _S,
    "subscribers": _U + _S,
    "tail": _U + _S,
    "rollout status": _W + _S,
    "rollout plan": _S,
    "rollout history": _U + _S,
    "rollout set": _W + _U + _S,
    "rollout run": _W + _S,
    "rollout promote": _W + _U + _S,
    "rollout pause": _U + _S,
    "rollout resume": _U + _S,
    "rollout revert": _W + _U,
    "rollout abort": _W,
    "rollout complete": _W + _U + _S,
    "rollout signoff": _W + _U + _S,
    "flags list": _U + _S,
    "flags show": _U + _S,
    "flags eval": _W + _U + _S,
    "flags export": _U + _S,
    "flags history": _U + _S,
    "flags set": _W + _U + _S,
    "flags enable": _W + _U + _S,
    "flags disable": _W + _U + _S,
    "flags assign": _W + _U + _S,
    "flags import": _W + _U + _S,
    "flags processes": _W + _S,
    "flags experiment report": _W + _S,
    "rejected list": _S,
    "rejected show": _S,
    "rejected retry": _W + _S,
    "rejected dismiss": _S,
    "deadletter list": _S,
    "deadletter show": _S,
    "deadletter retry": _W + _U + _S,
    "deadletter dismiss": _S,
    "deadletter accept": _U + _S,
    "capture": _W + _U + _S,
    "replay": _W + _S,
    "validate watch": _W + _S,
    "validate report": _W,
    "drill run": _W + _U + _S,
    "drill list": _S,
    "drill show": _NOTHING,
    "drill history": _S,
    "drill clean": _W + _S,
    "drill proxy": _U,
    "journal status": _S,
    "journal export": _W + _S,
    "journal verify": _W + _S,
    "journal backup": _S,
    "journal restore": _W + _S,
    "journal adopt": _U + _S,
    "token mint": _NOTHING,
    "token list": _U + _S,
    "token revoke": _U + _S,
    "dashboard build": _U,
}


def codes(command: str) -> list[Exit]:
    """All of one command, the smallest first."""
    return sorted({*ALWAYS, *OWN.get(command, ())})


def explain(group: Any) -> None:
    """Let every command below this group say its codes at the end of its help."""
    for words, command in commands(group):
        own = (code for code in codes(" ".join(words)) if code < Exit.OURS)
        listed = ", ".join(f"{code.value} {code.word}" for code in own)
        command.epilog = f"Exit codes: {listed}; see `migctl help exit-codes`."


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each that is shown and does something, with its words."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command
