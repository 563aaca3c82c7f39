"""Whatever clients say over sockets, `serve` lives, and its other subscribers lose nothing: some seconds of it."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.sockets import Client, Door, Frame, Ground, run

pytestmark = pytest.mark.slow


@pytest.mark.timeout(300)
@pytest.mark.parametrize("door", ["own", "piped"])
def test_some_seconds_find_nothing(tmp_path: Path, door: Door) -> None:
    """`python -m tests.fuzz.sockets --seconds N` goes on for longer. The seed is one that was never tried."""
    number = Random().randrange(1 << 32)
    try:
        assert run(door, tmp_path, examples=40, number=number) >= 40
    except BaseException as error:
        error.add_note(f"seed {number}")
        raise


@pytest.mark.timeout(120)
@pytest.mark.parametrize("door", ["own", "piped"])
@pytest.mark.parametrize("code", [999, 1005, 5000, 65535])
def test_code_that_nobody_may_send_is_no_error_of_ours(tmp_path: Path, door: Door, code: int) -> None:
    with asyncio.Runner() as runner:
        ground = Ground(runner, tmp_path, door)
        try:
            ground.attack([Client("", (Frame(struct.pack("!H", code), 8),), "stay")])
        finally:
            ground.close()


@pytest.mark.timeout(120)
def test_a_subscriber_that_lost_an_event_is_found(tmp_path: Path) -> None:
    """The attack itself: what it is blind for, it would never find."""
    with asyncio.Runner() as runner:
        ground = Ground(runner, tmp_path, "own")
        try:
            ground.attack([Client("", (), "close")])
            assert ground.of is not None
            ground.of.got["v2"].pop(0)
            with pytest.raises(AssertionError):
                ground.attack([])
            assert ground.of is None, "the next is attacked on another one"
        finally:
            ground.close()
