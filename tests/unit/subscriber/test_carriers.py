"""What the carriers make of the gateway's word."""

from __future__ import annotations

import random

import pytest

from migctl import clock
from migctl.subscriber.carriers import Carriers
from migctl.subscriber.core.attachment import Attachment, Seen
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.gateway.frames import Told


@pytest.mark.parametrize(
    ("told", "own", "spread_s"),
    [
        (Told("realtime"), None, 2.0),
        (None, None, 2.0),
        (Told("realtime", spread_s=0.5), None, 0.5),
        (Told("realtime", spread_s=3600.0), None, 10.0),
        (Told("realtime", spread_s=5.0), 0.25, 0.25),
    ],
    ids=["not said", "no word at all", "said", "said too much", "the application's own"],
)
async def test_return_is_spread_over_what_the_server_says(
    told: Told | None, own: float | None, spread_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    asked: list[bool] = []
    attachment = Attachment("realtime")
    carriers = Carriers(attachment, Flow(), spread_s=own, asked=lambda: asked.append(True))
    carriers.take_word(Told("websocket", "the breaker is open"))
    now = clock.mono()
    seen = {"websocket": Seen(True, now, now), "realtime": Seen(False, now)}
    assert attachment.look(now, seen).transports == {"websocket"}
    carriers.take_word(told)
    back = attachment.look(clock.mono(), seen)
    assert back.transports == {"websocket"}
    assert back.look_at - now == pytest.approx(spread_s / 2, abs=0.1)
    assert asked == [True, True]
