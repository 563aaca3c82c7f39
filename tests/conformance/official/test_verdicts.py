"""What is read from what the runners of other people's suites write."""

from __future__ import annotations

from tests.conformance.official.__main__ import Verdicts, verdicts_of

WRITTEN = """
tests/test_connection.py::test_broadcast_events PASSED                   [  8%]
tests/test_timer.py::test_a[x y] FAILED [ 91%]
(pass) Realtime > is able to connect [338.04ms]
(fail) Storage API > upload and list file in bucket [4.13ms]
(skip) Realtime > httpSend
2 tests failed:
(fail) Storage API > upload and list file in bucket [4.13ms]
\x1b[32mPASS\x1b[39m  \x1b[2mpresence extension\x1b[22m / user is there  \x1b[2m206ms\x1b[22m  subscribe: 50ms
FAIL  authorization check / user is denied  5184ms  Error
setup: FAILED
43 passed, 0 failed  total 56.39s
"""


def test_each_verdict_is_counted_once_whoever_wrote_it() -> None:
    assert verdicts_of(WRITTEN) == Verdicts(
        [
            "tests/test_connection.py::test_broadcast_events",
            "Realtime > is able to connect",
            "presence extension / user is there",
        ],
        ["tests/test_timer.py::test_a[x y]", "authorization check / user is denied"],
        ["Storage API > upload and list file in bucket"],
    )
