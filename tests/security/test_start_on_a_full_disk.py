"""A disk with no byte left: serve starts all the same, delivers what it holds, takes nothing, and says so."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.kit import needs
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, serving_process

EVENT = {"event_type": "cpu", "data": {"n": 1}}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MiB, with a state folder and its settings."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        needs.right(f"to mount: {made.stderr.strip()}")
    # Nothing but the disk itself refuses.
    (folder / "migctl.yaml").write_text("journal: {min_free_bytes: 0}\n")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return filler


def post(serve: ServeProcess, count: int = 1) -> httpx.Response:
    return httpx.post(f"{serve.url}/events", json=[EVENT] * count, trust_env=False, timeout=30.0)


def delivered(serve: ServeProcess, epoch: str) -> list[Any]:
    """What a reader from the beginning gets."""
    page = httpx.get(
        f"{serve.url}/events", params={"epoch": epoch, "after": 0}, trust_env=False, timeout=30.0
    )
    return [one["seq"] for one in page.json()["events"]]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_serve_starts_on_a_full_disk_delivers_and_refuses(disk: Path, end: signal.Signals) -> None:
    with serving_process(disk, "--mode", "websocket") as serve:
        epoch = post(serve, 5).json()["epoch"]
        serve.send(end)
        serve.process.wait(60)
    filler = fill(disk)
    with serving_process(disk, "--mode", "websocket") as serve:
        assert delivered(serve, epoch) == [1, 2, 3, 4, 5]
        with connect(f"{serve.ws_url}?v=2&epoch={epoch}&after=0") as socket:
            frames = [socket.recv(timeout=30) for _ in range(6)]
        assert sum('"id":' in str(frame) for frame in frames) == 5
        refused = post(serve)
        assert refused.status_code == 503, refused.text
        assert "full" in refused.json()["errors"][0]["reason"]
        ready = httpx.get(f"{serve.url}/readyz", trust_env=False, timeout=30.0)
        healthy = httpx.get(f"{serve.url}/healthz", trust_env=False, timeout=30.0)
        assert healthy.status_code == 200
        assert end == signal.SIGKILL or ready.status_code == 503
        filler.unlink()
        await until(lambda: post(serve).status_code == 201)
        assert delivered(serve, epoch)[:6] == [1, 2, 3, 4, 5, 6]


async def test_a_second_start_on_a_disk_that_is_still_full_is_no_other(disk: Path) -> None:
    with serving_process(disk, "--mode", "websocket") as serve:
        epoch = post(serve, 5).json()["epoch"]
        serve.stop()
    fill(disk)
    for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        with serving_process(disk, "--mode", "websocket") as serve:
            assert delivered(serve, epoch) == [1, 2, 3, 4, 5]
            assert post(serve).status_code == 503
            serve.send(end)
            serve.process.wait(60)
