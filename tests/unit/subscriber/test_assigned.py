"""What a subscriber goes by after an answer: a test for each cell of the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.subscriber.core.assigned import Answer, Assigned, Held, asked, first, heard

ON_WEBSOCKET, ON_REALTIME = Held("websocket", 5), Held("realtime", 5)
BRAKED = Held("websocket", 5, braked=True)
NOT_BRAKED = "TARGETING_MATCH"


@pytest.mark.parametrize(
    ("held", "answer", "after"),
    [
        (ON_WEBSOCKET, Answer("websocket", 6, NOT_BRAKED), Held("websocket", 6)),
        (ON_WEBSOCKET, Answer("websocket", 4, NOT_BRAKED), ON_WEBSOCKET),
        (ON_REALTIME, Answer("realtime", 6, NOT_BRAKED), Held("realtime", 6)),
        (ON_REALTIME, Answer("websocket", 6, NOT_BRAKED), Held("websocket", 6)),
        (ON_REALTIME, Answer("websocket", 5, "BRAKED"), BRAKED),
        (ON_REALTIME, Answer("websocket", 4, NOT_BRAKED), ON_WEBSOCKET),
        (ON_REALTIME, Answer("websocket", 4, "BRAKED"), BRAKED),
        (ON_REALTIME, Answer("websocket", 0, "STALE"), ON_WEBSOCKET),
        (ON_REALTIME, Answer("websocket", 0, "OVERRIDE"), ON_WEBSOCKET),
        (ON_WEBSOCKET, Answer("realtime", 5, NOT_BRAKED), ON_REALTIME),
        (ON_WEBSOCKET, Answer("realtime", 6, NOT_BRAKED), Held("realtime", 6)),
        (ON_WEBSOCKET, Answer("realtime", 4, NOT_BRAKED), ON_WEBSOCKET),
        (ON_WEBSOCKET, Answer("realtime", 0, "OVERRIDE"), ON_REALTIME),
        (ON_WEBSOCKET, Answer("realtime", 0, "STALE"), ON_REALTIME),
        (ON_WEBSOCKET, Answer("realtime"), ON_REALTIME),
        (BRAKED, Answer("realtime", 6, NOT_BRAKED), Held("realtime", 6)),
        (BRAKED, Answer("realtime", 5, NOT_BRAKED), BRAKED),
        (BRAKED, Answer("realtime", 4, NOT_BRAKED), BRAKED),
        (BRAKED, Answer("realtime", 0, "STALE"), BRAKED),
        (BRAKED, Answer("realtime", 0, "OVERRIDE"), Held("realtime", 5, braked=True)),
        (BRAKED, Answer("realtime", 0, "STATIC"), Held("realtime", 5, braked=True)),
        (BRAKED, Answer("websocket", 5, NOT_BRAKED), BRAKED),
        (BRAKED, Answer("websocket", 4, NOT_BRAKED), BRAKED),
        (BRAKED, Answer("websocket", 0, "STALE"), BRAKED),
        (BRAKED, Answer("websocket", 6, NOT_BRAKED), Held("websocket", 6)),
        (BRAKED, Answer("websocket", 6, "BRAKED"), Held("websocket", 6, braked=True)),
    ],
)
def test_what_it_goes_by(held: Held, answer: Answer, after: Held) -> None:
    assert heard(held, answer) == after


@pytest.mark.parametrize(
    ("told", "away", "goes"),
    [(False, False, True), (True, False, False), (False, True, False), (True, True, False)],
)
def test_up_by_an_answer_that_was_asked_for_is_left_to_a_socket_that_tells_it(
    told: bool, away: bool, goes: bool
) -> None:
    after = asked(ON_WEBSOCKET, Answer("realtime", 6), pushed=told, away=away)
    assert after == (Held("realtime", 6) if goes else ON_WEBSOCKET)
    assert asked(ON_REALTIME, Answer("websocket", 6), pushed=told, away=away) == Held("websocket", 6), (
        "down never waits"
    )


def test_the_first_answer_is_taken_as_it_is() -> None:
    assert first(Answer("realtime", 7, NOT_BRAKED)) == Held("realtime", 7)
    assert first(Answer("websocket", 7, "BRAKED")) == Held("websocket", 7, braked=True)


answers = st.builds(
    Answer,
    st.sampled_from(["websocket", "realtime"]),
    st.integers(0, 6),
    st.sampled_from(["BRAKED", "STALE", "SPLIT"]),
)


@given(st.lists(answers, min_size=1))
def test_whatever_comes_no_version_falls_and_down_is_always_taken(said: list[Answer]) -> None:
    one = Assigned(said[0])
    for answer in said[1:]:
        before = one.held
        one.hear(answer)
        assert one.held.version == max(before.version, answer.version) or one.held == before
        if answer.transport == "websocket":
            assert one.transport == "websocket"
        if before.braked and one.transport == "realtime" and before.transport == "websocket":
            assert answer.version > before.version or (answer.version == 0 and answer.reason != "STALE")
