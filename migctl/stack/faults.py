"""Faults of a running stand-in, switched from outside with the stack's service key."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from migctl.config import Target
from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.stack.standin.faults import FAULTS, NAMES

__all__ = ["FAULTS", "NAMES", "clear", "switch_on", "switched"]

_PATH = "/standin/v1/faults"
_ANSWER_S = 10.0


def switched(target: Target) -> list[dict[str, Any]]:
    """Each fault: name, what, concerns, lasting, on, left_seconds, taken. Raises Transient where the stand-in can't be reached."""
    return _ask(target, "GET", _PATH)


def switch_on(target: Target, name: str, *, for_s: float | None = None) -> list[dict[str, Any]]:
    """Switch a fault on. for_s: seconds; None: until `clear`, or, for a blow, once. Raises Usage for a name that is none."""
    _known(name)
    return _ask(target, "PUT", f"{_PATH}/{quote(name)}", {} if for_s is None else {"for": repr(for_s)})


def clear(target: Target, name: str | None = None) -> list[dict[str, Any]]:
    """Switch one off, or all."""
    if name is not None:
        _known(name)
    return _ask(target, "DELETE", _PATH if name is None else f"{_PATH}/{quote(name)}")


def _known(name: str) -> None:
    if name not in NAMES:
        raise Usage(f"there is no fault {name!r}", do=f"one of: {', '.join(NAMES)}")


def _ask(
    target: Target, method: str, path: str, params: dict[str, str] | None = None
) -> list[dict[str, Any]]:
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
        found: list[dict[str, Any]] = answer.json()
        return found
    what = f"{target.supabase_url}{path}: HTTP {answer.status_code} {answer.text[:200]}"
    if answer.status_code == 422:
        raise Usage(what, do="--for takes seconds above 0")
    if answer.status_code == 404:
        raise MigctlError(
            f"{what}: this stand-in has no faults",
            do="it is of an older version: migctl stack down, then migctl stack up",
        )
    raise Systemic(what, do="faults are for the embedded stack of this folder: migctl stack status")
