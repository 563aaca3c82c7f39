"""What is made of an error of a gateway's socket, and of heads that moved."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus, InvalidURI
from websockets.frames import Close
from websockets.http11 import Response

from migctl.errors import MigctlError, Systemic, TokenRefused, Transient, Usage
from migctl.subscriber.core.attachment import HOLD_S
from migctl.subscriber.gateway.client import Address
from migctl.subscriber.gateway.serve_client import Assignment, Fallback
from migctl.subscriber.realtime.head import was_moved
from migctl.subscriber.ways import Wishes
from migctl.target.chain import Head

ADDRESS = Address("ws://127.0.0.1:8080/ws")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def status(code: int) -> InvalidStatus:
    return InvalidStatus(Response(code, "", Headers(), b"why"))


def closed(code: int) -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, "why"), None)


@pytest.mark.parametrize(
    ("error", "met", "kind"),
    [
        (OSError("refused"), False, Transient),
        (TimeoutError(), False, Transient),
        (TimeoutError(), True, Transient),
        (closed(1006), True, Transient),
        (closed(1012), True, Transient),
        (closed(4408), True, Transient),
        (closed(4401), True, TokenRefused),
        (status(410), False, Systemic),
        (status(401), True, TokenRefused),
        (status(403), False, TokenRefused),
        (status(503), False, Transient),
        (status(200), False, Usage),
        (status(400), False, Usage),
        (status(404), False, Usage),
        (status(426), False, Usage),
        (status(404), True, Transient),
        (status(200), True, Transient),
        (InvalidURI("ws:", "no host"), False, Usage),
    ],
)
def test_what_an_error_of_the_socket_is(error: Exception, met: bool, kind: type[MigctlError]) -> None:
    """A gateway that was met is there: what answers wrongly instead of it is a proxy, and it is about to be back."""
    assert type(ADDRESS.unreachable(error, met=met)) is kind


HEAD = Head("a", None, None, None, "w", 1, NOW, 1, 10, 10, NOW)
LATER = NOW.replace(second=1)


@pytest.mark.parametrize(
    ("now", "moved"),
    [
        (HEAD, False),
        (msgspec.structs.replace(HEAD, updated_at=LATER), True),
        (msgspec.structs.replace(HEAD, updated_at=LATER, table_tail=5), False),
        (msgspec.structs.replace(HEAD, epoch="b"), True),
    ],
    ids=["nothing", "the relay", "pruning", "a new epoch"],
)
def test_only_the_relay_moves_heads_as_a_sign_of_life(now: Head, moved: bool) -> None:
    assert was_moved(now, [HEAD]) is moved


@pytest.mark.parametrize(
    ("own", "says", "hold_s", "to_realtime"),
    [
        (Wishes(), None, HOLD_S, True),
        (Wishes(), Fallback(3.0, to_realtime=False), 3.0, False),
        (Wishes(hold_s=0.0, to_realtime=True), Fallback(3.0, to_realtime=False), 0.0, True),
    ],
    ids=["nobody says", "the server says", "the application says"],
)
def test_application_wins_over_the_server_over_the_default(
    own: Wishes, says: Fallback | None, hold_s: float, to_realtime: bool
) -> None:
    assignment = Assignment("realtime", "E") if says is None else Assignment("realtime", "E", fallback=says)
    assert (own.holds_s(assignment), own.goes_to_realtime(assignment)) == (hold_s, to_realtime)
