from __future__ import annotations

import msgspec

from migctl.cli.rollout_run import document_of, sentence_of
from migctl.rollout.walker import Line, share_of
from tests.unit.rollout.test_walk import STEP, T0, soaking, state


def test_a_line_says_when_where_what_and_how_long_yet() -> None:
    line = Line(T0, "waits: 6 of 10 minutes of evidence", soaking(), 360.0)
    assert (
        sentence_of(line)[9:] == "2b-25 soaking          waits: 6 of 10 minutes of evidence; about 6 min left"
    )
    paused = Line(T0, "it waits", state("paused", paused="person"))
    assert sentence_of(paused)[9:] == "2b-25 paused (person)  it waits"
    assert "before the first" in sentence_of(Line(T0, "waits: the record is away", None))


def test_a_line_for_machines_has_the_time_left_apart_from_the_reason() -> None:
    found = document_of(Line(T0, "waits: x", soaking(reason="why"), 60.0))
    assert found["left_s"] == 60.0
    assert msgspec.to_builtins(found["state"])["reason"] == "why"


def test_a_share_names_each_segment() -> None:
    step = msgspec.structs.replace(STEP, segments={"internal": 100.0})
    assert share_of(step) == "25 % of all, 100 % of internal"
