"""The document of a move."""

from __future__ import annotations

from migctl.runtime.rollout_document import document, refused, wanting
from migctl.runtime.rollout_wish import Effect, Proposed

UP = Proposed("set 25", "a target", "up", before=0.0, after=25.0)


def test_a_dry_run_says_what_it_would_do_and_that_nothing_changed() -> None:
    found = document(Effect(UP, None))
    assert (found["direction"], found["percent"]) == ("up", {"before": 0.0, "after": 25.0})
    assert (found["dry_run"], found["changed"]) == (True, False)
    assert wanting(Effect(UP, None)) is None


def test_a_refusal_says_why() -> None:
    assert refused(UP, "a gate fails")["refused"] == "a gate fails"
