"""Post: the journal of a `serve` that runs elsewhere, by `POST /events`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from migctl.errors import MigctlError, TokenRefused, Transient, Usage
from migctl.events import Event
from migctl.events.codec import encode_event
from migctl.events.jsontext import typed
from migctl.journal import Appended, Conflict
from migctl.publisher.outlet import NotNow, TooLarge, Unfit
from migctl.serve_client import Answer, ServeHttp
from migctl.transports.wire import MAX_BODY_BYTES


class _Item(msgspec.Struct):
    seq: int
    epoch: str | None = None


class _Stored(msgspec.Struct):
    accepted: int
    duplicates: int
    epoch: str
    first_seq: int | None
    last_seq: int | None
    items: list[_Item]


_stored = msgspec.json.Decoder(_Stored)


class Post:
    """url: where `migctl serve` listens. token: one with purpose ingest, for a server that asks for it.

    timeout_s: for an answer; a request whose answer is late is sent again.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 10.0) -> None:
        self._http = ServeHttp(
            url, token=token, timeout_s=timeout_s, headers={"Content-Type": "application/json"}
        )
        self.url = self._http.url

    async def aclose(self) -> None:
        await self._http.aclose()

    async def append(self, events: Sequence[Event], /) -> Appended:
        # An array and not lines: the text of `data` may have line breaks, and is kept byte for byte.
        body = b"[%b]" % b",".join([encode_event(event) for event in events])
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"a request of {len(body)} bytes; at most {MAX_BODY_BYTES} are taken")
        answer = await self._http.post("/events?detail=1", body)
        if answer.status != 201:
            raise refused(self.url, answer)
        return stored(self.url, answer, len(events))


def refused(url: str, answer: Answer) -> MigctlError:
    """What an answer other than 201 means. Pure.

    | status        | the body names                        | error                                            |
    |---------------|---------------------------------------|--------------------------------------------------|
    | 409           | an item in each error                 | Conflict                                         |
    | 413           | no item                               | TooLarge: fewer may fit                          |
    | 409, 413, 422 | anything else                         | Unfit: of the items that it names, or of no one  |
    | 429, 503      | (any)                                 | NotNow, after its Retry-After                    |
    | 408, 425, 5xx | (any)                                 | Transient                                        |
    | 401, 403      | (any)                                 | TokenRefused                                     |
    | another       | (any)                                 | Usage: no `serve` answers there                  |
    """
    status, wrong = answer.status, answer.wrong()
    what = f"{url}/events: {answer.words()}"
    if status in (409, 413, 422):
        reasons = {one.index: one for one in wrong if one.index is not None}
        if status == 409 and reasons and len(reasons) == len(wrong):
            return Conflict([(index, one.id or "") for index, one in reasons.items()])
        if status == 413 and not reasons:
            return TooLarge(what)
        return Unfit(
            what,
            do="mend what the message names",
            reasons={
                index: f"{one.field or 'event'}: {one.reason} ({one.code})" for index, one in reasons.items()
            },
        )
    if status in (429, 503):
        return NotNow(what, do="nothing: it is sent again", after_s=answer.retry_after_s)
    if status in (408, 425) or status >= 500:
        return Transient(what, do="see what `migctl status` says there")
    if status in (401, 403):
        return TokenRefused(what, do="give a token of purpose ingest: Publisher(url, token=...)")
    return _stranger(url, answer.words())


def stored(url: str, answer: Answer, events: int) -> Appended:
    """What an answer 201 says of so many events. Pure. Raises Usage where it does not say what became of each."""
    try:
        parsed = typed(_stored, answer.content)
        if len(parsed.items) != events:
            raise ValueError(f"{len(parsed.items)} items for {events} events")
    except ValueError as error:
        raise _stranger(url, f"201 without what was stored: {error}") from None
    seqs = [item.seq for item in parsed.items]
    elsewhere = {index: item.epoch for index, item in enumerate(parsed.items) if item.epoch is not None}
    return Appended(
        parsed.accepted, parsed.duplicates, parsed.epoch, parsed.first_seq, parsed.last_seq, seqs, elsewhere
    )


def _stranger(url: str, what: str) -> MigctlError:
    return Usage(
        f"{url}/events: {what}", do="give the address of `migctl serve`, such as http://127.0.0.1:8080"
    )
