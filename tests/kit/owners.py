"""A process of its own that owns a stack, so that a test can kill the owner and look at what is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from migctl.stack.process import Process

_PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from migctl.stack import EmbeddedStack

stack = EmbeddedStack(Path(sys.argv[1]))
target = stack.start()
print(json.dumps({"database_url": target.database_url, "pids": {s.part: s.process.pid for s in stack.status()}}), flush=True)
signal.pause()
"""


def start_owner(folder: Path) -> tuple[subprocess.Popen[str], dict[str, Process], str]:
    """The owner, its parts as processes, and the database's URL."""
    owner = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    said = json.loads(owner.stdout.readline())
    owner.stdout.close()
    parts = {}
    for part, pid in said["pids"].items():
        process = Process.of(pid)
        assert process is not None
        parts[part] = process
    return owner, parts, said["database_url"]
