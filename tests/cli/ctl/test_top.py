"""`migctl top` on a terminal: it pauses and aborts the rollout after a reason and a word, and leaves the terminal whole."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Self

import pytest

from migctl.config import Target
from migctl.server.access.tokens import mint_token
from tests.kit.conditions import PATIENCE_S
from tests.kit.deadletters import Commands, environ_of, post
from tests.kit.serve_process import environment, run, serving_process

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\([A-Z]|[=>])")


class Terminal:
    """A terminal of 200 columns with `migctl top` in it."""

    def __init__(self, folder: Path, environ: dict[str, str], *words: str) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        environ = {**environment(folder, environ), "TERM": "xterm", "COLUMNS": "200", "LINES": "40"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "migctl", "top", *words],
            stdin=self._slave, stdout=self._slave, stderr=self._slave, env=environ, cwd=folder,
        )  # fmt: skip
        self._text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(60)

    def until(self, words: str) -> None:
        """Read until this was drawn since the last key."""
        deadline = time.monotonic() + PATIENCE_S
        while words not in self._text:
            assert time.monotonic() < deadline, self._text[-4000:]
            if select.select([self.master], [], [], 0.2)[0]:
                self._text += _ESCAPES.sub("", os.read(self.master, 1 << 16).decode("utf-8", "ignore"))

    def type(self, keys: str) -> None:
        self._text = ""
        os.write(self.master, keys.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)


def test_the_rollout_is_paused_and_aborted_by_keys_with_a_reason_and_a_word(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environ_of(standin)
    migctl = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        post(serve.url, {"n": 1})
        assert migctl("rollout", "set", "25", "--reason", "begin", "--yes").returncode == 0
        assert migctl("rollout", "resume", "--yes").returncode == 0
        with Terminal(tmp_path, environ) as top:
            top.until("rollout     2b-25, ")
            top.until("realtime")
            assert not top.echoes()
            top.type("p")
            top.until("pause the rollout: the walk stops, shares stay. Why?")
            top.type("it shakes\r")
            top.until("(it shakes)? y: do it")
            top.type("n")
            top.until("nothing was done")
            assert "it shakes" not in migctl("rollout", "history").stdout
            top.type("pit shakes\r")
            top.until("(it shakes)? y: do it")
            top.type("y")
            top.until("paused by person")
            top.type("a\r")
            top.until("a reason is needed")
            top.type("users see gaps\r")
            top.until("(users see gaps)? y: do it")
            top.type("y")
            top.until("1 of 1 process confirmed")
            top.type("q")
            assert top.process.wait(60) == 0
            assert top.echoes()
        history = migctl("rollout", "history").stdout
        assert "pause" in history and "it shakes" in history
        assert "abort" in history and "users see gaps" in history


@pytest.mark.slow
def test_from_another_machine_it_pauses_and_aborts_with_a_token_and_holds_no_relay(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    admin, minted = mint_token("admin", "ada")
    reader, read = mint_token("subscribe", "bob")
    environ = environ_of(standin)
    near = tmp_path / "near"
    near.mkdir()
    more = {**environ, "MIGCTL_TOKENS": f"{minted.entry},{read.entry}", "MIGCTL_TOKEN": admin}
    migctl = Commands(near, more, monkeypatch, capsys)
    with serving_process(near, "--mode", "dual", more=more) as serve:
        assert migctl("rollout", "set", "25", "--reason", "begin", "--yes").returncode == 0
        assert migctl("rollout", "resume", "--yes").returncode == 0
        far = tmp_path / "far"  # it knows nothing but the address and a token
        far.mkdir()

        def safe(token: str) -> subprocess.CompletedProcess[str]:
            return run(far, "status", "--url", serve.url, "--exit-status", more={"MIGCTL_TOKEN": token})

        assert (safe(admin).returncode, safe(reader).returncode) == (0, 0), safe(reader).stdout
        with Terminal(far, {"MIGCTL_TOKEN": admin}, "--url", serve.url) as top:
            top.until("rollout     2b-25, ")
            top.until("q quit")
            assert "throttle" not in top._text
            top.type("t")
            top.until("over its control socket alone")
            top.type("pit shakes\r")
            top.until("(it shakes)? y: do it")
            top.type("y")
            top.until("paused by person")
            top.type("ausers see gaps\r")
            top.until("(users see gaps)? y: do it")
            top.type("y")
            top.until("1 of 1 processes confirmed")
            top.type("q")
            assert top.process.wait(60) == 0
        history = migctl("rollout", "history").stdout
        assert all(word in history for word in ("ada", "it shakes", "users see gaps"))
        # What the record there says hinders from here too.
        unsafe = safe(admin)
        assert unsafe.returncode == 1 and "aborted" in unsafe.stdout
        # Who may only read is told what is wanting, and stops nothing.
        with Terminal(far, {"MIGCTL_TOKEN": reader}, "--url", serve.url) as top:
            top.until("rollout     2b-25, ")
            top.type("pme too\r")
            top.until("y: do it")
            top.type("y")
            top.until("purpose admin")
        assert "me too" not in migctl("rollout", "history").stdout


def test_without_a_terminal_it_says_where_else_to_look(tmp_path: Path) -> None:
    piped = run(tmp_path, "top")
    assert (piped.returncode, piped.stdout) == (2, "")
    assert "migctl status --watch" in piped.stderr


def test_in_a_shell_that_names_another_target_it_shows_what_serve_goes_by_and_moves_nothing(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environ_of(standin)
    migctl = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ):
        assert migctl("rollout", "set", "25", "--reason", "begin", "--yes").returncode == 0
        with Terminal(tmp_path, {}) as top:
            top.until("rollout     2b-25, ")
            for key, act in (("p", "pause"), ("a", "abort")):
                top.type(f"{key}it shakes\r")
                top.until("(it shakes)? y: do it")
                top.type("y")
                top.until(f"{act}: serve runs on {standin.supabase_url}, and this shell names none")
            top.type("q")
            assert top.process.wait(60) == 0
        history = migctl("rollout", "history").stdout
    assert "begin" in history
    assert "it shakes" not in history
