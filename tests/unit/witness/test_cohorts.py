from __future__ import annotations

import pytest

from migctl.flags.shares import Shares
from migctl.validate.witness.cohorts import cohorts_of
from migctl.validate.witness.minute import Figures, Minute
from tests.kit.witnessing import at

WINDOW = Minute(
    id="m", started_at=at(0), epoch="E", first_seq=1, last_seq=9, cohorts={"all": 9},
    transports={"websocket": Figures(received=9), "realtime": Figures(received=4)},
)  # fmt: skip


@pytest.mark.parametrize(("percent", "events"), [(0, 9), (100, 4), (50, 4)])
def test_a_segment_has_what_came_out_of_every_transport_on_which_its_users_are(
    percent: float, events: int
) -> None:
    shares = Shares("realtime", "websocket", segments={"internal": percent})
    assert cohorts_of(WINDOW, shares) == {"all": 9, "internal": events}


def test_a_segment_whose_share_is_not_known_has_no_evidence() -> None:
    assert cohorts_of(WINDOW, None) == {"all": 9}


def test_a_transport_that_is_not_there_brings_nothing() -> None:
    shares = Shares("realtime", "websocket", segments={"internal": 100})
    assert cohorts_of(Minute(id="m", started_at=at(0), epoch="E", first_seq=1, last_seq=9), shares) == {
        "internal": 0
    }
