"""Faults of a running stand-in, switched from outside with the stack's service key."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import msgspec

from migctl.config import Target
from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.events.jsontext import read_as
from migctl.redaction import beginning
from migctl.stack.standin.faults import FAULTS, NAMES

_PATH = "/standin/v1/faults"
_ANSWER_S = 10.0


class Switch(msgspec.Struct, frozen=True):
    """A fault and whether it is on.

    what: is lost, and how. concerns: who loses by it. lasting: stays on until it is cleared; else it is a blow.
    left_seconds: how long it stays on; None for without an end. taken: events that it took.
    """

    name: str
    what: str
    concerns: Literal["postgres_changes", "all"]
    lasting: bool
    on: bool = False
    left_seconds: float | None = None
    taken: int = 0


def off() -> list[Switch]:
    """Each fault that there is, as none is on while no stand-in runs."""
    return [Switch(each.name, each.what, each.concerns, each.lasting) for each in FAULTS.values()]


def switched(target: Target) -> list[Switch]:
    """Each fault. Raises Transient where the stand-in can't be reached."""
    return _ask(target, "GET", _PATH)


def switch_on(target: Target, name: str, *, for_s: float | None = None) -> list[Switch]:
    """Switch a fault on. for_s: seconds; None: until `clear`, or, for a blow, once. Raises Usage for a name that is none."""
    _known(name)
    return _ask(target, "PUT", f"{_PATH}/{quote(name)}", {} if for_s is None else {"for": repr(for_s)})


def clear(target: Target, name: str | None = None) -> list[Switch]:
    """Switch one off, or all."""
    if name is not None:
        _known(name)
    return _ask(target, "DELETE", _PATH if name is None else f"{_PATH}/{quote(name)}")


def _known(name: str) -> None:
    if name not in NAMES:
        raise Usage(f"there is no fault {name!r}", do=f"one of: {', '.join(NAMES)}")


def _ask(target: Target, method: str, path: str, params: dict[str, str] | None = None) -> list[Switch]:
    import httpx

    key = target.need("service_role_key")
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    try:
        answer = httpx.request(
            method,
            target.supabase_url + path,
            params=params,
            headers=headers,
            timeout=_ANSWER_S,
            trust_env=False,
        )
    except httpx.TransportError as error:
        raise Transient(
            f"the stand-in at {target.supabase_url} does not answer: {error or type(error).__name__}",
            do="migctl stack up",
        ) from None
    if answer.status_code == 200:
        try:
            return read_as(answer.content, list[Switch])
        except msgspec.DecodeError as error:
            raise Systemic(
                f"{target.supabase_url}{path}: no answer of a stand-in: {error}",
                do="it is of another version: migctl stack down, then migctl stack up",
            ) from None
    what = f"{target.supabase_url}{path}: HTTP {answer.status_code} {beginning(answer.text, 200)}"
    if answer.status_code == 422:
        raise Usage(what, do="--for takes seconds above 0")
    if answer.status_code == 404:
        raise MigctlError(
            f"{what}: this stand-in has no faults",
            do="it is of an older version: migctl stack down, then migctl stack up",
        )
    raise Systemic(what, do="faults are for the embedded stack of this folder: migctl stack status")
