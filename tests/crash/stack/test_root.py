"""As root: below a folder of mode 0700 everything stays in place; where namespaces are forbidden, a system user has it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migctl import stack as stacks
from migctl.stack import EmbeddedStack, state
from migctl.stack.launcher import Identity, launch
from tests.kit import needs, nonamespace


def _has_user() -> bool:
    return any(entry.pw_name == "migctl" for entry in pwd.getpwall())


makes_user = pytest.mark.skipif(
    not (os.environ.get("CI") or _has_user()),
    reason="NOT TESTED: it makes the system user migctl, which is done with CI set only",
)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    yield folder / ".migctl"
    stacks.down(folder / ".migctl")
    elsewhere = folder / ".migctl" / "stack" / "postgres" / "data.elsewhere"
    if elsewhere.exists():
        shutil.rmtree(elsewhere.read_text().strip())


@needs.as_root
@pytest.mark.slow
def test_root_below_a_closed_folder_keeps_everything_in_place_and_opens_nothing(closed: Path) -> None:
    target = stacks.up(closed)
    with psycopg.connect(target.need("database_url")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert stacks.status(closed).note is None
    assert closed.parent.stat().st_mode & 0o777 == 0o700
    assert (closed / "stack" / "postgres" / "data").stat().st_uid == 0
    record = state.read(closed)
    assert record is not None
    assert record.parts["postgres"].alive


@needs.as_root
def test_user_without_a_name_as_in_a_container_gets_a_stack(closed: Path) -> None:
    program = "import sys; from pathlib import Path; from migctl.stack import EmbeddedStack as S; S(Path(sys.argv[1])).start()"
    log = closed.parent / "log"
    child = launch(
        [sys.executable, "-c", program, str(closed)],
        log=log,
        death=signal.SIGKILL,
        identity=Identity("namespace:54321"),
    )
    assert child.wait(60) == 0, child.log_tail()


@needs.as_root
@makes_user
def test_root_without_namespaces_says_where_the_data_are_and_leaves_no_orphan(closed: Path) -> None:
    program = "import sys; from pathlib import Path; from migctl import stack; stack.up(Path(sys.argv[1]))"
    subprocess.run(
        [sys.executable, nonamespace.__file__, sys.executable, "-c", program, str(closed)], check=True
    )
    note = stacks.status(closed).note
    assert note is not None
    assert "as user migctl" in note
    record = state.read(closed)
    assert record is not None
    postgres = record.parts["postgres"]
    assert Path(f"/proc/{postgres.pid}").stat().st_uid == pwd.getpwnam("migctl").pw_uid
    record.supervisor.signal(signal.SIGKILL)
    assert postgres.wait_gone(20)


@needs.as_root
@makes_user
def test_root_below_another_users_closed_folder_works_and_discard_leaves_no_data(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 12345, 12345)
    stack = EmbeddedStack(theirs / "stack")
    stack.start()
    told = (theirs / "stack" / "postgres" / "data.elsewhere").read_text().strip()
    assert Path(told).is_dir()
    assert "closed" in json.dumps(stack.note)
    stack.discard()
    assert not Path(told).exists()
    assert theirs.stat().st_mode & 0o777 == 0o700
