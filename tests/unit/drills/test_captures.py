"""What a capture and a subscriber's log say: large events that no message had, and how often it was told goodbye."""

from __future__ import annotations

import json
from pathlib import Path

from migctl.drills.functions.references import inline, read_whole
from migctl.drills.functions.slow import goodbyes


def line(via: str, transport: str, size: int) -> str:
    return json.dumps({"via": via, "transport": transport, "id": "a", "data": {"text": "x" * size}})


def test_a_large_event_was_read_or_it_came_in_a_message(tmp_path: Path) -> None:
    capture = tmp_path / "dual.ndjson"
    lines = [
        line("live", "realtime", 10), line("fetch", "realtime", 10),
        line("live", "realtime", 5000), line("live", "websocket", 5000),
        line("fetch", "realtime", 5000), line("table", "realtime", 5000), line("resume", "websocket", 5000),
    ]  # fmt: skip
    capture.write_text("\n".join(lines) + '\n{"via": "fetch", "trans')
    assert (read_whole(capture, 5000), inline(capture, 5000)) == (3, 1)
    assert (read_whole(capture, 6000), inline(capture, 6000)) == (0, 0)
    assert read_whole(tmp_path / "none", 1) == 0


def test_a_goodbye_is_one_that_the_other_side_said_with_this_code() -> None:
    log = (
        b'{"reason":"ws://a: the gateway closed the socket: received 4408 (private use) slow; then sent 4408","event":"x"}\n'
        b'{"reason":"ws://a: the gateway closed the socket: sent 4408 (private use); no close frame received","event":"x"}\n'
        b'{"reason":"ws://a: the gateway closed the socket: received 1001 (going away)","event":"x"}\n'
        b'{"event":"received 4408 "}\nreceived 4408 \n'
    )
    assert (goodbyes(log, 4408), goodbyes(log, 1001), goodbyes(b"", 4408)) == (1, 1, 0)
