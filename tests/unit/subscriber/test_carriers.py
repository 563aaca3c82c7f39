"""What the carriers make of the gateway's word."""

from __future__ import annotations

import pytest

from migctl import clock
from migctl.resilience import News
from migctl.subscriber.carriers import Carriers
from migctl.subscriber.core.attachment import Attachment, Observed, Reach
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.gateway.frames import Redirect
from migctl.transports.protocol import TransportName

REACH = Reach(None)


class Silent:
    """A carrier that never brings anything."""

    observed = Observed(up=False, since=0.0)

    def start(self) -> None:
        """Nothing has to be begun."""

    async def run(self) -> None:
        await News().wait()


@pytest.mark.parametrize(
    ("word", "own", "spread_s"),
    [
        (Redirect("realtime"), None, 2.0),
        (None, None, 2.0),
        (Redirect("realtime", spread_s=0.5), None, 0.5),
        (Redirect("realtime", spread_s=3600.0), None, 10.0),
        (Redirect("realtime", spread_s=5.0), 0.25, 0.25),
    ],
    ids=["not said", "no word at all", "said", "said too much", "the application's own"],
)
async def test_return_is_spread_over_what_the_server_says(
    word: Redirect | None, own: float | None, spread_s: float
) -> None:
    attachment = Attachment("realtime")
    changed = News()
    carriers = Carriers(attachment, Merge(), changed, stream=Silent(), live=Silent(), standby=Silent())
    carriers.redirect(Redirect("websocket", "the breaker is open"), own_spread_s=own, most_spread_s=10.0)
    now = clock.mono()
    observed: dict[TransportName, Observed] = {
        "websocket": Observed(True, now, now),
        "realtime": Observed(False, now),
    }
    assert attachment.decide(now, observed, REACH).transports == {"websocket"}
    carriers.redirect(word, own_spread_s=own, most_spread_s=10.0, random=lambda: 0.5)
    back = attachment.decide(clock.mono(), observed, REACH)
    assert back.transports == {"websocket"}
    assert back.until - now == pytest.approx(spread_s / 2, abs=0.1)
