"""What requests to the API say, and what it answers: the forms, names and errors of github.com/Shopify/toxiproxy 2 (api.go).

A key that is null counts as one that is not there, and a key that no form has is passed over, as there. What would do nothing
there is refused here: an attribute that the type does not have, another name for what keeps its name.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from migctl.events.jsontext import read_as
from migctl.faults.tcp_proxy import TcpProxy
from migctl.faults.toxics import KINDS, STREAMS, Toxic

T = TypeVar("T")


class Refusal(Exception):
    """A request that is not obeyed. status: HTTP's. The text is what the client gets as `error`."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class NewToxic(msgspec.Struct):
    """stream: by default downstream. toxicity: by default 1. name: by default TYPE_STREAM."""

    type: str | None = None
    attributes: dict[str, object] | None = None
    stream: str | None = None
    toxicity: float | None = None
    name: str | None = None


class ToxicChange(NewToxic):
    """What is left out stays. type, stream, name: only as they are."""


class NewProxy(msgspec.Struct):
    """listen: by default a free port of 127.0.0.1. toxics: there before the first connection is let in."""

    name: str | None = None
    listen: str | None = None
    upstream: str | None = None
    enabled: bool | None = None
    toxics: list[NewToxic] | None = None


class ProxyChange(msgspec.Struct):
    """What is left out stays. name: only as it is."""

    name: str | None = None
    listen: str | None = None
    upstream: str | None = None
    enabled: bool | None = None


class ToxicDocument(msgspec.Struct):
    attributes: dict[str, int]
    name: str
    type: str
    stream: str
    toxicity: float

    @staticmethod
    def of(toxic: Toxic) -> ToxicDocument:
        return ToxicDocument(toxic.attributes, toxic.name, toxic.type, toxic.stream, toxic.toxicity)


class ProxyDocument(msgspec.Struct):
    """listen: where it really is, once it was up. upstream: as it was written."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: list[ToxicDocument]

    @staticmethod
    def of(name: str, upstream: str, proxy: TcpProxy) -> ProxyDocument:
        toxics = [ToxicDocument.of(toxic) for toxic in proxy.toxics]
        return ProxyDocument(name, str(proxy.listen), upstream, proxy.enabled, toxics)


class ErrorDocument(msgspec.Struct):
    """status: HTTP's, once more."""

    error: str
    status: int


class PopulatedDocument(msgspec.Struct, omit_defaults=True):
    """proxies: those that are there now, of those that were asked for. error, status: why the rest is not."""

    proxies: list[ProxyDocument]
    error: str = ""
    status: int = 0


class VersionDocument(msgspec.Struct):
    version: str


def read(body: bytes, form: type[T]) -> T:
    """Raises Refusal (400)."""
    try:
        return read_as(body, form)
    except ValueError as error:
        raise bad(str(error)) from None


def bad(why: str) -> Refusal:
    return Refusal(400, f"bad request body: {why}")


def missing(field: str) -> Refusal:
    return Refusal(400, f"missing required field: {field}")


def toxic_of(new: NewToxic) -> Toxic:
    """Raises Refusal (400)."""
    stream = (new.stream if new.stream is not None else "downstream").lower()
    if stream not in STREAMS:
        raise Refusal(400, "stream was invalid, can be either upstream or downstream")
    if new.type not in KINDS:
        raise Refusal(400, f"invalid toxic type: it is one of {', '.join(KINDS)}")
    try:
        return Toxic(
            new.type,
            attributes_of(new),
            stream,
            1.0 if new.toxicity is None else new.toxicity,
            new.name or "",
        )
    except ValueError as error:
        raise bad(str(error)) from None


def attributes_of(given: NewToxic) -> dict[str, int]:
    """`Toxic` checks what they are."""
    return {key: value for key, value in (given.attributes or {}).items() if value is not None}  # type: ignore[misc]
