"""A journal whose log was torn by a disk that forgot its promise: a true beginning is kept, and no position is given twice."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal, highwater
from tests.kit import journals
from tests.kit.conditions import until
from tests.kit.entries import event

GROUPS = 60
TEARS = 12


@dataclass(frozen=True)
class Left:
    """What a killed writer left on disk, and what it had acknowledged."""

    path: Path
    epoch: str
    ids: list[str]


@pytest.fixture
async def left(tmp_path: Path) -> Left:
    path = tmp_path / "written" / "journal.db"
    journal = await SqliteJournal.open(path)
    ids: list[str] = []
    for size in random.Random(1).choices(range(1, 12), k=GROUPS):
        group = [event() for _ in range(size)]
        await journal.append(group)
        ids += [one.id for one in group]
    mark = highwater.path_of(path)
    await until(lambda: f":{len(ids)}," in mark.read_text().replace(" ", ""))
    copy = tmp_path / "left"
    shutil.copytree(path.parent, copy)
    await journal.aclose()
    return Left(copy / path.name, journal.epoch, ids)


def cut(log: Path, chance: random.Random) -> None:
    os.truncate(log, chance.randrange(log.stat().st_size))


def flip(log: Path, chance: random.Random) -> None:
    content = bytearray(log.read_bytes())
    content[chance.randrange(32, len(content))] ^= 1 << chance.randrange(8)
    log.write_bytes(content)


def zero(log: Path, chance: random.Random) -> None:
    """The file has its length, and blocks that were never written."""
    start = chance.randrange(log.stat().st_size) & ~4095
    with log.open("r+b") as file:
        file.seek(start)
        file.write(bytes(log.stat().st_size - start))


@pytest.mark.parametrize("tear", [cut, flip, zero])
async def test_torn_log_keeps_a_true_beginning_and_the_rest_begins_an_epoch_of_its_own(
    left: Left, tmp_path: Path, tear: Callable[[Path, random.Random], None]
) -> None:
    seed = int(os.environ.get("MIGCTL_TEST_SEED") or random.randrange(1 << 30))
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    torn = 0
    for number in range(TEARS):
        folder = tmp_path / f"torn-{number}"
        shutil.copytree(left.path.parent, folder)
        path = folder / left.path.name
        tear(path.with_name(path.name + "-wal"), chance)
        said: list[str] = []
        journal = await SqliteJournal.open(path, notify=said.append)
        kept = [one for one in journals.seen_in(path) if one[0] == left.epoch]
        assert kept == [(left.epoch, seq, id_) for seq, id_ in enumerate(left.ids[: len(kept)], 1)]
        first = await journal.append([event()])
        if len(kept) == len(left.ids):
            assert (first.epoch, first.first_seq, said) == (left.epoch, len(left.ids) + 1, [])
        else:
            torn += 1
            assert (first.epoch != left.epoch, first.first_seq) == (True, 1)
            newest = (await journal.epochs())[-1]
            assert (newest.prev_epoch, newest.lost_from, newest.lost_to) == (
                left.epoch,
                len(kept) + 1,
                len(left.ids),
            )
            assert any(f"{len(kept) + 1}" in line and f"{len(left.ids)}" in line for line in said)
        assert await journal.read(0, epoch=first.epoch, limit=1) != []
        await journal.move_cursor("relay", Position(first.epoch, first.last_seq or 0))
        await journal.aclose()
    assert torn > 0, "nothing was torn: the log was empty"


async def test_log_that_is_whole_is_read_to_its_end(left: Left) -> None:
    """Otherwise what is lost above would prove nothing."""
    journal = await SqliteJournal.open(left.path)
    assert (journal.epoch, journal.head) == (left.epoch, len(left.ids))
    await journal.aclose()
