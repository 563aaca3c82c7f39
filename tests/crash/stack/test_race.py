"""Stacks that start at the same moment share neither a folder nor a port."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from migctl import stack as stacks

_UP = "import sys; from pathlib import Path; from migctl import stack; print(stack.ensure(Path(sys.argv[1]))[1])"


def _up(folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", _UP, str(folder)], stdout=subprocess.PIPE, text=True, check=True, timeout=180
    ).stdout.strip()


def test_two_commands_that_want_one_stack_at_once_start_it_once(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    try:
        with ThreadPoolExecutor(3) as pool:
            started = list(pool.map(_up, [folder] * 3))
        assert sorted(started) == ["False", "False", "True"]
    finally:
        stacks.down(folder)


@pytest.mark.slow
def test_stacks_of_several_folders_that_start_at_once_get_ports_of_their_own(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(_up, folders)) == ["True"] * 3
        ports = [part.port for folder in folders for part in stacks.status(folder).parts]
        assert len(set(ports)) == 9
        assert all(stacks.status(folder).up for folder in folders)
    finally:
        for folder in folders:
            stacks.down(folder)
