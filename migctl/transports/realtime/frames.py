"""Phoenix frames, version 1.0.0: `{"topic","event","payload","ref","join_ref"}`. Pure; payloads are bytes and stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

from migctl.events.jsontext import dumps, loads, quote


@dataclass(frozen=True, slots=True)
class Frame:
    """What the server said. ref: the frame of ours that it answers; None for what it says by itself."""

    topic: str
    event: str
    payload: dict[str, object]
    ref: str | None


def encode(topic: str, event: str, payload: bytes, *, ref: int, join_ref: int | None) -> bytes:
    """A frame of ours. payload: JSON."""
    join = b"null" if join_ref is None else b'"%d"' % join_ref
    return b'{"topic":%b,"event":%b,"payload":%b,"ref":"%d","join_ref":%b}' % (
        quote(topic),
        quote(event),
        payload,
        ref,
        join,
    )


def join_payload(access_token: str, *, changes_of: tuple[str, str] | None = None) -> bytes:
    """Join a private channel: each broadcast is acknowledged, and ours don't come back to us.

    changes_of: schema and table whose changes are to come too.
    """
    bindings = [] if changes_of is None else [{"event": "*", "schema": changes_of[0], "table": changes_of[1]}]
    return dumps(
        {
            "access_token": access_token,
            "config": {
                "private": True,
                "broadcast": {"ack": True, "self": False},
                "presence": {"key": "", "enabled": False},
                "postgres_changes": bindings,
            },
        }
    )


def token_payload(access_token: str) -> bytes:
    """A renewed token for a joined channel."""
    return dumps({"access_token": access_token})


def broadcast_payload(event: str, payload: bytes) -> bytes:
    """What a client pushes to broadcast."""
    return b'{"type":"broadcast","event":%b,"payload":%b}' % (quote(event), payload)


def decode(text: str | bytes) -> Frame:
    """Read a frame of the server. Raises ValueError."""
    value = loads(text)
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        raise ValueError("expected a Phoenix frame")
    topic, payload, ref = value.get("topic"), value.get("payload"), value.get("ref")
    return Frame(
        topic=topic if isinstance(topic, str) else "",
        event=value["event"],
        payload=payload if isinstance(payload, dict) else {},
        ref=str(ref) if isinstance(ref, (str, int)) else None,
    )
