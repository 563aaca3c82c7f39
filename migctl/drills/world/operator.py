"""What an operator types on the machine of a drill: `migctl rollout ...`, in its folder, with its settings.

Each command has a session of its own: a Ctrl-C at the drill ends none that is underway, and the next one is not begun beside it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from migctl.drills.world.deployment import Deployment, NotReady
from migctl.stack.launcher import Child

COMMAND_S = 60.0


@contextmanager
def typed(on: Deployment, *words: str) -> Iterator[Child]:
    """`migctl rollout WORDS`, underway; when the block ends it has ended, whatever ended the block."""
    deadline = time.monotonic() + COMMAND_S
    command = on.launch("operator", ["-m", "migctl", "rollout", *words], cwd=on.folder)
    try:
        yield command
    finally:
        while command.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        command.stop(signal.SIGKILL, 5)


def ended(command: Child, what: str, code: int = 0) -> None:
    """Raises NotReady where it ends otherwise than with this code, or not within its time."""
    try:
        found = command.wait(COMMAND_S)
    except TimeoutError:
        raise NotReady(f"{what}: not within {COMMAND_S:g} s") from None
    if found != code:
        raise NotReady(f"{what}: exit code {found}, expected {code}: {command.log_tail()[-500:]}")


def rollout(on: Deployment, *words: str, code: int = 0) -> None:
    """`migctl rollout WORDS`, to its end. Raises NotReady."""
    with typed(on, *words) as command:
        ended(command, f"migctl rollout {' '.join(words)}", code)
