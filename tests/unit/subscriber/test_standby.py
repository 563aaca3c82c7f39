"""Which frames on a standby socket say where to go."""

from __future__ import annotations

import pytest

from migctl.subscriber.gateway.frames import Redirect
from migctl.subscriber.gateway.standby import is_word

TO = Redirect("websocket", "the breaker is open", None)


@pytest.mark.parametrize(
    ("redirect", "greeted", "word"),
    [(TO, False, True), (TO, True, True), (None, False, True), (None, True, False)],
)
def test_first_frame_says_where_to_go_and_later_ones_only_where_they_redirect(
    redirect: Redirect | None, greeted: bool, word: bool
) -> None:
    assert is_word(redirect, greeted=greeted) is word
