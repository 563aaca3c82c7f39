"""What users keep of sticky experiments: in memory at once, on disk in a moment, the same after a restart."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from migctl.experiments import lines
from migctl.experiments.document import Experiment, Experiments, ExposuresSection
from migctl.experiments.keeping import FILE, MOST_DEAD_LINES, Keeping
from migctl.flags.kept import Kept
from tests.kit.conditions import until

TODAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
OF = Experiments(experiments={"menu": Experiment(sticky=True), "transport": Experiment()})
B = Kept("b", 10.0)


@asynccontextmanager
async def keeping(
    folder: Path, of: Experiments = OF, *, append: Callable[[Path, bytes], None] = lines.append
) -> AsyncIterator[Keeping]:
    made = Keeping(folder, of, now=lambda: TODAY, append=append)
    made.begin()
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])
        await made.end()


def asked(folder: Path, of: Experiments = OF) -> Keeping:
    made = Keeping(folder, of, now=lambda: TODAY)
    made.begin(writing=False)
    return made


def path(folder: Path) -> Path:
    return folder / lines.FOLDER / FILE


async def test_what_is_kept_is_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        one.keep("menu", "", "ann", B)
        one.keep("menu", "eu", "ann", Kept("a", 50.0))
        assert one.kept("menu", "", "ann") == B
    async with keeping(tmp_path) as again:
        assert again.kept("menu", "", "ann") == B
        assert again.kept("menu", "eu", "ann") == Kept("a", 50.0)
        assert again.kept("menu", "", "bob") is None
        assert again.kept("other", "", "ann") is None


async def test_the_last_of_a_user_counts(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        one.keep("menu", "", "ann", B)
        one.keep("menu", "", "ann", Kept("a", 5.0))
    assert asked(tmp_path).kept("menu", "", "ann") == Kept("a", 5.0)
    assert len(path(tmp_path).read_bytes().splitlines()) == 2


async def test_nobody_s_name_is_on_disk_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        one.keep("menu", "", "ann@example.com", B)
    assert b"ann" not in path(tmp_path).read_bytes()
    assert path(tmp_path).stat().st_mode & 0o077 == 0


async def test_only_sticky_experiments_keep_and_only_while_they_run(tmp_path: Path) -> None:
    over = Experiments(experiments={"menu": Experiment(sticky=True, ends=date(2026, 2, 28))})
    async with keeping(tmp_path) as one, keeping(tmp_path / "over", over) as ended:
        assert (one.keeps("menu"), one.keeps("transport"), one.keeps("x")) == (True, False, False)
        assert not ended.keeps("menu")


async def test_half_a_line_of_a_kill_is_passed_over_and_the_next_is_whole(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        one.keep("menu", "", "ann", B)
    with path(tmp_path).open("ab") as file:
        file.write(b'{"flag":"menu","us')
    async with keeping(tmp_path) as again:
        assert again.kept("menu", "", "ann") == B
        again.keep("menu", "", "bob", B)
    assert asked(tmp_path).kept("menu", "", "bob") == B


async def test_above_the_bound_nothing_is_kept_and_it_is_counted(tmp_path: Path) -> None:
    few = Experiments(exposures=ExposuresSection(max_kept=1), experiments=dict(OF.experiments))
    async with keeping(tmp_path, few) as one:
        one.keep("menu", "", "ann", B)
        one.keep("menu", "", "bob", B)
        one.keep("menu", "", "ann", Kept("a", 1.0))
        assert one.kept("menu", "", "bob") is None
        assert one.kept("menu", "", "ann") == Kept("a", 1.0)
        status = one.status()
        assert status is not None
        assert (status.kept, status.unkept) == (1, 1)


async def test_a_disk_that_refuses_is_tried_again_and_nothing_is_lost(tmp_path: Path) -> None:
    refusing = [True]

    def append(to: Path, data: bytes) -> None:
        if refusing[0]:
            raise OSError(errno.ENOSPC, "no space left on device")
        lines.append(to, data)

    async with keeping(tmp_path, append=append) as one:
        one.keep("menu", "", "ann", B)
        await until(lambda: one.trouble is not None)
        status = one.status()
        assert status is not None
        assert (status.waiting, status.reason) == (1, "no space left on device")
        one.keep("menu", "", "bob", B)
        refusing[0] = False
        await until(lambda: one.trouble is None)
    assert asked(tmp_path).kept("menu", "", "ann") == B
    assert asked(tmp_path).kept("menu", "", "bob") == B


async def test_a_file_whose_lines_are_mostly_over_is_written_anew_by_a_start(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        for percent in range(MOST_DEAD_LINES + 2):
            one.keep("menu", "", "ann", Kept("b", float(percent)))
    async with keeping(tmp_path) as again:
        assert again.kept("menu", "", "ann") == Kept("b", float(MOST_DEAD_LINES + 1))
    assert len(path(tmp_path).read_bytes().splitlines()) == 1


async def test_what_users_keep_of_an_experiment_that_is_over_is_forgotten_by_the_next_start(
    tmp_path: Path,
) -> None:
    async with keeping(tmp_path) as one:
        one.keep("menu", "", "ann", B)
    async with keeping(tmp_path, Experiments(experiments={"other": Experiment(sticky=True)})):
        pass
    assert path(tmp_path).read_bytes() == b""


async def test_an_experiment_that_began_later_keeps_nothing_of_the_one_before_it(tmp_path: Path) -> None:
    def of(starts: date) -> Experiments:
        return Experiments(experiments={"menu": Experiment(sticky=True, starts=starts)})

    async with keeping(tmp_path, of(date(2026, 2, 1))) as one:
        one.keep("menu", "", "ann", B)
    assert asked(tmp_path, of(date(2026, 3, 1))).kept("menu", "", "ann") == B
    assert asked(tmp_path, of(date(2026, 3, 2))).kept("menu", "", "ann") is None


async def test_a_file_whose_lines_are_mostly_over_is_written_anew_while_it_runs(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        for percent in range(2 * MOST_DEAD_LINES):
            one.keep("menu", "", "ann", Kept("b", float(percent)))
        await until(lambda: path(tmp_path).exists() and len(path(tmp_path).read_bytes().splitlines()) == 1)
        one.keep("menu", "", "bob", B)
    assert asked(tmp_path).kept("menu", "", "ann") == Kept("b", float(2 * MOST_DEAD_LINES - 1))
    assert asked(tmp_path).kept("menu", "", "bob") == B


async def test_what_threads_keep_at_once_is_all_on_disk(tmp_path: Path) -> None:
    def many(which: int) -> None:
        for number in range(2000):
            one.keep("menu", "", f"{which}-{number}", B)

    async with keeping(tmp_path) as one:
        await asyncio.gather(*(asyncio.to_thread(many, which) for which in range(4)))
    there = asked(tmp_path)
    assert all(there.kept("menu", "", f"{which}-{number}") for which in range(4) for number in range(2000))


async def test_a_file_that_others_may_write_is_not_believed_and_the_status_says_why(tmp_path: Path) -> None:
    async with keeping(tmp_path) as one:
        one.keep("menu", "", "ann", B)
    path(tmp_path).chmod(0o666)
    async with keeping(tmp_path) as again:
        assert again.kept("menu", "", "ann") is None
        assert not again.keeps("menu")
        status = again.status()
        assert status is not None
        assert status.reason


def test_who_only_asks_makes_nothing(tmp_path: Path) -> None:
    assert not asked(tmp_path).keeps("menu")
    assert list(tmp_path.iterdir()) == []
    assert asked(tmp_path, Experiments()).status() is None
