"""Which process is meant, and whether it may be taken out."""

from __future__ import annotations

import pytest

from migctl.errors import MigctlError, Refused, Usage, Wanting
from migctl.runtime.processes import Known, chosen

A = Known("a", "host:1", "http://a", "2026-01-05T12:00:00Z", False, "no answer within 1 s")
B = Known("b", "host:2", "http://b", "2026-01-05T12:00:00Z", True, None)
C = Known("c", "host:1", None, "2026-01-05T12:00:00Z", False, "it has no address")


def test_one_that_does_not_answer_is_taken_out_by_its_id_or_its_name() -> None:
    assert chosen([A, B], "a", "here") is A
    assert chosen([A, B], "host:1", "here") is A
    assert chosen([A, B, C], "c", "here") is C


@pytest.mark.parametrize(
    ("wanted", "kind"), [("b", Refused), ("host:2", Refused), ("host:1", Usage), ("host:3", Wanting)]
)
def test_one_that_answers_stays_and_a_name_is_one_process(wanted: str, kind: type[MigctlError]) -> None:
    with pytest.raises(kind):
        chosen([A, B, C], wanted, "here")
