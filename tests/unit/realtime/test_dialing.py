"""A redirect where a socket was asked for."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from migctl.transports.dialing import Followed, Straight


def _moved(to: str) -> InvalidStatus:
    return InvalidStatus(Response(301, "Moved", Headers(Location=to)))


async def test_a_target_sends_nobody_elsewhere() -> None:
    answer = _moved("ws://other/")
    assert Straight("ws://here/").process_redirect(answer) is answer


async def test_an_old_service_may_have_moved() -> None:
    assert Followed("ws://here/").process_redirect(_moved("ws://here/new")) == "ws://here/new"


@pytest.mark.parametrize("to", ["ws://[", "ws://a:99999999/"])
async def test_a_place_that_is_no_address_is_the_answer_that_it_was(to: str) -> None:
    answer = _moved(to)
    assert Followed("ws://here/").process_redirect(answer) is answer
