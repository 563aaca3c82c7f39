"""What a drill runs that is no function of ours."""

from __future__ import annotations

import sys

import pytest

from migctl.drills.document import Activity
from migctl.drills.functions.foreign import ask
from migctl.errors import Transient


def program(text: str, **more: object) -> Activity:
    provider = {"type": "process", "path": sys.executable, "arguments": ["-c", text], **more}
    return Activity.model_validate({"type": "action", "name": "a program", "provider": provider})


def test_a_program_has_a_session_of_its_own_so_that_a_ctrl_c_at_the_drill_does_not_reach_it() -> None:
    assert ask(program("import os; raise SystemExit(os.getsid(0) != os.getpid())")) == (0, True)


def test_its_exit_code_is_the_value_and_only_0_is_tolerated_where_nothing_else_is() -> None:
    assert ask(program("raise SystemExit(3)")) == (3, False)


def test_a_program_that_is_not_done_in_time_is_named_with_its_time() -> None:
    with pytest.raises(Transient, match=r"not done within 0\.2 s"):
        ask(program("import threading; threading.Event().wait()", timeout=0.2))
