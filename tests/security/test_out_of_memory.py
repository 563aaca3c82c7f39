"""A limit of memory: requests are refused below it, `serve` goes on, and keeps what it acknowledged."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import resource
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Target
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.targets import environment_of

JSON = {"Content-Type": "application/json"}
SMALL: dict[str, Any] = {"event_type": "cpu", "data": {}}
# What is large as bytes, as objects, and once it is inflated.
MANY = json.dumps([{"event_type": "cpu", "data": {"pad": "x" * 300}} for _ in range(9000)]).encode()
NESTED = json.dumps(
    [{"event_type": "cpu", "data": {"n": [[n] for n in range(40_000)]}} for _ in range(6)]
).encode()
PACKED = gzip.compress(MANY)
EVENTS = {MANY: 9000, NESTED: 6, PACKED: 9000}


def _only(serve: ServeProcess, mib: int | None) -> None:
    """Its address space may grow by so much, as of now; None: as it likes."""
    pid, pages = serve.process.pid, int(Path(f"/proc/{serve.process.pid}/statm").read_text().split()[0])
    most = resource.RLIM_INFINITY if mib is None else pages * os.sysconf("SC_PAGE_SIZE") + (mib << 20)
    resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("mode", "mib"),
    [
        ("websocket", 8),
        *(pytest.param("websocket", mib, marks=pytest.mark.slow) for mib in (1, 60)),
        *(pytest.param("dual", mib, marks=pytest.mark.slow) for mib in (1, 8, 60)),
    ],
)
async def test_requests_are_refused_at_a_limit_of_memory_and_serve_goes_on(
    standin: Target, tmp_path: Path, mode: str, mib: int
) -> None:
    answers: Counter[int] = Counter()
    taken = 0
    with serving_process(tmp_path, "--mode", mode, more=environment_of(standin)) as serve:
        await serve.post(3)
        async with httpx.AsyncClient(base_url=serve.url, trust_env=False, timeout=90, headers=JSON) as http:

            async def send(body: bytes) -> None:
                nonlocal taken
                more = {"Content-Encoding": "gzip"} if body is PACKED else {}
                try:
                    answer = await http.post("/events", content=body, headers=more)
                except httpx.TransportError:  # no memory to hear who it was, or to answer
                    return
                answers[answer.status_code] += 1
                taken += EVENTS[body] if answer.status_code == 201 else 0

            _only(serve, mib)
            for _ in range(2):
                await asyncio.gather(*map(send, [MANY] * 8 + [NESTED] * 6 + [PACKED] * 6))
            assert serve.process.poll() is None
            assert set(answers) <= {201, 503}
            assert answers[503], answers
            _only(serve, None)

            async def as_before() -> bool:
                return (await http.post("/events", json=SMALL)).status_code == 201

            await until(as_before)
            status = (await http.get("/api/status")).json()
        assert status["journal"]["head"] >= 3 + taken + 1
        assert status["http"]["crowded_bodies"] >= answers[503]
        assert "requests refused for lack of memory" in serve.stop()
