"""What an answer or a failed request of Supabase means: Transient, Systemic or Poison. Pure.

The SQLSTATE counts for more than the HTTP status: PostgREST answers 500 to a missing privilege and to a serialization failure
alike. What is not known is systemic: an event is blamed only for what the database itself says of its value, and only where events
were written. Who reads, or moves heads, has sent no value that could be at fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import httpx

from migctl.errors import MigctlError, Poison, Refused, Systemic, Transient
from migctl.events.jsontext import dumps, loads, type_word
from migctl.redaction import beginning
from migctl.target.schema import TAKEN_POSITION

# What httpx raises for a request that came to nothing. AttributeError is no mistake of ours: under uvloop a connection that is
# reset before it is used has no socket any more, and anyio asks it for its peer.
FAILED_REQUEST = (httpx.HTTPError, httpx.InvalidURL, AttributeError)

_MOST_CHARS = 300
_MOST_READ = 1 << 17

# A code that is spelled otherwise is not the database's, and says nothing.
_CODE = re.compile(r"[0-9A-Z]{5}|PGRST[0-9A-Z]{3}")
_POISON = re.compile(r"22|23|54")
_SYSTEMIC = re.compile(r"42|25006|PGRST1|PGRST2|0A|3F|28")
_TRANSIENT = re.compile(r"08|53|55|57|40|58|XX|25|PGRST0")
_FENCED = "PT409"

_NOT_THE_PROJECT = "set SUPABASE_URL to the project's address: a proxy or another service answered; else run `migctl schema verify`"


class TimedOut(Transient):
    """Nothing was heard in time. Whether the other side got the request is not known; the next attempt has more time."""


class Unauthorized(Systemic):
    """401: the key is not taken. Once in a row it is retried like a transient error, since a key may just have been renewed."""


class Nonsense(Systemic):
    """A 2xx that says nothing of what was asked: another service answered, or something between. It may be the last to do so."""


class TooLarge(Nonsense):
    """The answer was not read to its end: it is larger than what was asked for can be."""


class JournalRegressed(Systemic):
    """The table has another event under this (epoch, seq): an older copy of the journal was put back."""


class Rejected(Poison):
    """The table refuses the value. code: SQLSTATE, or the HTTP status as text; reason: the database's own words."""

    def __init__(self, what: str, *, do: str, code: str, reason: str) -> None:
        super().__init__(what, do=do)
        self.code = code
        self.reason = reason


class Fenced(Refused):
    """Heads belong to another writer, or another relay holds a newer lease: this one must not write any more."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What the error body says; empty strings where it says nothing."""

    code: str = ""
    message: str = ""
    details: str = ""
    hint: str = ""


def error_body(body: bytes) -> ErrorBody:
    """Read PostgREST's `{"code","message","details","hint"}`, Realtime's `{"error"}`, or a page of some proxy between.

    Whatever came, what is returned is text: short, on one line, fit for a terminal and a log.
    """
    try:
        parsed = loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return ErrorBody(message=short(body))

    def text(*keys: str) -> str:
        return next((value for key in keys if isinstance(value := parsed.get(key), str)), "")

    code = text("code")
    return ErrorBody(
        code=code if _CODE.fullmatch(code) else "",
        message=short(text("message", "error", "msg")),
        details=short(text("details")),
        hint=short(text("hint")),
    )


def of_answer(
    action: str,
    status: int,
    body: bytes,
    *,
    retry_401: bool = False,
    blames: bool = False,
    fenced: bool = False,
    refusals: Mapping[str, type[MigctlError]] = MappingProxyType({}),
) -> MigctlError:
    """The error that an answer other than 2xx stands for.

    action: what was tried, for the message, with the seqs it speaks of ("write seq 5 to 9 of E").
    retry_401: the call before this one went through, so that a 401 is worth one more try.
    blames: events or messages were sent, and one of them may be at fault: only then is there a Rejected.
    fenced: heads were moved, and they may belong to another: only then is there a Fenced.
    refusals: codes by which a function of ours says no, and what each is.
    """
    error = error_body(body)
    code = error.code
    reason = f"{code}: {error.message}" if code else error.message
    what = f"{action}: HTTP {status}" + (f", {reason}" if reason else "")

    if code in refusals:
        return refusals[code](error.message or what, do=error.hint or "look at it, and try again")

    if code == _FENCED and fenced:
        return Fenced(what, do=error.hint or "stop this process: another one has taken over")
    # 42501 comes with 401 where the key is good and is the one of `anon`: then it is the key of a client.
    if status == 401 and code != "42501":
        kind = Transient if retry_401 else Unauthorized
        return kind(
            what,
            do="check SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY): it must be this project's, and not expired",
        )
    if code == "23505" and _names_position(error):
        return JournalRegressed(
            f"{what}: the table has another event at this position",
            do=(
                "an older journal was put back: stop serve, and bring back the journal that wrote the table (MIGCTL_JOURNAL=PATH). "
                "If that is gone: keep this one aside (`migctl journal export`), begin a new one with "
                "`migctl journal adopt --reason '...'`, and post what was exported: what the table has is known by its id"
            ),
        )
    # 413 without an SQLSTATE comes from PostgREST or a proxy, and means the request, be it one event or many.
    if (code and _POISON.match(code)) or (status == 413 and not code):
        return _of_value(what, error, status) if blames else Systemic(what, do=_way_out(status, code))
    if code and _SYSTEMIC.match(code):
        return Systemic(what, do=_way_out(status, code))
    if status != 540 and (
        status in (408, 425, 429) or status >= 500 or (code and bool(_TRANSIENT.match(code)))
    ):
        return Transient(what, do="look at the project's health; a running serve goes on trying by itself")
    return Systemic(what, do=_way_out(status, code))


def _of_value(what: str, error: ErrorBody, status: int) -> Rejected:
    return Rejected(
        what,
        do="look at the event; it is kept as a tombstone and as a dead letter",
        code=error.code or str(status),
        reason=error.message or f"HTTP {status}",
    )


def of_exception(action: str, error: httpx.HTTPError | httpx.InvalidURL | AttributeError) -> MigctlError:
    """The error that a failed request (FAILED_REQUEST) stands for. Whether the other side got the request is not known."""
    what = f"{action}: {words(error)}"
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects)):
        return Systemic(
            what, do="set SUPABASE_URL to the project's address, such as https://PROJECT.supabase.co"
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Systemic(
            what, do="the certificate is not trusted: check SUPABASE_URL and this machine's CA store"
        )
    return Transient(
        what, do="see whether the target is up, at SUPABASE_URL; a running serve goes on trying by itself"
    )


def words(error: httpx.HTTPError | httpx.InvalidURL | AttributeError) -> str:
    """What failed. Raises an AttributeError that is not the one which a reset connection causes."""
    if not isinstance(error, AttributeError):
        return type(error).__name__ + (f": {error}" if str(error) else "")
    if error.name not in ("getpeername", "getsockname") or error.obj is not None:
        raise error
    return "the connection was reset"


def timed_out(action: str, what: str, seconds: float) -> TimedOut:
    """what: "no answer" or "no connection", within these seconds."""
    return TimedOut(
        f"{action}: {what} within {seconds:.3g} s",
        do="see whether the target is up, at SUPABASE_URL; a running serve goes on trying by itself, with more time",
    )


def unreadable(action: str, body: bytes, why: str) -> Nonsense:
    """A 2xx whose body is not what was asked for: some other service answers at this address."""
    return Nonsense(
        f"{action}: the answer is not what was asked for ({short(why)}): {short(body)!r}",
        do=_NOT_THE_PROJECT,
    )


def too_large(action: str, most_bytes: int) -> TooLarge:
    """A 2xx whose body goes on after all that could have been asked for."""
    return TooLarge(
        f"{action}: the answer is not what was asked for: it is above {most_bytes} bytes", do=_NOT_THE_PROJECT
    )


def _names_position(error: ErrorBody) -> bool:
    key, constraint = TAKEN_POSITION
    return key in error.details or constraint in error.message


def _way_out(status: int, code: str) -> str:
    if code == "25006":
        return (
            "the database is read-only: free disk space or end the read-only mode in the project's dashboard"
        )
    if status == 540:
        return "the project is paused: restore it in the dashboard"
    if status == 413:
        return "allow requests of 8 MiB in what stands between this machine and the project"
    if code == "PGRST106":
        return "add the schema to those that the API exposes (in the project's dashboard: Settings, API)"
    if code == "42501" or status == 403:
        return "run `migctl schema verify`, and check that SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY) is a server's key"
    if status == 404 or code.startswith(("PGRST2", "42")):
        return "run `migctl schema apply`; the schema must also be among the API's exposed schemas"
    return "check SUPABASE_URL and the project's settings, then run `migctl schema verify`"


def in_words(value: object) -> str:
    """What a server gave as its reason, which should be text and may be any JSON: as `short`."""
    if isinstance(value, str):
        return short(value)
    try:
        return short(dumps(value))
    except (RecursionError, TypeError):  # too deep; or a number too long, beside half characters
        return f"{type_word(value)} that can't be shown"


def short(text: str | bytes) -> str:
    """On one line, without what a terminal would obey, and without half characters, which no log can hold."""
    if isinstance(text, bytes):
        text = text[:_MOST_READ].decode("utf-8", "replace")
    line = " ".join(beginning(text, 4 * _MOST_CHARS).split())
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line if len(line) <= _MOST_CHARS else line[: _MOST_CHARS - 1] + "…"
