"""Which events of the journal a tap brought."""

from __future__ import annotations

from migctl.ingest.tapped import Tapped


def test_last_ids_are_known_and_one_that_comes_again_is_of_the_last() -> None:
    tapped = Tapped(most=2)
    tapped.add(["a", "b"])
    tapped.add(["a", "c"])
    assert [each in tapped for each in "abc"] == [True, False, True]
