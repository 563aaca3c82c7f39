"""The state folder, in a shell that hides nothing, and with what others could have planted in it while it was open to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from pathlib import Path

import httpx
import pytest

from migctl.config import load, usable
from migctl.config.files import OURS, make_state_folder, open_own, read_own, whole_file
from migctl.errors import Refused
from migctl.journal.errors import SecondWriter
from migctl.journal.sqlite import SqliteJournal
from tests.kit import needs
from tests.kit.other_user import NOBODY
from tests.kit.serve_process import ServeProcess, run, serving_process


def open_to_others(folder: Path) -> list[str]:
    return [
        f"{path.relative_to(folder)} {stat.filemode(path.lstat().st_mode)}"
        for path in (folder, *folder.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]


def without_tables(folder: Path) -> dict[str, str]:
    return {"MIGCTL_STATE_DIR": str(folder), "MIGCTL_MODE": "websocket"}


@pytest.fixture
def hides_nothing() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def stopped(serve: ServeProcess) -> None:
    serve.send(signal.SIGTERM)
    assert serve.process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("hides_nothing")
def test_whatever_commands_put_into_the_state_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    state = work / ".migctl"
    source = tmp_path / "events.ndjson"
    source.write_text('{"event_type": "a", "data": {"n": 1}}\nno event\n')
    more = {"MIGCTL_STATE_DIR": str(state), "MIGCTL_WITNESS": "on"}
    ended = run(work, "stack", "up", more=more)
    assert ended.returncode == 0, ended.stderr
    try:
        assert run(work, "schema", "apply", "--yes", more=more).returncode == 0
        with serving(state, "--source", str(source), more=more) as serve:
            for _ in range(3):
                assert (
                    httpx.post(f"{serve.url}/events", json=[{"event_type": "a", "data": {}}]).status_code
                    == 201
                )
            capture = ("capture", "--transport", "websocket", "--url", serve.url, "--seconds", "0.5")
            run(work, *capture, "--out", str(state / "captures" / "one"), more=more)
            run(work, "ctl", "set", "relay.high.max_events=40", "--reason", "r", more=more)
            run(work, "flags", "list", more=more)
            run(
                work,
                "validate",
                "report",
                str(state / "captures" / "one"),
                "--out",
                str(state / "report.json"),
                more=more,
            )
            assert open_to_others(state) == []
            stopped(serve)
        assert {path.name for path in state.iterdir()} >= {
            "journal.db",
            "rejected.ndjson",
            "stack",
            "captures",
        }
        assert open_to_others(state) == []
    finally:
        run(work, "stack", "down", more=more)
    assert open_to_others(state) == []


def serving(state: Path, *options: str, more: dict[str, str]) -> AbstractContextManager[ServeProcess]:
    state.mkdir(mode=0o700, exist_ok=True)
    return serving_process(state, *options, more=more)


@pytest.mark.slow
@pytest.mark.parametrize("name", [".migctl", "state"])
def test_a_start_closes_what_an_earlier_migctl_left_open(tmp_path: Path, name: str) -> None:
    state = tmp_path / name
    with serving_process(state, "--mode", "websocket") as serve:
        stopped(serve)
    for extra in (
        "rejected.ndjson",
        "stack/keys.json",
        "drills/one/journal.db",
        "exposures/a.ndjson",
        "error.log",
    ):
        (state / extra).parent.mkdir(parents=True, exist_ok=True)
        (state / extra).write_text("{}")
    (state / "letter").write_text("of somebody else's")
    for path in (state, *state.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with serving_process(state, "--mode", "websocket") as serve:
        found = open_to_others(state)
        stopped(serve)
    # A folder by another name may hold other things, which are none of ours to close; so does the log that our shell wrote.
    theirs = set() if name == ".migctl" else {". drwxr-xr-x", "letter -rw-r--r--", "serve.log -rw-r--r--"}
    assert set(found) == theirs


PLANTED = (
    "error.log",
    "rejected.ndjson",
    "serve.json",
    "stack.lock",
    "witness.json",
    "stage.json",
    "stack",
    "drills",
    "ctl.ndjson",
)


@pytest.mark.parametrize("name", PLANTED)
def test_a_link_that_was_planted_is_refused_and_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state = tmp_path / ".migctl"
    state.mkdir(mode=0o700)
    (state / name).symlink_to(victim)
    with pytest.raises(Refused, match="is a link"):
        make_state_folder(state)
    ended = run(tmp_path, "serve", "--listen", "127.0.0.1:0", more=without_tables(state))
    assert ended.returncode == 4, ended.stderr
    assert f"{state / name}: is a link" in ended.stderr
    assert victim.read_text() == "precious"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, os.O_RDWR | os.O_CREAT]
)
def test_no_file_of_ours_is_opened_by_way_of_a_link_nor_made_where_it_leads_to(
    tmp_path: Path, flags: int
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="a link, which is not followed"):
        os.close(open_own(tmp_path / "link", flags))
    assert not (tmp_path / "made").exists()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    state = tmp_path / ".migctl"
    state.mkdir(mode=0o700)
    os.mkfifo(state / "stack.json", 0o600)
    with pytest.raises(OSError, match="is no file"):
        read_own(state / "stack.json")


@needs.as_root
@pytest.mark.parametrize("name", ["journal.db", "error.log", "stack", "serve.sock"])
def test_what_another_user_has_put_there_is_refused(tmp_path: Path, name: str) -> None:
    state = tmp_path / ".migctl"
    state.mkdir(mode=0o700)
    if name == "stack":
        (state / name).mkdir()
    elif name == "serve.sock":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(state / name))
    else:
        (state / name).write_text("")
    os.chown(state / name, NOBODY, NOBODY)
    with pytest.raises(Refused, match=f"belongs to another user .uid {NOBODY}"):
        make_state_folder(state)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o775, 0o702])
def test_a_state_folder_that_others_could_have_written_to_is_refused_whatever_it_is_called(
    tmp_path: Path, mode: int
) -> None:
    state = tmp_path / ".migctl"
    state.mkdir()
    (state / "journal.db").touch()
    state.chmod(mode)
    ended = run(tmp_path, "serve", "--listen", "127.0.0.1:0", more=without_tables(state))
    assert ended.returncode == 4, ended.stderr
    assert f"chmod go-w {state}" in ended.stderr
    assert stat.S_IMODE(state.stat().st_mode) == mode
    assert [path.name for path in state.iterdir()] == ["journal.db"]


# The file of settings.

SETTINGS = "listen: 127.0.0.1:0\nmode: websocket\nrealtime:\n  token_command: touch broken-in\n"


@pytest.mark.parametrize("mode", [0o666, 0o660, 0o622, 0o602, 0o620])
@pytest.mark.parametrize("how", ["found", "named", "linked"])
def test_settings_that_others_can_write_to_are_refused_with_the_way_out(
    tmp_path: Path, mode: int, how: str
) -> None:
    file = tmp_path / ("migctl.yaml" if how == "found" else "other.yaml")
    file.write_text(SETTINGS)
    file.chmod(mode)
    if how == "linked":
        (tmp_path / "migctl.yaml").symlink_to(file)
    with pytest.raises(Refused, match=f"other users can write to it .mode {mode:04o}") as refused:
        load(file=file if how == "named" else None, folder=tmp_path, environ={})
    assert "chmod go-w" in refused.value.do


@needs.as_root
@pytest.mark.parametrize("how", ["file", "link"])
def test_settings_of_another_user_are_refused(tmp_path: Path, how: str) -> None:
    file = tmp_path / ("migctl.yaml" if how == "file" else "other.yaml")
    file.write_text(SETTINGS)
    if how == "link":
        (tmp_path / "migctl.yaml").symlink_to(file)
    os.chown(tmp_path / "migctl.yaml", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(Refused, match=f"belongs to another user .uid {NOBODY}"):
        load(folder=tmp_path, environ={})
    ended = run(tmp_path, "config", "show", more=without_tables(tmp_path / ".migctl"))
    assert ended.returncode == 4, ended.stderr
    assert not (tmp_path / "broken-in").exists()


def test_settings_that_everybody_may_read_are_read(tmp_path: Path) -> None:
    (tmp_path / "migctl.yaml").write_text(SETTINGS)
    (tmp_path / "migctl.yaml").chmod(0o644)
    assert load(folder=tmp_path, environ={}).mode == "websocket"
    assert load(file=Path(os.devnull), folder=tmp_path, environ={}).mode != "websocket"


def test_going_down_does_not_wait_for_settings_that_others_can_write_to_and_does_not_believe_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "migctl.yaml").write_text(SETTINGS)
    (tmp_path / "migctl.yaml").chmod(0o666)
    settings, wrong = usable(folder=tmp_path, environ={})
    assert isinstance(wrong, Refused)
    assert settings.realtime.token_command is None


# One writer.


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_a_journal_by_two_names_has_one_writer_also_between_processes(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    real, other = tmp_path / "a" / "journal.db", tmp_path / "b" / "journal.db"
    real.parent.mkdir(mode=0o700)
    other.parent.mkdir(mode=0o700)
    journal = await SqliteJournal.open(real)
    await journal.aclose()
    link(real, other)
    with serving_process(real.parent, "--mode", "websocket"):
        ended = run(other.parent, "serve", "--listen", "127.0.0.1:0", more=without_tables(other.parent))
        assert ended.returncode == 4, ended.stderr
        with pytest.raises(SecondWriter):
            await SqliteJournal.open(other)


# What a kill leaves.


def test_what_killed_writers_left_is_taken_away_by_the_next_and_what_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    old, fresh, alive = (tmp_path / f".file.json.{pid}.part" for pid in (gone.pid, 4_194_304, 1))
    other = tmp_path / f".other.json.{gone.pid}.part"
    for path in (old, fresh, alive, other):
        path.write_text("half")
    for path in (old, alive, other):
        os.utime(path, (1, 1))
    with whole_file(tmp_path / "file.json") as part:
        part.write_text(json.dumps({}))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["file.json", fresh.name, alive.name, other.name]
    )


def test_every_name_in_the_state_folder_is_known_as_ours() -> None:
    """What is not is neither closed at a start in a folder by another name, nor looked at for links."""
    from migctl.experiments.keeping import FILE as KEPT_VARIANTS
    from migctl.experiments.lines import FOLDER
    from migctl.flags.disk import OWN_BRAKES, PROCESSES
    from migctl.ingest.outages import FILE as OUTAGES
    from migctl.rollout.drills import FILE as DRILLS
    from migctl.runtime.change_log import FILE as CHANGES
    from migctl.runtime.remembering import FILE as CLIENTS
    from migctl.runtime.staged import FILE as STAGE
    from migctl.runtime.walking import LOCK as WALKER
    from migctl.runtime.witness import LOG
    from migctl.serve_client.control import ANNOUNCEMENT, SOCKET
    from migctl.validate.witness.state import KEPT, LOCK, STATE

    names = (
        KEPT_VARIANTS, FOLDER, OWN_BRAKES, PROCESSES, OUTAGES, DRILLS, CHANGES, CLIENTS, STAGE, WALKER, LOG, ANNOUNCEMENT,
        SOCKET, KEPT, LOCK, STATE, "journal.db-wal", "journal.db.lock", "stack.json", "stack.lock", "error.log",
    )  # fmt: skip
    assert [name for name in names if not any(fnmatchcase(name, ours) for ours in OURS)] == []
