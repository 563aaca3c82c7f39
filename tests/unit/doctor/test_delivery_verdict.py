"""What two ways of delivery make together: arrived, away, or wanting."""

from __future__ import annotations

import pytest

from migctl.doctor.delivery import Delivery, Way
from migctl.errors import MigctlError, Transient, Wanting
from migctl.schema import Difference

LATE = Wanting("waited 10 s", do="look at the logs")
AWAY = Transient("nobody answers", do="start it")
CAUSE = Difference("public.monitoring_events", "publication", "there", "missing", "alter publication ...")


def verdict(*ways: Way) -> MigctlError | None:
    return Delivery("row", ways).failure()


def test_both_arrived_is_no_failure() -> None:
    assert verdict(Way("broadcast", 10.0), Way("postgres_changes", 200.0)) is None


@pytest.mark.parametrize(
    ("broadcast", "changes", "kind", "names"),
    [
        (Way("broadcast", error=LATE), Way("postgres_changes", 1.0), Wanting, "broadcast"),
        (Way("broadcast", 1.0), Way("postgres_changes", error=AWAY), Transient, "postgres_changes"),
        (
            Way("broadcast", error=AWAY),
            Way("postgres_changes", error=LATE),
            Wanting,
            "broadcast and postgres_changes",
        ),
        (Way("broadcast", error=AWAY, causes=(CAUSE,)), Way("postgres_changes", 1.0), Wanting, "broadcast"),
    ],
)
def test_one_that_did_not_arrive_fails_it_and_is_named(
    broadcast: Way, changes: Way, kind: type[MigctlError], names: str
) -> None:
    found = verdict(broadcast, changes)
    assert type(found) is kind
    assert found.what.endswith(f"by {names}")
