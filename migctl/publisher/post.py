"""Post: the journal of a `serve` that runs elsewhere, by `POST /events`."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from migctl.config.address import base_url, is_local
from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.events import Event
from migctl.events.codec import encode_event
from migctl.ingest.http import MAX_BODY_BYTES
from migctl.journal import Appended, Conflict
from migctl.publisher.outlet import NotNow, TooLarge, Unfit

# A Retry-After above this is taken for a mistake.
LONGEST_WAIT_S = 60.0


class _Item(msgspec.Struct):
    seq: int
    epoch: str | None = None


class _Answer(msgspec.Struct):
    accepted: int
    duplicates: int
    epoch: str
    first_seq: int | None
    last_seq: int | None
    items: list[_Item]


class _Wrong(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    field: str | None = None
    code: str = ""
    reason: str = ""


class _Refusal(msgspec.Struct):
    errors: list[_Wrong]


_answer = msgspec.json.Decoder(_Answer)
_refusal = msgspec.json.Decoder(_Refusal)


class Post:
    """url: where `migctl serve` listens. token: one with purpose ingest, for a server that asks for it.

    timeout_s: for an answer; a request whose answer is late is sent again.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 10.0) -> None:
        self.url = base_url(url)
        self._http = httpx.AsyncClient(
            headers={"Content-Type": "application/json", "User-Agent": "migctl"}
            | ({"Authorization": f"Bearer {token}"} if token else {}),
            timeout=timeout_s,
            trust_env=not is_local(self.url),
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def append(self, events: Sequence[Event], /) -> Appended:
        # An array and not lines: the text of `data` may have line breaks, and is kept byte for byte.
        body = b"[%b]" % b",".join([encode_event(event) for event in events])
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"a request of {len(body)} bytes; at most {MAX_BODY_BYTES} are taken")
        try:
            answer = await self._http.post(f"{self.url}/events?detail=1", content=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(
                f"{self.url}/events: no answer: {error or type(error).__name__}",
                do="start `migctl serve` there, or give its address",
            ) from error
        if answer.status_code != 201:
            raise self._refused(answer)
        try:
            said = _answer.decode(answer.content)
            if len(said.items) != len(events):
                raise ValueError(f"{len(said.items)} items for {len(events)} events")
        except ValueError as error:
            raise self._stranger(f"201 without what was stored: {error}") from None
        seqs = [item.seq for item in said.items]
        elsewhere = {index: item.epoch for index, item in enumerate(said.items) if item.epoch is not None}
        return Appended(
            said.accepted, said.duplicates, said.epoch, said.first_seq, said.last_seq, seqs, elsewhere
        )

    def _refused(self, answer: httpx.Response) -> MigctlError:
        """What an answer other than 201 means."""
        status = answer.status_code
        wrong = _wrong(answer)
        what = f"{self.url}/events: HTTP {status} {_said(answer, wrong)}"
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
                    index: f"{one.field or 'event'}: {one.reason} ({one.code})"
                    for index, one in reasons.items()
                },
            )
        if status in (429, 503):
            return NotNow(what, do="nothing: it is sent again", after_s=_retry_after_s(answer))
        if status in (408, 425) or status >= 500:
            return Transient(what, do="see what `migctl status` says there")
        if status in (401, 403):
            return Systemic(what, do="give a token of purpose ingest: Publisher(url, token=...)")
        return self._stranger(f"HTTP {status} {_said(answer, wrong)}")

    def _stranger(self, what: str) -> MigctlError:
        return Usage(
            f"{self.url}/events: {what}",
            do="give the address of `migctl serve`, such as http://127.0.0.1:8080",
        )


def _wrong(answer: httpx.Response) -> list[_Wrong]:
    try:
        return _refusal.decode(answer.content).errors
    except ValueError:
        return []


def _said(answer: httpx.Response, wrong: list[_Wrong]) -> str:
    return wrong[0].reason if wrong else " ".join(answer.text.split())[:200]


def _retry_after_s(answer: httpx.Response) -> float:
    try:
        return min(max(0.0, float(answer.headers.get("Retry-After", "0"))), LONGEST_WAIT_S)
    except ValueError:  # a date: from a proxy; our own backoff then
        return 0.0
